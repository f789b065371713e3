"""Adaptation of a model to one site, and the site file that holds the result."""
