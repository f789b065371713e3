"""Export of a TransReID to the network files of other runtimes, and a check that they compute the same."""
