"""The commands of `mtmc`, one module each."""
