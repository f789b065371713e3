"""What the tracks of known people say about the cameras: transit times, and which views overlap.

Times from one camera to another are measured as the linker and the second pass limit them: from the last moment in the
one camera to the first moment in the other, negative if both saw the person at one time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.cross_camera.settings import TransitWindow

#: Fewer transits than these say little about how long people take.
FEW_TRANSITS = 10
# Transits above this percentile are people who went elsewhere in between.
_LONGEST_PERCENTILE = 95
# What a window is wider than the times that were seen, on each side: a share of their range, and at least some seconds.
_MARGIN_SHARE = 0.25
_LEAST_MARGIN_S = 1.0
# Views overlap if people are in both for this share of the time in one of them; less may be wrong ids.
_OVERLAP_SHARE = 0.05


class Visit(NamedTuple):
    """A track of a person in a camera, from `start_s` to `end_s` on the clock that all cameras share."""

    person: Hashable
    camera_id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class ObservedTransits:
    """Times in seconds that people took from one camera to another.

    Attributes:
        direct_s: (N,) ascending, N >= 1; where no other camera saw them in between.
        shortest_s: shortest time, also if another camera saw them in between.
    """

    from_camera: str
    to_camera: str
    direct_s: NDArray[np.float64]
    shortest_s: float

    @property
    def count(self) -> int:
        """Number of direct transits."""
        return len(self.direct_s)

    @property
    def few(self) -> bool:
        """Whether there are too few to rely on a window."""
        return self.count < FEW_TRANSITS

    def percentile_s(self, percent: float) -> float:
        """Return a percentile of the direct times."""
        return float(np.percentile(self.direct_s, percent))

    @property
    def window(self) -> TransitWindow:
        """The proposed window: all short times and most of the long ones, with a margin, in whole seconds."""
        long_s = self.percentile_s(_LONGEST_PERCENTILE)
        if self.shortest_s <= 0:
            # While both cameras see a person, the linker compares with the newest moment in the other camera.
            long_s = max(long_s, 0.0)
        margin_s = max(_LEAST_MARGIN_S, _MARGIN_SHARE * (long_s - self.shortest_s))
        return TransitWindow(
            from_camera=self.from_camera,
            to_camera=self.to_camera,
            min_s=float(math.floor(self.shortest_s - margin_s)),
            max_s=float(math.ceil(long_s + margin_s)),
            one_way=True,
        )

    @property
    def longer(self) -> int:
        """Number of direct transits that took longer than the window allows."""
        return int((self.direct_s > self.window.max_s).sum())


@dataclass(frozen=True)
class SharedView:
    """How much two cameras see of the same people at one time.

    Attributes:
        cameras: both names.
        together: number of people that were in both at one time.
        people: number of people that were in either.
        together_s: time for which people were in both.
        seen_s: time for which people were in each camera.
    """

    cameras: tuple[str, str]
    together: int
    people: int
    together_s: float
    seen_s: tuple[float, float]

    @property
    def shares(self) -> tuple[float, float]:
        """For each camera, the share of the time in which its people were in the other one as well."""
        first, second = (self.together_s / seen_s if seen_s > 0 else 0.0 for seen_s in self.seen_s)
        return first, second

    @property
    def overlap(self) -> bool:
        """Whether the views overlap."""
        return max(self.shares) >= _OVERLAP_SHARE


@dataclass(frozen=True, eq=False)
class Topology:
    """Of all ordered pairs of cameras with transits, and of all pairs of cameras, in the order of the cameras."""

    transits: Sequence[ObservedTransits]
    views: Sequence[SharedView]


def observed_topology(visits: Iterable[Visit], camera_ids: Sequence[str]) -> Topology:
    """Measure transits and shared views.

    Args:
        camera_ids: all cameras of the visits, in the order of the result.
    """
    of_person: dict[Hashable, list[Visit]] = defaultdict(list)
    for visit in visits:
        of_person[visit.person].append(visit)
    direct_s: dict[tuple[str, str], list[float]] = defaultdict(list)
    shortest_s: dict[tuple[str, str], float] = defaultdict(lambda: math.inf)
    for own in of_person.values():
        for visit in own:
            left_s = _left_s(visit, own)
            if not left_s:
                continue
            newest_s = max(left_s.values())
            for camera, end_s in left_s.items():
                if camera == visit.camera_id:
                    continue
                pair = camera, visit.camera_id
                shortest_s[pair] = min(shortest_s[pair], visit.start_s - end_s)
                if end_s == newest_s or end_s >= visit.start_s:
                    direct_s[pair].append(visit.start_s - end_s)
    pairs = [(one, other) for one in camera_ids for other in camera_ids if (one, other) in direct_s]
    transits = [ObservedTransits(*pair, np.sort(np.array(direct_s[pair])), shortest_s[pair]) for pair in pairs]
    return Topology(transits, _shared_views(of_person, camera_ids))


def _left_s(visit: Visit, own: Iterable[Visit]) -> dict[str, float]:
    """Return when the person was last in each camera, by the other visits that had begun when this one began."""
    left_s: dict[str, float] = {}
    for other in own:
        if other is not visit and other.start_s <= visit.start_s:
            left_s[other.camera_id] = max(left_s.get(other.camera_id, -math.inf), other.end_s)
    return left_s


def _shared_views(of_person: Mapping[Hashable, Sequence[Visit]], camera_ids: Sequence[str]) -> list[SharedView]:
    periods: dict[str, dict[Hashable, list[tuple[float, float]]]] = {camera: {} for camera in camera_ids}
    for person, own in of_person.items():
        for visit in own:
            periods[visit.camera_id].setdefault(person, []).append((visit.start_s, visit.end_s))
    merged = {
        camera: {person: _merged(spans) for person, spans in people.items()} for camera, people in periods.items()
    }
    seen_s = {
        camera: sum(end_s - start_s for spans in people.values() for start_s, end_s in spans)
        for camera, people in merged.items()
    }
    views = []
    for first, second in combinations(camera_ids, 2):
        both = merged[first].keys() & merged[second].keys()
        times_s = [_together_s(merged[first][person], merged[second][person]) for person in both]
        together_s = sorted(time_s for time_s in times_s if time_s > 0)  # a sum in any other order may differ
        views.append(
            SharedView(
                cameras=(first, second),
                together=len(together_s),
                people=len(merged[first].keys() | merged[second].keys()),
                together_s=sum(together_s),
                seen_s=(seen_s[first], seen_s[second]),
            )
        )
    return views


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return periods that do not overlap, in order of time."""
    merged: list[tuple[float, float]] = []
    for start_s, end_s in sorted(spans):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((start_s, end_s))
    return merged


def _together_s(one: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> float:
    return sum(
        max(0.0, min(end_s, other_end_s) - max(start_s, other_start_s))
        for start_s, end_s in one
        for other_start_s, other_end_s in other
    )
