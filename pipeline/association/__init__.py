"""From the detections of a tick to rows with global ids."""
