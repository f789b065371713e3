"""Frames in, boxes out: one adapter per model, behind the protocol in `base`."""
