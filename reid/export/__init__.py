"""A TransReID in memory to a network file of another runtime, and the proof that it computes the same."""
