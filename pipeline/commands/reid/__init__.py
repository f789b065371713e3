"""The commands of `mtmc reid`, one module each; `app` puts them together."""
