"""Receivers of live rows besides the CSV."""
