"""Searches finished runs and live sites for people who look like a picture, or like a person of a run."""
