"""Tracking measured against ground truth."""
