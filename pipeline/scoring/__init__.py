"""Scores tracking results against ground truth."""
