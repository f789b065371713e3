"""The console for messages, which survives its reader, and the filter that keeps control characters out of them."""

from __future__ import annotations

import logging

from rich.console import Console

from pipeline.core.shown_values import visible


class VisibleText(logging.Filter):
    """Filter for a handler; control characters in messages become escapes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True."""
        record.msg, record.args = visible(record.getMessage(), keep_lines=True), None
        return True


class MessageConsole(Console):
    """Writes to stderr; prints nothing more once its reader has left, for example a `tee` in a session that was closed.

    Rich itself ends the program then, although the results do not depend on the reader.
    """

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Stop printing."""
        self.quiet = True
