"""The ground: types that pass between the parts, geometry of boxes, errors, the protocols of models."""
