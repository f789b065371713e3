"""From frames of several cameras to one CSV of trajectories with global ids."""
