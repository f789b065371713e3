"""A person's data in the output of a run: find it, export it, delete it."""
