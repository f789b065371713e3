"""Warnings that are the same each time: a command opens a recording several times."""

from __future__ import annotations

import logging


class SaidOnce(logging.Filter):
    """Filter for a handler; of each warning of some loggers, only the first one with the same text passes.

    Args:
        name: of these loggers: this one and all below it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record passes."""
        if record.levelno != logging.WARNING or not super().filter(record):
            return True
        text = record.getMessage()
        is_new = text not in self._said
        self._said.add(text)
        return is_new
