"""The web page of a live run, its metrics and health checks."""
