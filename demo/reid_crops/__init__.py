"""Rendered crops of people who do not exist, for training re-identification; `collection.write_crops` writes a set."""
