"""Errors of other libraries in one line of a message."""

from __future__ import annotations

_LONGEST = 300


def one_line(error: Exception) -> str:
    """Return the beginning of an error's text, on one line."""
    return abridged(" ".join(str(error).split()))


def abridged(text: str) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
