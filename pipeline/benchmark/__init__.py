"""Runs this project's trackers and those of others on the same saved detections, and scores all in the same way."""
