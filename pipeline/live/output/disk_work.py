"""Work on the disk that is tried again if it fails: a run goes on without it."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)


class DiskWork:
    """Logs each problem once, and keeps it until its work succeeds; used by any thread."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}  # by what cannot be done: the same with the reason

    @property
    def problem(self) -> str:
        """What cannot be done at the moment, and why; empty if everything can."""
        return "; ".join(sorted(self._told.values()))

    def attempt(self, problem: str, work: Callable[[], object]) -> bool:
        """Run `work`; return whether it ended without an OSError.

        Args:
            problem: what cannot be done after an error, such as 'the manifest cannot be written'.
        """
        try:
            work()
        except OSError as error:
            told = f"{problem} ({error.strerror or error})"
            if self._told.get(problem) != told:
                _log.error("%s; trying again", told)
            self._told = {**self._told, problem: told}
            return False
        self._told = {name: told for name, told in self._told.items() if name != problem}
        return True
