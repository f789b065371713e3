"""What a review knows about a person, and how it forgets: its steps become permanent, and the original is deleted."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.files.run_folder import (
    NOTE_NAME,
    ORIGINAL_EVENTS_NAME,
    ORIGINAL_NOTE_NAME,
    ORIGINAL_ROWS_NAME,
    ORIGINAL_SUFFIX,
    is_reviewed,
    read_note,
)
from pipeline.files.whole_files import SHARED_MODE, write_whole
from pipeline.review.described_people import described_by
from pipeline.review.identities import Identities
from pipeline.review.journal import VERSION, Journal
from pipeline.review.original_rows import OriginalRows
from pipeline.review.steps import ROW_STEPS, Confirm, Merge, Rename, Step, content_of

_log = logging.getLogger(__name__)


def review_of(folder: Path, ids: Collection[int]) -> dict[str, Any] | None:
    """Return the display names of a person, whether the person was confirmed, and the steps in force that name one of
    the person's ids; None without a review.

    Raises:
        InputError: the steps cannot be read.
    """
    journal = Journal(folder)
    if not journal.exists:
        return None
    people = described_by(journal.done)
    return {
        "names": sorted({name for one, name in people.names.items() if one in ids}),
        "confirmed": not people.confirmed.isdisjoint(ids),
        "steps": [content_of(step) for step in journal.done if not _named(step).isdisjoint(ids)],
    }


def make_permanent(folder: Path, forget: Callable[[int], bool]) -> set[TrackKey]:
    """Make the steps of a review permanent: delete the original files, and keep only names and confirmations of people
    who are not to be forgotten. Rows already have the steps. The folder is locked. Without a review nothing happens.

    Args:
        forget: whether nothing may be known any more about a global id.

    Returns:
        The tracks that are parts of original tracks: what was computed for those is about two people.

    Raises:
        InputError: the last steps are not in the rows yet.
        OSError: a file cannot be changed; the call can be repeated.
    """
    if not is_reviewed(folder):
        return set()
    note = _mapping(_read(folder / NOTE_NAME))
    noted = _mapping(note.get("review"))
    kept: list[Step] = []
    cut: set[TrackKey] = set()
    permanent = noted.get("permanent_steps", 0)
    original = folder / ORIGINAL_ROWS_NAME
    try:
        journal = Journal(folder)
        permanent = journal.permanent or noted.get("permanent_steps", 0)
        if original.exists() and journal.done and noted.get("journal_lines") != journal.lines:
            raise _NotWritten(
                f"the last corrections of {folder} are not in its trajectories.csv yet: start `mtmc review {folder}` "
                "once, and end it"
            )
        if original.exists():
            identities = Identities(OriginalRows(original, {}).tracks()).apply_all(journal.done)
            cut = identities.cut
            kept = [
                *(Rename(one, name) for one, name in sorted(identities.names.items())),
                *(Confirm(one) for one in sorted(identities.confirmed)),
            ]
        else:
            kept = [step for step in journal.done if not isinstance(step, ROW_STEPS)]
        permanent += sum(isinstance(step, ROW_STEPS) for step in journal.done)
        kept = [step for step in kept if not any(map(forget, _named(step)))]
    except _NotWritten:
        raise
    except InputError as error:
        _log.warning("%s; names and confirmations were deleted, because it is not known whose they are", error)
        kept, cut = [], set()
    for path in (
        original,
        folder / ORIGINAL_EVENTS_NAME,
        *folder.glob(f"mot/*.txt{ORIGINAL_SUFFIX}"),
        folder / ORIGINAL_NOTE_NAME,
    ):
        path.unlink(missing_ok=True)
    journal_path = Journal.path_in(folder)
    if kept:
        journal_path.unlink(missing_ok=True)
        journal = Journal(folder)
        journal.replace(kept, permanent)
        lines = journal.lines
    else:
        journal_path.unlink(missing_ok=True)
        lines = 0
    note["review"] = {
        "version": VERSION,
        "steps": len(kept),
        "permanent_steps": permanent,
        "deleted_rows": noted.get("deleted_rows", 0),
        "confirmed": sum(isinstance(step, Confirm) for step in kept),
        "journal_lines": lines,
    }
    write_whole(folder / NOTE_NAME, (json.dumps(note, indent=1) + "\n").encode(), mode=SHARED_MODE)
    if permanent:
        _log.warning(
            "%d corrections of the run are permanent now, because the original rows were deleted", permanent
        )
    return cut


class _NotWritten(InputError):
    """The rows are older than the steps."""


def _named(step: Step) -> set[int]:
    match step:
        case Merge():
            return {step.into, step.merged}
        case Rename() | Confirm():
            return {step.global_id}
    return {step.global_id} if hasattr(step, "global_id") else set()


def _read(path: Path) -> Any:
    with suppress(OSError, ValueError, RecursionError):
        return read_note(path)
    return {}


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
