"""The commands of `mtmc detectors`; `app` puts them together."""
