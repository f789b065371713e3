"""Walks: smooth paths through the hall at constant speed.

Floor coordinates x, y in metres, as in demo.cameras. A person exists from the first to the last point of a walk. Walks
start and end in the corridors or in the passage, out of view of all cameras of the demo.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from demo.hall import (
    GALLERY_MOUTH_M,
    GALLERY_X_M,
    LOBBY_MOUTH_M,
    LOBBY_X_M,
    NORTH_OPENINGS_M,
    ROOM_Y_M,
    WEST_OPENING_M,
    Hall,
)

Point = tuple[float, float]
Room = Literal["lobby", "gallery"]

CLEARANCE_M = 0.42  # from the axis of a person to furniture
ROUNDING = 3  # rounds of corner cutting
OUTSIDE_M = 1.0  # distance behind the middle of an opening at which a person turns


@dataclass(frozen=True)
class Walk:
    """The path of one person.

    Attributes:
        waypoints_m: at least two floor points; corners are rounded.
        start_s: time at the first point; may be negative.
        speed_m_s: walking speed.
    """

    waypoints_m: tuple[Point, ...]
    start_s: float
    speed_m_s: float


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A walk as a polyline, for computing positions."""

    walk: Walk
    points_m: NDArray[np.float64]
    along_m: NDArray[np.float64]

    @classmethod
    def of(cls, walk: Walk) -> Trajectory:
        """Round the corners (Chaikin's corner cutting) and measure the length of the path."""
        points = np.array(walk.waypoints_m, np.float64)
        for _ in range(ROUNDING):
            near = 0.75 * points[:-1] + 0.25 * points[1:]
            far = 0.25 * points[:-1] + 0.75 * points[1:]
            middle = np.stack([near, far], axis=1).reshape(-1, 2)
            points = np.concatenate([points[:1], middle, points[-1:]])
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        return cls(walk, points, np.concatenate([[0.0], np.cumsum(steps)]))

    @property
    def end_s(self) -> float:
        """Time at the last point."""
        return self.walk.start_s + float(self.along_m[-1]) / self.walk.speed_m_s

    def walked_m(self, time_s: float) -> float | None:
        """Return the distance walked until `time_s`; None before the start and after the end."""
        walked = (time_s - self.walk.start_s) * self.walk.speed_m_s
        return walked if 0 <= walked <= self.along_m[-1] else None

    def position_m(self, walked_m: float) -> NDArray[np.float64]:
        """Return the floor position (2,) after `walked_m` metres."""
        return np.array([np.interp(walked_m, self.along_m, self.points_m[:, axis]) for axis in (0, 1)])

    def heading(self, walked_m: float) -> NDArray[np.float64]:
        """Return the unit walking direction (2,), smoothed over the length of a step."""
        length = float(self.along_m[-1])
        ahead = self.position_m(min(walked_m + 0.35, length))
        behind = self.position_m(max(walked_m - 0.35, 0.0))
        direction = ahead - behind
        unit: NDArray[np.float64] = direction / np.linalg.norm(direction)
        return unit


@dataclass(frozen=True)
class Portal:
    """An opening of a room, with points outside and inside of it."""

    name: str
    room: Room
    outside_m: Point
    inside_m: Point
    hidden_m: Point  # further outside, visible to no camera


def portals() -> tuple[Portal, ...]:
    """Return the six openings of lobby and gallery."""
    found = []
    for number, (span, room) in enumerate(
        zip(NORTH_OPENINGS_M, ("lobby", "lobby", "gallery"), strict=True), start=1
    ):
        x = (span[0] + span[1]) / 2
        inside, outside = (x, ROOM_Y_M[1] - 0.9), (x, ROOM_Y_M[1] + OUTSIDE_M)
        found.append(Portal(f"north {number}", _room(room), outside, inside, (x + 3.4, outside[1] + 0.1)))
    y = (WEST_OPENING_M[0] + WEST_OPENING_M[1]) / 2
    found.append(Portal("west", "lobby", (-1.1, y), (0.9, y), (-1.1, y - 2.6)))
    y = (LOBBY_MOUTH_M[0] + LOBBY_MOUTH_M[1]) / 2
    found.append(Portal("lobby mouth", "lobby", (17.2, y), (LOBBY_X_M[1] - 0.9, y), (18.2, 3.6)))
    y = (GALLERY_MOUTH_M[0] + GALLERY_MOUTH_M[1]) / 2
    found.append(Portal("gallery mouth", "gallery", (18.9, y), (GALLERY_X_M[0] + 0.9, y), (18.0, 3.4)))
    return tuple(found)


def _room(name: str) -> Room:
    return "lobby" if name == "lobby" else "gallery"


def is_clear(hall: Hall, start_m: Point, end_m: Point) -> bool:
    """Return whether a straight line keeps a distance of CLEARANCE_M from everything on the floor."""
    length = max(float(np.hypot(end_m[0] - start_m[0], end_m[1] - start_m[1])), 1e-6)
    share = np.linspace(0, 1, int(length / 0.15) + 2)[:, None]
    points = np.array(start_m) * (1 - share) + np.array(end_m) * share
    for box in hall.boxes:
        if box.low_m[2] > 1.9:
            continue
        low = np.array(box.low_m[:2]) - CLEARANCE_M
        high = np.array(box.high_m[:2]) + CLEARANCE_M
        if np.any(((points > low) & (points < high)).all(axis=1)):
            return False
    return True


def random_walk(rng: np.random.Generator, hall: Hall, seconds: float, speed_m_s: tuple[float, float]) -> Walk:
    """Draw a walk through one or more rooms that overlaps the time between 0 and `seconds`.

    The person enters a room, crosses it through one or two free points and leaves through another opening. Then the
    walk ends, or continues through the passage or the north corridor into the other room.

    Args:
        rng: random generator.
        hall: contains the obstacles.
        seconds: length of the scene.
        speed_m_s: lowest and highest speed.
    """
    doors = portals()
    door = doors[int(rng.integers(len(doors)))]
    points: list[Point] = [door.hidden_m]
    for _ in range(int(rng.integers(1, 4))):
        others = [other for other in doors if other.room == door.room and other is not door]
        leave = others[int(rng.integers(len(others)))]
        points += [door.outside_m, door.inside_m]
        points += _between(rng, hall, door, leave)
        points += [leave.inside_m, leave.outside_m]
        onward = _behind(leave, doors)
        if onward is None:
            points.append(leave.hidden_m)
            break
        points.append(leave.hidden_m)
        door = onward
    speed = float(rng.uniform(*speed_m_s))
    unplaced = Trajectory.of(Walk(tuple(points), 0.0, speed))
    latest = seconds - 6.0
    earliest = min(-0.75 * unplaced.end_s, latest - 1.0)
    return Walk(tuple(points), float(rng.uniform(earliest, latest)), speed)


def _behind(leave: Portal, doors: tuple[Portal, ...]) -> Portal | None:
    """Return the opening through which a person enters the next room after leaving by `leave`, or None."""
    named = {door.name: door for door in doors}
    onward = {
        "lobby mouth": "gallery mouth",
        "gallery mouth": "lobby mouth",
        "north 2": "north 3",
        "north 3": "north 2",
        "north 1": None,
        "west": None,
    }[leave.name]
    return None if onward is None else named[onward]


def _between(rng: np.random.Generator, hall: Hall, enter: Portal, leave: Portal) -> list[Point]:
    """Draw one or two points in a room, with clear lines between them and the two openings."""
    span = LOBBY_X_M if enter.room == "lobby" else GALLERY_X_M
    for _ in range(400):
        count = int(rng.integers(1, 3))
        points = [
            (float(rng.uniform(span[0] + 1.2, span[1] - 1.2)), float(rng.uniform(1.2, ROOM_Y_M[1] - 1.2)))
            for _ in range(count)
        ]
        way = [enter.inside_m, *points, leave.inside_m]
        turns_back = any(_turn(a, b, c) < -0.2 for a, b, c in zip(way, way[1:], way[2:], strict=False))
        if not turns_back and all(is_clear(hall, a, b) for a, b in itertools.pairwise(way)):
            return points
    return []


def _turn(a: Point, b: Point, c: Point) -> float:
    """Return the cosine of the change of direction at `b`; it is negative for turns of more than 90 degrees."""
    first, second = np.subtract(b, a), np.subtract(c, b)
    scale = max(float(np.linalg.norm(first) * np.linalg.norm(second)), 1e-9)
    return float(first @ second) / scale
