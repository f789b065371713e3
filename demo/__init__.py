"""Renders videos of synthetic people in several calibrated cameras, with exact ground truth."""
