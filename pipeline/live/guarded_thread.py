"""A thread of a live run whose failure is noticed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class GuardedThread(threading.Thread):
    """Logs a mistake that ends it and keeps it: a run ends then, rather than going on for weeks without a part.

    Attributes:
        error: None while all is well.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self.error: BaseException | None = None

    def run(self) -> None:
        """Work until the end or a mistake."""
        try:
            super().run()
        except BaseException as error:
            _log.exception("the thread %s failed", self.name)
            self.error = error
