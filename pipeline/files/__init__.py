"""Files that a run leaves: whole at every moment, locked while a command writes them."""
