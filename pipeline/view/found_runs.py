"""Finds the runs in a folder: those in it, or those in the folders directly below it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from pipeline.files.run_folder import NOTE_NAME, read_note
from pipeline.live.output.segments import segments
from pipeline.stored.run import StoredRun, stored_runs

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FoundRun:
    """A run to choose.

    Attributes:
        name: of its folder, with the id of a live run.
        note: content of its run.json or manifest; empty if that is missing or damaged.
    """

    name: str
    stored: StoredRun
    note: Mapping[str, Any]

    @property
    def is_live(self) -> bool:
        """Whether `mtmc live` wrote it."""
        return bool(self.stored.run_id)

    def as_json(self) -> dict[str, Any]:
        """Return what a list of runs shows; None for what is unknown."""
        people = self.note.get("global_ids")
        fragments = self.note.get("fragments")
        if isinstance(people, int) and isinstance(fragments, int):
            people -= fragments
        started = self.note.get("started_utc")
        return {
            "name": self.name,
            "kind": "live" if self.is_live else "recordings",
            "started_utc": started if isinstance(started, str) and _is_date(started) else None,
            "cameras": list(self.stored.cameras),
            "people": people if isinstance(people, int) else None,
            "state": self.note.get("state") if isinstance(self.note.get("state"), str) else None,
        }


def find_runs(folder: Path) -> list[FoundRun]:
    """Return the runs of `mtmc track` and `mtmc live` in a folder, or in the folders directly below it.

    A folder below it that cannot be used is left out, with a warning.

    Raises:
        InputError: there is no run, or the folder cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name the output folder of `mtmc track` or `mtmc live`")
    if _is_run(folder):
        return _runs_in(folder)
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and _is_run(path))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from error
    found: list[FoundRun] = []
    for path in below:
        try:
            found += _runs_in(path)
        except InputError as error:
            _log.warning("left out: %s", error)
    if not found:
        raise InputError(f"{folder} holds no results of `mtmc track` or `mtmc live`, and no folder in it does")
    return found


def found_again(found: FoundRun) -> FoundRun:
    """Return a run as its files are now; InputError if it is gone."""
    folder, run_id = found.stored.folder, found.stored.run_id
    if _is_run(folder):
        for run in _runs_in(folder):
            if run.stored.run_id == run_id:
                return run
    raise InputError(f"{found.name} has been deleted since")


def _is_run(folder: Path) -> bool:
    return (folder / "trajectories.csv").is_file() or bool(segments(folder))


def _runs_in(folder: Path) -> list[FoundRun]:
    name = folder.resolve().name
    return [
        FoundRun(f"{name} {run.run_id}".strip(), run, _note(folder, run.run_id)) for run in stored_runs(folder)
    ]


def _note(folder: Path, run_id: str) -> Mapping[str, Any]:
    # `stored_runs` has already warned of a note that cannot be read.
    with suppress(OSError, ValueError, RecursionError):
        note = read_note(folder / (f"manifest-{run_id}.json" if run_id else NOTE_NAME))
        return note if isinstance(note, dict) else {}
    return {}


def _is_date(text: str) -> bool:
    with suppress(ValueError):
        return bool(datetime.fromisoformat(text))
    return False
