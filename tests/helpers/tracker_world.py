"""Made-up people before a camera, and what a tracker makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.core.datatypes import EmbeddedCrops
from pipeline.single_camera.settings import TrackerSettings
from pipeline.single_camera.tracker import TrackedFrame
from tests.helpers.factories import make_detections, make_frame, make_tracker, one_hot, tracker_settings

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Person:
    """What the detector says of a person at a time: a box of 40 x 100 px at `place`, or nothing.

    place: time -> left and top in px; None while not detected. confidence: time -> the detector's confidence.
    """

    place: Callable[[float], tuple[float, float] | None]
    confidence: Callable[[float], float] = lambda time_s: 0.9
    class_id: int = 0

    def box(self, time_s: float) -> Box | None:
        place = self.place(time_s)
        return None if place is None else (place[0], place[1], place[0] + 40, place[1] + 100)


@dataclass
class Followed:
    """What a tracker made of a world: (frame index, person) -> track id of every box, and counts."""

    ids: dict[tuple[int, int], int] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    embedded: list[tuple[float, int]] = field(default_factory=list)
    frames: list[TrackedFrame] = field(default_factory=list)

    def of(self, person: int) -> list[int]:
        """The different ids of a person, in order of time."""
        return list(dict.fromkeys(id for (_, who), id in sorted(self.ids.items()) if who == person))

    def frames_of(self, person: int) -> list[int]:
        return sorted(frame for frame, who in self.ids if who == person)


def follow(
    people: Sequence[Person],
    duration_s: float,
    frame_rate: float = 10.0,
    *,
    settings: TrackerSettings | None = None,
    embeddings: bool = True,
) -> Followed:
    """Run a tracker over a world; every person has an appearance of their own."""
    tracker = make_tracker(settings or tracker_settings())
    result = Followed()
    for index in range(round(duration_s * frame_rate)):
        frame = make_frame(index, frame_rate=frame_rate)
        seen = [(who, box) for who, p in enumerate(people) if (box := p.box(frame.time_s)) is not None]
        detections = make_detections(
            [box for _, box in seen],
            [people[who].confidence(frame.time_s) for who, _ in seen],
            class_id=[people[who].class_id for who, _ in seen],
        )
        rows = tracker.plan(frame, detections)
        if embeddings:
            result.embedded += [(frame.time_s, seen[row][0]) for row in rows]
            crops = one_hot(*[seen[row][0] for row in rows])
            detections = detections.with_embeddings(rows, EmbeddedCrops(crops, np.ones(len(rows), np.bool_)))
        tracked = tracker.update(frame, detections)
        result.frames.append(tracked)
        result.ended += tracked.ended
        for row, track_id in enumerate(tracked.track_ids.tolist()):
            for early in tracked.earlier.get(track_id, ()):
                _note(result, early.frame_index, _who(people, early.time_s, early.xyxy), track_id)
            _note(result, index, _who(people, frame.time_s, tracked.detections.xyxy[row]), track_id)
    return result


def _who(people: Sequence[Person], time_s: float, xyxy: np.ndarray) -> int:
    return next(
        who for who, p in enumerate(people) if (box := p.box(time_s)) and np.allclose(box, xyxy, atol=1e-3)
    )


def _note(result: Followed, frame: int, person: int, track_id: int) -> None:
    assert (frame, person) not in result.ids, "a box was handed out twice"
    result.ids[frame, person] = track_id


def walker(speed_px_s: float = 50, x: float = 100, y: float = 200) -> Callable[[float], tuple[float, float]]:
    return lambda time_s: (x + speed_px_s * time_s, y)


def hidden(
    place: Callable[[float], tuple[float, float] | None], start_s: float, end_s: float
) -> Callable[[float], tuple[float, float] | None]:
    """`place`, but nothing from `start_s` until before `end_s`."""
    return lambda time_s: None if start_s - 1e-9 <= time_s < end_s - 1e-9 else place(time_s)
