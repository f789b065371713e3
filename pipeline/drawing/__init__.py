"""Draws boxes and ids on frames, and writes videos of them."""
