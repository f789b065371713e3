"""Reads the results of a run that has ended, of recordings or of live cameras."""
