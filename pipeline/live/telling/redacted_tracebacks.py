"""Tracebacks of uncaught exceptions, without secrets."""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType

from pipeline.core.redaction import Redactor


class RedactedTracebacks:
    """Context manager; while it is active, tracebacks of uncaught exceptions are printed without secrets."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact
        self._hook = sys.excepthook
        self._thread_hook = threading.excepthook

    def __enter__(self) -> RedactedTracebacks:
        sys.excepthook = self._print
        threading.excepthook = self._print_of_thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The interpreter prints an exception that passes here later, so the redacting hook stays for it.
        if kind is None or issubclass(kind, SystemExit):
            sys.excepthook = self._hook
        threading.excepthook = self._thread_hook

    def _print(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        print(self._redact(text), file=sys.stderr, end="")

    def _print_of_thread(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._print(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
