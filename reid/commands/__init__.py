"""The commands of `python -m reid`, one module each; `reid.cli` puts them together."""
