"""Backends that compute a network: one module for each runtime, behind the protocol in `base`."""
