"""Live cameras: connecting, decoding, reconnecting, the newest frame of each."""
