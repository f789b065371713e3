"""The page of `mtmc view`: finished runs, read only."""
