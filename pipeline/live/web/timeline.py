"""Keeps who was in view of which camera during the last minutes, in limited memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.counting.events import Event

# Shortest time between two stored floor positions, and largest number per visit; above it, every second one is deleted.
_PLACE_INTERVAL_S = 0.5
_MAX_PLACES = 240
# Interval between deletions of old visits; at every row they would waste time.
_PRUNE_INTERVAL_S = 5.0


@dataclass
class Visit:
    """One track: a person or an object in view of one camera, from the first to the last box.

    Attributes:
        start_s, end_s: Unix seconds.
        confidence: of the link, in [0, 1].
        places: (time in Unix seconds, x, y on the floor in metres), oldest first.
    """

    camera_id: str
    track_id: int
    global_id: int
    start_s: float
    end_s: float
    confidence: float
    final: bool
    class_name: str
    places: list[tuple[float, float, float]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the visit without its places, for JSON."""
        return {
            "camera_id": self.camera_id,
            "track_id": self.track_id,
            "global_id": self.global_id,
            "class_name": self.class_name,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "confidence": round(self.confidence, 3),
            "final": self.final,
        }


class Timeline:
    """A sink that keeps visits; written by one thread and read by others.

    Args:
        memory_s: visits that ended longer ago are deleted.
        max_visits: above this number, the visit that ended first is deleted.
    """

    name = "page"

    def __init__(self, memory_s: float, max_visits: int) -> None:
        self._memory_s = memory_s
        self._max_visits = max_visits
        self._lock = threading.Lock()
        # In the order of their last box: the first one is the next to be deleted.
        self._visits: OrderedDict[tuple[str, int], Visit] = OrderedDict()
        self._newest_s = float("-inf")
        self._pruned_s = float("-inf")

    def write(self, rows: Sequence[LinkedRow]) -> None:
        """Add rows; `row.time_s` is in Unix seconds."""
        with self._lock:
            for linked in rows:
                self._take(linked)
            self._prune()

    def remap(self, corrections: Sequence[Correction]) -> None:
        """Give the corrected id to all visits with a provisional id."""
        with self._lock:
            for correction in corrections:
                for visit in self._visits.values():
                    if visit.global_id == correction.provisional_id:
                        visit.global_id = correction.global_id
                        visit.confidence = correction.confidence

    def events(self, events: Sequence[Event]) -> None:
        """Do nothing: the page shows visits to cameras."""

    def flush(self) -> None:
        """Do nothing: no data is buffered."""

    def close(self) -> None:
        """Do nothing: nothing is open, and the visits can still be read."""

    def visits(self, now_s: float) -> list[Visit]:
        """Return the visits of the last `memory_s` before `now_s` (Unix seconds), in order of their start, without
        places."""
        with self._lock:
            recent = [replace(visit, places=[]) for visit in self._visits.values() if self._recent(visit, now_s)]
        return sorted(recent, key=_begin)

    def of(self, global_id: int, now_s: float) -> list[Visit]:
        """Return the visits of one person, selected and ordered as in `visits`, with places."""
        with self._lock:
            recent = [
                replace(visit, places=list(visit.places))
                for visit in self._visits.values()
                if visit.global_id == global_id and self._recent(visit, now_s)
            ]
        return sorted(recent, key=_begin)

    def _recent(self, visit: Visit, now_s: float) -> bool:
        return visit.end_s >= now_s - self._memory_s

    def _take(self, linked: LinkedRow) -> None:
        row, link = linked.row, linked.link
        key = (row.camera_id, row.track_id)
        visit = self._visits.get(key)
        if visit is None:
            visit = Visit(
                *key, link.global_id, row.time_s, row.time_s, link.confidence, link.final, row.class_name
            )
            self._visits[key] = visit
        visit.global_id, visit.confidence, visit.final = link.global_id, link.confidence, link.final
        visit.start_s, visit.end_s = min(visit.start_s, row.time_s), max(visit.end_s, row.time_s)
        self._visits.move_to_end(key)
        self._newest_s = max(self._newest_s, row.time_s)
        if row.world_xy_m is not None:
            _add_place(visit.places, (row.time_s, *row.world_xy_m))

    def _prune(self) -> None:
        while len(self._visits) > self._max_visits:
            self._visits.popitem(last=False)
        if self._newest_s - self._pruned_s < _PRUNE_INTERVAL_S:
            return
        self._pruned_s = self._newest_s
        old = [key for key, visit in self._visits.items() if visit.end_s < self._newest_s - self._memory_s]
        for key in old:
            del self._visits[key]


def _begin(visit: Visit) -> tuple[float, str, int]:
    return (visit.start_s, visit.camera_id, visit.track_id)


def _add_place(places: list[tuple[float, float, float]], place: tuple[float, float, float]) -> None:
    if places and place[0] - places[-1][0] < _PLACE_INTERVAL_S:
        return
    if len(places) >= _MAX_PLACES:
        del places[1::2]
    places.append(place)
