"""Where rows go besides the CSV."""
