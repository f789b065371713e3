"""Floor positions: homographies from images to the floor, and the files they come from."""
