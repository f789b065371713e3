"""The console for messages, which survives its reader."""

from __future__ import annotations

from rich.console import Console


class MessageConsole(Console):
    """Writes to stderr; prints nothing more once its reader has left, for example a `tee` in a session that was closed.

    Rich itself ends the program then, although the results do not depend on the reader.
    """

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Stop printing."""
        self.quiet = True
