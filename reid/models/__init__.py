"""TransReID: its parts, its configuration, and the weights that it loads."""
