"""Live cameras: connect, decode, reconnect, and provide the newest frame of each."""
