"""The runs that the page can show; reads those that are asked for, in threads."""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from pipeline.view.drawn_boxes import DrawnBoxes
from pipeline.view.found_runs import FoundRun, found_again
from pipeline.view.replaced_files import FileStates
from pipeline.view.viewed_run import ViewedRun

# Runs in memory at a time; a day with four cameras takes about a gigabyte.
_MOST_OPEN = 2

_log = logging.getLogger(__name__)


class Library:
    """Used by several threads.

    A run whose files were replaced, for example by a purge or a review, is forgotten and read again when it is asked
    for.

    Args:
        recordings: camera -> where its recording is now; only for a single run.
        rows: where the rows of the run are, if not in its trajectories.csv; only for a single run, which nobody else
            changes.
    """

    def __init__(self, found: Sequence[FoundRun], recordings: Mapping[str, str], rows: Path | None = None) -> None:
        self.found = list(found)
        self._recordings = recordings
        self._rows = rows
        self._lock = threading.Lock()
        self._open: OrderedDict[int, ViewedRun] = OrderedDict()
        self._reading: dict[int, DrawnBoxes] = {}
        self._problems: dict[int, str] = {}
        self._states: dict[int, FileStates] = {}
        self._times_read: Counter[int] = Counter()

    def runs(self) -> list[dict[str, Any]]:
        """Return the list of runs as JSON data."""
        return [{"number": number, **run.as_json()} for number, run in enumerate(self.found)]

    def get(self, number: int) -> ViewedRun | None:
        """Return a run that has been read; None while a thread reads it, which this call starts if needed.

        Raises:
            InputError: there is no such run, or it cannot be read.
        """
        if not 0 <= number < len(self.found):
            raise InputError(f"there is no run {number}")
        with self._lock:
            self._forget_replaced(number)
            if number in self._problems:
                raise InputError(self._problems[number])
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
            if number not in self._reading:
                self._times_read[number] += 1
                if self._rows is None:
                    # Before it is read, so that a change meanwhile is noticed.
                    self._watch(number)
                self._reading[number] = boxes = DrawnBoxes()
                threading.Thread(target=self._read, args=(number, boxes), name="reads a run", daemon=True).start()
        return None

    def times_read(self, number: int) -> int:
        """Return how often a run was read: a page that shows an earlier reading shows what may be deleted now."""
        with self._lock:
            return self._times_read[number]

    def rows_read(self, number: int) -> int:
        """Return how many rows of a run have been read so far."""
        with self._lock:
            boxes = self._reading.get(number)
        return 0 if boxes is None else boxes.rows

    def close(self) -> None:
        """Close the recordings."""
        with self._lock:
            for run in self._open.values():
                run.close()

    def _forget_replaced(self, number: int) -> None:
        """Forget a run that is read, or could not be read, if its files are others now; called with the lock."""
        states = self._states.get(number)
        if number in self._reading or states is None or not states.replaced():
            return
        del self._states[number]
        self._problems.pop(number, None)
        if (old := self._open.pop(number, None)) is not None:
            old.close()
        try:
            self.found[number] = found_again(self.found[number])
        except InputError as error:
            self._problems[number] = str(error)
            self._watch(number)

    def _watch(self, number: int) -> None:
        found = self.found[number]
        self._states[number] = FileStates(found.stored.folder, is_live=found.is_live)

    def _read(self, number: int, boxes: DrawnBoxes) -> None:
        found = self.found[number]
        try:
            run = ViewedRun(found, self._recordings, boxes, self._rows)
        except Exception as error:
            expected = isinstance(error, InputError)
            _log.error("%s cannot be shown: %s", found.name, error, exc_info=not expected)
            with self._lock:
                self._problems[number] = str(error) if expected else f"{found.name} cannot be read: {error!r}"
                del self._reading[number]
            return
        with self._lock:
            del self._reading[number]
            self._open[number] = run
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
