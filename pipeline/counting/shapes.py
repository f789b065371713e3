"""Polygons and lines: how far inside a point lies, and where a way crosses.

Shapely computes areas and distances in float64, and says where a polygon crosses itself. OpenCV's polygons are float32,
which at map coordinates of millions of metres is half a metre.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]
_FEWEST_CORNERS = 3
_FEWEST_POINTS = 2


class Area:
    """A simple polygon.

    Args:
        points: (N, 2) corners, in any unit and direction; the last one may repeat the first.
        label: name for messages.

    Raises:
        ValueError: there are fewer than three corners, the border crosses itself, or the area is 0.
    """

    def __init__(self, points: Sequence[Sequence[float]], label: str = "polygon") -> None:
        different = _different(points)
        if different < _FEWEST_CORNERS:
            raise ValueError(f"{label}: a polygon needs 3 different points or more, but it has {different}")
        self._polygon = shapely.Polygon(points)
        if not self._polygon.convex_hull.area:
            raise ValueError(f"{label}: all its points are on one line, so it has no area")
        if not self._polygon.is_valid:
            place = shapely.is_valid_reason(self._polygon).partition("[")[2].rstrip("]").replace(" ", ", ")
            raise ValueError(
                f"{label}: its border crosses or touches itself at {place}; correct the order of points"
            )
        shapely.prepare(self._polygon)
        self._border = self._polygon.exterior
        shapely.prepare(self._border)

    def depths(self, xy: Points) -> NDArray[np.float64]:
        """Return for points (N, 2) the distance (N,) to the border: positive inside, negative outside."""
        distances = shapely.distance(self._border, shapely.points(xy))
        inside = shapely.contains_xy(self._polygon, xy)
        return np.asarray(np.where(inside, distances, -distances), np.float64)

    def is_within_its_margin(self, margin: float) -> bool:
        """Return whether no point is further than `margin` from the border."""
        return bool(self._polygon.buffer(-margin).is_empty)


class Path:
    """A line of two or more points, with a left and a right side.

    Args:
        points: (N, 2), in order.
        label: name for messages.

    Raises:
        ValueError: there are fewer than two different points, or the line crosses itself.
    """

    def __init__(self, points: Sequence[Sequence[float]], label: str = "line") -> None:
        different = _different(points)
        if different < _FEWEST_POINTS:
            raise ValueError(f"{label}: a line needs 2 different points or more, but it has {different}")
        corners = np.asarray(points, np.float64).reshape(-1, 2)
        self._line = shapely.LineString(corners)
        if not self._line.is_simple:
            raise ValueError(f"{label} crosses or touches itself: nobody can tell one side from the other")
        shapely.prepare(self._line)
        self._corners = corners[np.insert(np.any(np.diff(corners, axis=0) != 0, axis=1), 0, True)]

    def distances(self, xy: Points) -> NDArray[np.float64]:
        """Return the distances (N,) of points (N, 2)."""
        return np.asarray(shapely.distance(self._line, shapely.points(xy)), np.float64)

    def crossings(self, begin_xy: Sequence[float], end_xy: Sequence[float]) -> list[tuple[float, int]]:
        """Return where a straight way crosses the line.

        A point exactly on the line counts as beside it, always on the same side, so a way that stops on the line and
        goes on crosses it once, and one that touches a corner crosses it not at all.

        Returns:
            (share of the way, 1 or -1) of each crossing, in order: 1 in the direction of growing angle, which is to
            the right of the line where y points down, as in pictures, and to the left where y points up.
        """
        begin, end = np.asarray(begin_xy, np.float64), np.asarray(end_xy, np.float64)
        heads, tails = self._corners[1:], self._corners[:-1]
        along = heads - tails
        before, after = _cross(along, begin - tails), _cross(along, end - tails)
        # The same for the way back, so that a way through the end of the line crosses it in both directions or in none.
        way = end - begin if tuple(begin) <= tuple(end) else begin - end
        corners = _cross(way, self._corners - begin) >= 0
        crossed = ((before >= 0) != (after >= 0)) & (corners[1:] != corners[:-1])
        found = [
            (float(before[one] / (before[one] - after[one])), 1 if after[one] >= 0 else -1)
            for one in np.flatnonzero(crossed)
        ]
        return sorted(found)


def _different(points: Sequence[Sequence[float]]) -> int:
    return len({(float(x), float(y)) for x, y in points})


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the z component of the cross products of vectors in the plane."""
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
