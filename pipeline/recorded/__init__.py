"""Tracks recordings from their first to their last frame."""
