"""Output files of a run: complete at every moment, locked while a command writes them."""
