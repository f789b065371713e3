"""Rendered crops of people who do not exist, to train re-identification on; `collection.write_crops` makes a set."""
