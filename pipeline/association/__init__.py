"""Turns the detections of a tick into rows with global ids."""
