"""The timeline of a run in windows: who was where, as lanes of people with bars of stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.recorded.people import Person

#: Stays of a person in one camera that are closer than this share of the window cannot be told apart, and are one bar.
MERGED_SHARE = 1 / 1000


@dataclass(frozen=True)
class Wanted:
    """What a part of the timeline shows.

    Attributes:
        start_s, end_s: on the clock of the run.
        cameras, ids: those to show; None for all.
        first, count: which of the lanes, in order of the first sight.
    """

    start_s: float
    end_s: float
    cameras: Collection[str] | None = None
    ids: Collection[int] | None = None
    fragments: bool = True
    first: int = 0
    count: int = 50


class Lanes:
    """All stays of a run as arrays, so that a part of 100,000 is found within milliseconds.

    Args:
        cameras: names, in the order of the run.
    """

    def __init__(self, people: Sequence[Person], cameras: Sequence[str]) -> None:
        self._people = sorted(people, key=lambda person: (person.start_s, person.global_id))
        number: Mapping[str, int] = {name: place for place, name in enumerate(cameras)}
        self._camera_number = number
        self._stays = [stay for person in self._people for stay in person.stays]
        counts = [len(person.stays) for person in self._people]
        self._person = np.repeat(np.arange(len(self._people)), counts)
        self._first_stay = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        self._camera = np.array([number[stay.camera_id] for stay in self._stays], np.int64)
        self._start_s = np.array([stay.start_s for stay in self._stays], np.float64)
        self._end_s = np.array([stay.end_s for stay in self._stays], np.float64)
        self._id = np.array([person.global_id for person in self._people], np.int64)
        self._is_fragment = np.array([person.is_fragment for person in self._people], np.bool_)

    def part(self, wanted: Wanted) -> dict[str, Any]:
        """Return the lanes of a window, as JSON data.

        `lanes` have `bars` [camera number, start_s, end_s, link confidence, is final, track id, number of stays];
        `total` is the number of lanes in the window, `hidden_fragments` that of fragments that are left out.
        """
        shown = (self._end_s >= wanted.start_s) & (self._start_s <= wanted.end_s)
        if wanted.cameras is not None:
            numbers = [self._camera_number[name] for name in wanted.cameras if name in self._camera_number]
            shown &= np.isin(self._camera, numbers)
        if wanted.ids is not None:
            shown &= np.isin(self._id, list(wanted.ids))[self._person]
        hidden = 0
        if not wanted.fragments:
            loose = self._is_fragment[self._person]
            hidden = len(np.unique(self._person[shown & loose]))
            shown &= ~loose
        present = np.unique(self._person[shown])
        chosen = present[wanted.first : wanted.first + wanted.count]
        merged_s = (wanted.end_s - wanted.start_s) * MERGED_SHARE
        return {
            "total": len(present),
            "hidden_fragments": hidden,
            "lanes": [self._lane(person, shown, merged_s) for person in chosen.tolist()],
        }

    def _lane(self, number: int, shown: np.ndarray, merged_s: float) -> dict[str, Any]:
        person = self._people[number]
        begin, end = self._first_stay[number : number + 2].tolist()
        bars: list[list[Any]] = []
        newest: dict[int, list[Any]] = {}
        for place in (begin + np.flatnonzero(shown[begin:end])).tolist():
            stay, camera = self._stays[place], int(self._camera[place])
            before = newest.get(camera)
            if before is not None and stay.start_s - before[2] < merged_s:
                before[2] = round(max(before[2], stay.end_s), 3)
                before[3] = min(before[3], round(stay.confidence, 3))
                before[4] = before[4] and stay.final
                before[6] += 1
                continue
            bar = [
                camera,
                round(stay.start_s, 3),
                round(stay.end_s, 3),
                round(stay.confidence, 3),
                stay.final,
                stay.tracks[0].track_id,
                1,
            ]
            newest[camera] = bar
            bars.append(bar)
        return {
            "global_id": person.global_id,
            "name": person.name,
            "class_name": person.class_name,
            "fragment": person.is_fragment,
            "bars": bars,
        }

    def density(self, bins: int, start_s: float, end_s: float) -> list[int]:
        """Return the number of stays in view in each of some equal parts of a time, for the overview."""
        edges = np.linspace(start_s, max(end_s, start_s + 1e-3), bins + 1)
        begun = np.searchsorted(np.sort(self._start_s), edges[1:], "left")
        ended = np.searchsorted(np.sort(self._end_s), edges[:-1], "left")
        return [int(count) for count in begun - ended]
