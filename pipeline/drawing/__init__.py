"""Boxes and ids drawn on frames, and videos of them."""
