"""The same saved detections through this project's trackers and those of others, scored alike."""
