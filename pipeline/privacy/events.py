"""Deletes people from the files with events at zones and lines, and from the numbers of people inside in them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Protocol

from pipeline.counting.events import WithoutPeople
from pipeline.counting.events_file import COLUMNS, event_fields, event_of, readable_events
from pipeline.live.output.event_segments import event_run_of
from pipeline.privacy.run_folder import RunFolder, replacing, write_csv

_OCCUPANCY = COLUMNS.index("occupancy")


class _Purged(Protocol):
    events: int
    damaged: int
    left: tuple[str, ...]


def purge_events(
    folder: RunFolder, purged: _Purged, is_gone: Callable[[list[str]], bool], *, recount: bool
) -> None:
    """Delete events, and lines that cannot be read; count both in `purged`.

    Args:
        is_gone: called with the texts of an event, in the order of the columns.
        recount: whether the people of the deleted events were never there, so that others have fewer people inside.

    Raises:
        RunError: a file cannot be rewritten.
    """
    for _, paths in groupby(folder.event_files, key=event_run_of):
        # The people inside a zone are counted from file to file of a run.
        without = WithoutPeople()
        for path in paths:
            _purge_file(path, purged, is_gone, without if recount else None)


def _purge_file(
    path: Path, purged: _Purged, is_gone: Callable[[list[str]], bool], without: WithoutPeople | None
) -> None:
    rows = readable_events(path)
    kept: list[list[str]] = []
    gone = 0
    changed = False
    for fields in rows:
        left = _left(fields, is_gone, without)
        gone += left is None
        changed |= left != fields
        if left is not None:
            kept.append(left)
    if rows.hopeless:
        purged.left += (path.name,)
        return
    if changed or rows.torn or rows.needs_repair:
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            write_csv(file, COLUMNS, kept)
    purged.events += gone
    purged.damaged += len(rows.damaged)


def _left(
    fields: list[str], is_gone: Callable[[list[str]], bool], without: WithoutPeople | None
) -> list[str] | None:
    """Return what stays of an event; None if nothing does."""
    gone = is_gone(fields)
    if without is None:
        return None if gone else fields
    event = without.kept(event_of(fields), gone)
    if event is None:
        return None
    return [*fields[:_OCCUPANCY], event_fields(event, None)[_OCCUPANCY], *fields[_OCCUPANCY + 1 :]]
