"""The ways between cameras that people took, and how long these took."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from pipeline.recorded.people import Person

_WIDTH, _HEIGHT = 480.0, 330.0
_HEIGHT_OF_TWO = 190.0
_NODE_R = 30.0
# Two arrows between the same cameras bend apart by this share of their length.
_BEND = 0.16
# In the middle, the texts of several arrows would be upon each other.
_TEXT_AT = 0.36


@dataclass(frozen=True)
class Transit:
    """All walks from one camera to the next one.

    Attributes:
        gaps_s: sorted seconds between the last box in one camera and the first in the next; negative if both saw the
            person at the same time.
    """

    from_camera: str
    to_camera: str
    gaps_s: Sequence[float]

    @property
    def count(self) -> int:
        """Number of walks."""
        return len(self.gaps_s)

    @property
    def median_s(self) -> float:
        """Median of the times."""
        return median(self.gaps_s)


@dataclass(frozen=True)
class Node:
    """A camera in the graph, at its place in the drawing."""

    camera_id: str
    camera: int
    x: float
    y: float
    people: int


@dataclass(frozen=True)
class Arrow:
    """A transit in the graph: path data, and the place of its text."""

    transit: Transit
    path: str
    text_x: float
    text_y: float
    width: float


@dataclass(frozen=True)
class CameraGraph:
    """The drawing: sizes in its own units."""

    width: float
    height: float
    node_r: float
    nodes: Sequence[Node]
    arrows: Sequence[Arrow]


def transits(people: Iterable[Person]) -> list[Transit]:
    """Return the walks between cameras, the most frequent ones first. A person who is in a camera again and again
    without another one in between walks to no other camera."""
    gaps_s: dict[tuple[str, str], list[float]] = defaultdict(list)
    for person in people:
        for before, after in pairwise(person.stays):
            if before.camera_id != after.camera_id:
                gaps_s[before.camera_id, after.camera_id].append(after.start_s - before.end_s)
    found = [Transit(*cameras, sorted(values)) for cameras, values in gaps_s.items()]
    return sorted(found, key=lambda one: (-one.count, one.from_camera, one.to_camera))


def camera_graph(people: Sequence[Person], cameras: Mapping[str, int], walks: Sequence[Transit]) -> CameraGraph:
    """Return the cameras on an ellipse, with an arrow for each transit."""
    height = _HEIGHT_OF_TWO if len(cameras) == 2 else _HEIGHT
    nodes = {}
    for camera_id, number in cameras.items():
        # Two cameras are beside each other; the first of more is at the top.
        turn = 2 * math.pi * number / max(len(cameras), 1) - (math.pi if len(cameras) == 2 else math.pi / 2)
        nodes[camera_id] = Node(
            camera_id,
            number,
            round(_WIDTH / 2 + (_WIDTH / 2 - _NODE_R - 42) * math.cos(turn), 1),
            round(height / 2 + (height / 2 - _NODE_R - 24) * math.sin(turn), 1),
            sum(camera_id in person.camera_ids for person in people),
        )
    most = max((walk.count for walk in walks), default=1)
    arrows = [_arrow(walk, nodes[walk.from_camera], nodes[walk.to_camera], most) for walk in walks]
    return CameraGraph(_WIDTH, height, _NODE_R, list(nodes.values()), arrows)


def _arrow(walk: Transit, start: Node, end: Node, most: int) -> Arrow:
    across_x, across_y = end.x - start.x, end.y - start.y
    length = math.hypot(across_x, across_y)
    # The control point is beside the middle, to the left of the direction of walking.
    bend_x = (start.x + end.x) / 2 + 2 * _BEND * across_y
    bend_y = (start.y + end.y) / 2 - 2 * _BEND * across_x
    from_x, from_y = _towards(start, bend_x, bend_y, _NODE_R + 2)
    to_x, to_y = _towards(end, bend_x, bend_y, _NODE_R + 8)
    text_x = _on_curve(from_x, bend_x, to_x) + 9 * across_y / length
    text_y = _on_curve(from_y, bend_y, to_y) - 9 * across_x / length
    path = f"M{from_x:.1f} {from_y:.1f}Q{bend_x:.1f} {bend_y:.1f} {to_x:.1f} {to_y:.1f}"
    return Arrow(walk, path, round(text_x, 1), round(text_y, 1), round(1.5 + 3 * walk.count / most, 1))


def _on_curve(start: float, control: float, end: float) -> float:
    """Return a coordinate of the place of the text on a quadratic curve."""
    t = _TEXT_AT
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def _towards(node: Node, x: float, y: float, distance: float) -> tuple[float, float]:
    away_x, away_y = x - node.x, y - node.y
    length = math.hypot(away_x, away_y)
    return node.x + distance * away_x / length, node.y + distance * away_y / length
