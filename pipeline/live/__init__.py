"""Live cameras: read unreliable streams, track the newest frames, and write output that survives failures."""
