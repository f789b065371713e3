"""Reads the identities of a run after its review, without changing anything."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.files.run_folder import ORIGINAL_ROWS_NAME
from pipeline.review.identities import Identities
from pipeline.review.journal import Journal
from pipeline.review.original_rows import OriginalRows
from pipeline.review.steps import ROW_STEPS


def read_identities(folder: Path) -> Identities | None:
    """Return the identities after the steps in force; None if nobody has made a step, or a purge has deleted all.

    Raises:
        InputError: the steps or the rows cannot be read, or do not belong together.
    """
    journal = Journal(folder)
    if not journal.done:
        return None
    identities = identities_before(folder, journal)
    try:
        return identities.apply_all(journal.done)
    except InputError as error:
        raise InputError(f"{journal.path} does not fit the rows of the run: {error}") from error


def identities_before(folder: Path, journal: Journal) -> Identities:
    """Return the identities before the steps in force of a review.

    Raises:
        InputError: the rows cannot be read, or those that the steps changed are missing.
    """
    original = folder / ORIGINAL_ROWS_NAME
    if not original.exists() and any(isinstance(step, ROW_STEPS) for step in journal.done):
        raise InputError(
            f"{original} is missing, so it is not known which tracks were corrected: restore the file, or start "
            f"`mtmc review {folder}` once, and confirm people again"
        )
    rows = original if original.exists() else folder / "trajectories.csv"
    return Identities(OriginalRows(rows, {}).tracks())
