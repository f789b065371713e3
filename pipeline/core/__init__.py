"""Shared basics: the types that pass between the parts, box geometry, errors, and the protocols of the models."""
