"""One file a command of `mtmc`."""
