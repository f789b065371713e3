"""What computes a TransReID: one module for each runtime, behind the protocol in `base`."""
