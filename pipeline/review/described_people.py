"""What a review says about people: their names, and who was confirmed as correct."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.review.journal import Journal
from pipeline.review.steps import Confirm, Merge, Rename, Step


@dataclass
class DescribedPeople:
    """Names and confirmations after some steps.

    An id whose last track went to somebody else, or was deleted, may still be here; no row has it, and none will.

    Attributes:
        names: display names by global id.
        confirmed: global ids of confirmed people.
    """

    names: dict[int, str] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)

    def apply(self, step: Step) -> None:
        """Apply a step that was possible; the other steps say nothing about people."""
        match step:
            case Rename():
                if step.name:
                    self.names[step.global_id] = step.name
                else:
                    self.names.pop(step.global_id, None)
            case Confirm():
                (self.confirmed.add if step.confirmed else self.confirmed.discard)(step.global_id)
            case Merge():
                name = self.names.pop(step.merged, None)
                if name is not None:
                    self.names.setdefault(step.into, name)
                self.confirmed.discard(step.merged)

    def forget(self, global_id: int) -> None:
        """Forget a person who has no track any more."""
        self.names.pop(global_id, None)
        self.confirmed.discard(global_id)


def described_by(steps: Iterable[Step]) -> DescribedPeople:
    """Return what steps in force say."""
    people = DescribedPeople()
    for step in steps:
        people.apply(step)
    return people


def described_people(folder: Path) -> DescribedPeople:
    """Return what the review of the run in `folder` says; nothing without a review.

    Raises:
        InputError: its steps cannot be read.
    """
    return described_by(Journal(folder).done)
