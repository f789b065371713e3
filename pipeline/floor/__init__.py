"""Where people stand: homographies from pictures to the floor, and the files they come from."""
