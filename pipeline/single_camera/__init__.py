"""Tracks people within one camera: detections in, tracks out."""
