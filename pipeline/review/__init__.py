"""Steps by which a person corrects the identities of a finished run, and what they change in its files."""
