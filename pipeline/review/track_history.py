"""Which steps of a review changed whose a track is, for telling why it has its global id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.review.identities import Identities, Part
from pipeline.review.journal import Journal
from pipeline.review.read_identities import identities_before
from pipeline.review.steps import ROW_STEPS, said


@dataclass(frozen=True)
class TrackChange:
    """A step that gave a track, or a part of it, to somebody else, or deleted it.

    Attributes:
        number: of the step among those in force, from 1.
        utc: when it was made, in ISO 8601; '' if that is unknown.
        global_id: whose the track was afterwards; None if it was deleted.
        text: the step in words.
    """

    number: int
    utc: str
    global_id: int | None
    text: str

    @property
    def sentence(self) -> str:
        """The change in words, with its date."""
        date = f"{self.utc[:16].replace('T', ' ')} UTC" if self.utc else "date unknown"
        now = "deleted" if self.global_id is None else f"person {self.global_id}"
        return f"step {self.number}, {date}: {self.text}; then {now}"


@dataclass(frozen=True)
class TrackHistory:
    """What a review did to a track.

    Attributes:
        origin: the track of the run that it is, or is a part of.
        changes: in order.
        deleted: whether it is deleted now.
    """

    origin: TrackKey
    changes: tuple[TrackChange, ...]
    deleted: bool


@dataclass(frozen=True)
class ReviewHistory:
    """What a review did to the tracks of a run.

    Attributes:
        tracks: those that steps in force changed.
        unknown: sentences about changes that can no longer be told.
    """

    tracks: Mapping[TrackKey, TrackHistory] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def review_history(folder: Path) -> ReviewHistory:
    """Return what the review of the run in `folder` did; nothing without a review.

    What cannot be read is told in `unknown`.
    """
    try:
        journal = Journal(folder)
        permanent = journal.permanent
        unknown = (
            (f"{permanent} corrections from before a purge: it is not known any more what they changed",)
            if permanent
            else ()
        )
        if not any(isinstance(step, ROW_STEPS) for step in journal.done):
            return ReviewHistory({}, unknown)
        return ReviewHistory(_changes(identities_before(folder, journal), journal), unknown)
    except InputError as error:
        return ReviewHistory({}, (f"{error}: it is not known what a review changed",))


def _changes(identities: Identities, journal: Journal) -> dict[TrackKey, TrackHistory]:
    changes: dict[TrackKey, tuple[TrackChange, ...]] = {}
    for number, dated in enumerate(journal.dated, 1):
        before = dict(identities.parts)
        identities.apply(dated.step)
        if not isinstance(dated.step, ROW_STEPS):
            continue
        earlier = changes.copy()
        for key, part in identities.parts.items():
            old = before.get(key)
            if old is part:
                continue
            change = TrackChange(number, dated.utc, part.global_id, said(dated.step))
            # A new part has the history of the track that it was cut from.
            changes[key] = (*earlier.get(_whole(key, old, part, before), ()), change)
    return {
        key: TrackHistory(identities.parts[key].origin, told, identities.parts[key].global_id is None)
        for key, told in changes.items()
    }


def _whole(key: TrackKey, old: Part | None, part: Part, before: Mapping[TrackKey, Part]) -> TrackKey:
    if old is not None:
        return key
    return next(
        one
        for one, whole in before.items()
        if whole.origin == part.origin and whole.begin < part.begin < whole.end
    )
