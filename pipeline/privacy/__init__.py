"""A person's data in the output of a run: finding, handing out, and deleting it."""
