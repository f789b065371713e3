"""Restores a run as it was before its review."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from pipeline.core.errors import InputError, RunError
from pipeline.files.run_folder import (
    EVENTS_NAME,
    NOTE_NAME,
    ORIGINAL_EVENTS_NAME,
    ORIGINAL_NOTE_NAME,
    ORIGINAL_ROWS_NAME,
    ORIGINAL_SUFFIX,
    is_reviewed,
    read_note,
    reports,
)
from pipeline.files.whole_files import write_whole
from pipeline.review.journal import Journal
from pipeline.review.reviewed_run import locked, permanent_steps


def revert(folder: Path) -> list[str]:
    """Restore the original files of a run, and delete the corrections.

    Returns:
        Sentences about what was restored, and what was deleted.

    Raises:
        InputError: see `locked`; or the run was not corrected.
        RunError: a file cannot be restored; the command can be given again.
    """
    with locked(folder):
        if not is_reviewed(folder):
            raise InputError(f"{folder} was not corrected, so there is nothing to revert")
        try:
            return _revert(folder)
        except OSError as error:
            raise RunError(
                f"{error.filename} cannot be restored: {error.strerror}; correct that, and give --revert again"
            ) from error


def _revert(folder: Path) -> list[str]:
    told = []
    Journal.path_in(folder).unlink(missing_ok=True)
    had_events = (folder / ORIGINAL_EVENTS_NAME).exists()
    stale = [*reports(folder), *([folder / EVENTS_NAME] if (folder / EVENTS_NAME).is_file() else [])]
    if not (folder / ORIGINAL_ROWS_NAME).exists():
        return ["Names and confirmations were deleted", *_forget(folder / NOTE_NAME)]
    for path in stale:
        path.unlink()
    if others := [path.name for path in stale if path.name != EVENTS_NAME or not had_events]:
        told.append(f"Deleted {', '.join(others)}, which showed the corrected ids")
    pairs = [
        (path, path.with_name(path.name.removesuffix(ORIGINAL_SUFFIX)))
        for path in sorted(folder.glob(f"mot/*.txt{ORIGINAL_SUFFIX}"))
    ]
    pairs += [
        (folder / kept, folder / name)
        for kept, name in (
            (ORIGINAL_EVENTS_NAME, EVENTS_NAME),
            (ORIGINAL_NOTE_NAME, NOTE_NAME),
            (ORIGINAL_ROWS_NAME, "trajectories.csv"),
        )
        if (folder / kept).exists()
    ]
    for kept, path in pairs:
        os.replace(kept, path)
    told.append(f"Restored {', '.join(str(path.relative_to(folder)) for _, path in pairs)}")
    return [*told, *_forget(folder / NOTE_NAME)]


def _forget(path: Path) -> list[str]:
    """Delete what a run.json says about a review; return a sentence about steps that cannot be undone."""
    try:
        note = read_note(path)
    except (ValueError, RecursionError):  # damaged, and it says nothing about a review
        return []
    if not isinstance(note, dict) or "review" not in note:
        return []
    permanent = permanent_steps(note)
    del note["review"]
    write_whole(path, (json.dumps(note, indent=1) + "\n").encode(), mode=stat.S_IMODE(path.stat().st_mode))
    return [f"{permanent} steps from before a purge stay, because the purge deleted the original rows"]
