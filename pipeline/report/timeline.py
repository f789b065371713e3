"""Lays out the timeline of a report: a lane for each person, a bar for each stay."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.recorded.people import Person, Stay
from pipeline.report.words import Clock, duration_text

_MOST_TICKS = 6
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_LEAST_WIDTH = 0.25  # in percent; a shorter bar cannot be seen


@dataclass(frozen=True)
class Bar:
    """A stay; places in percent of the lane.

    Attributes:
        camera: number of the camera, which gives the colour.
        title: what a pointer over the bar shows.
    """

    camera: int
    camera_id: str
    left: float
    width: float
    top: float
    height: float
    title: str
    final: bool


@dataclass(frozen=True)
class Lane:
    """A person in the timeline."""

    person: Person
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Tick:
    """A time below which a line is drawn, in percent of the lane."""

    left: float
    text: str


def lane_of(
    people: Iterable[Person], cameras: Mapping[str, int], start_s: float, end_s: float, clock: Clock
) -> list[Bar]:
    """Return the bars of one lane: of a person, or of all fragments. Stays at the same time are below each other.

    Args:
        cameras: camera -> its number.
        start_s, end_s: the time that the timeline covers.
    """
    length_s = max(end_s - start_s, 1e-3)
    bars = []
    owned = [(stay, person) for person in people for stay in person.stays]
    for (stay, person), row, rows in _in_rows(owned):
        left = 100 * (stay.start_s - start_s) / length_s
        width = max(100 * (stay.end_s - stay.start_s) / length_s, _LEAST_WIDTH)
        what = "fragment, " if person.is_fragment else ""
        link = "not compared" if person.is_fragment else f"link {stay.confidence:.2f}"
        bars.append(
            Bar(
                camera=cameras[stay.camera_id],
                camera_id=stay.camera_id,
                left=round(min(left, 100 - width), 3),
                width=round(width, 3),
                top=round(100 * row / rows, 2),
                height=round(100 / rows, 2),
                title=f"{stay.camera_id}: {what}{clock.span(stay.start_s, stay.end_s)} "
                f"({duration_text(stay.duration_s)}), {link}" + ("" if stay.final else ", provisional"),
                final=stay.final,
            )
        )
    return bars


def _in_rows(owned: Sequence[tuple[Stay, Person]]) -> list[tuple[tuple[Stay, Person], int, int]]:
    """Return each stay with its row and the number of rows: stays that overlap in time are below each other."""
    placed: list[tuple[tuple[Stay, Person], int, int]] = []
    group: list[tuple[tuple[Stay, Person], int]] = []
    ends_s: list[float] = []

    def finish() -> None:
        placed.extend((one, row, max(len(ends_s), 1)) for one, row in group)
        group.clear()
        ends_s.clear()

    for one in sorted(owned, key=lambda owned_one: owned_one[0].start_s):
        stay = one[0]
        if all(end_s <= stay.start_s for end_s in ends_s):
            finish()
        row = next((number for number, end_s in enumerate(ends_s) if end_s <= stay.start_s), len(ends_s))
        ends_s[row : row + 1] = [stay.end_s]
        group.append((one, row))
    finish()
    return placed


def ticks(start_s: float, end_s: float, clock: Clock) -> list[Tick]:
    """Return at most seven ticks at round times."""
    length_s = max(end_s - start_s, 1e-3)
    step_s = next((step for step in _STEPS_S if length_s / step <= _MOST_TICKS), math.ceil(length_s / _MOST_TICKS))
    first = math.ceil(start_s / step_s)
    last = math.floor(end_s / step_s)
    return [
        Tick(round(100 * (number * step_s - start_s) / length_s, 3), clock.text(number * step_s))
        for number in range(first, last + 1)
    ]
