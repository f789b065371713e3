"""Live cameras: reading streams that fail, tracking the freshest frames, and output that survives."""
