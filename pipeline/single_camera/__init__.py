"""Detections of one camera in, tracks of that camera out."""
