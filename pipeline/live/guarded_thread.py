"""A thread that logs and keeps the exception that ends it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from pipeline.core.errors import RunError

_log = logging.getLogger(__name__)


class GuardedThread(threading.Thread):
    """Logs and keeps an exception that ends it, so that the run stops instead of continuing without this part.

    Attributes:
        error: the exception; None while the thread works.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self.error: BaseException | None = None

    def run(self) -> None:
        """Call the work function; log and keep its exception."""
        try:
            super().run()
        except RunError as error:  # not a mistake in the program: its text is enough
            self.error = error
        except BaseException as error:
            _log.exception("the thread %s failed", self.name)
            self.error = error
