"""A local page to click the points from which `mtmc homography` computes a homography."""
