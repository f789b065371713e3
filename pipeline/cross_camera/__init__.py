"""Tracks of all cameras in, global identities out: online while the video runs, then a second pass."""
