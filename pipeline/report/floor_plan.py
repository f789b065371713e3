"""Lays out the paths of people on the floor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.decisions import TrackKey
from pipeline.core.floor_area import FloorArea, floor_area
from pipeline.cross_camera.floor_path import SLOT_S
from pipeline.recorded.missing_tracklets import TrackRows
from pipeline.recorded.people import STAY_GAP_S, Person

# Feet are often hidden, so single positions jump; this many slots together show the walk.
_SMOOTHED_SLOTS = 5
_MOST_POINTS = 80


@dataclass(frozen=True)
class Path:
    """Part of a person's way that one camera or several saw.

    Attributes:
        camera: number of the camera that saw most of it.
        points: as in the attribute `points` of an SVG polyline, in metres.
        start_xy_m: its first point.
    """

    person: Person
    camera: int
    points: str
    start_xy_m: tuple[float, float]


@dataclass(frozen=True)
class FloorPlan:
    """Paths, with the area that they cover.

    Attributes:
        left, top, width, height: of the area in metres.
        square_m: width of a grid square.
        grid: path data of the grid.
        outside: number of positions that are not in the area.
    """

    left: float
    top: float
    width: float
    height: float
    square_m: float
    grid: str
    paths: Sequence[Path]
    outside: int

    @property
    def unit(self) -> float:
        """A hundredth of the longer side in metres, for the widths of lines."""
        return max(self.width, self.height) / 100


def paths_of(plan: FloorPlan, person: Person) -> FloorPlan | None:
    """Return the same plan with the paths of one person; None without any."""
    own = [path for path in plan.paths if path.person is person]
    return replace(plan, paths=own) if own else None


def floor_plan(
    people: Iterable[Person], tracks: Mapping[TrackKey, TrackRows], cameras: Mapping[str, int]
) -> FloorPlan | None:
    """Return the plan, None if fewer than two floor positions are known.

    Args:
        tracks: with floor positions.
        cameras: camera -> its number.
    """
    ways = [
        (person, cameras[camera_id], xy_m)
        for person in people
        for camera_id, xy_m in _ways(person, tracks)
        if len(xy_m)
    ]
    if sum(len(xy_m) for *_, xy_m in ways) < 2:
        return None
    every = np.concatenate([xy_m for *_, xy_m in ways])
    area = floor_area(every)
    outside = int((~area.holds(every)).sum())
    return FloorPlan(
        left=round(area.left, 2),
        top=round(area.top, 2),
        width=round(area.width, 2),
        height=round(area.height, 2),
        square_m=area.square_m,
        grid=_grid(area),
        paths=[_path(person, camera, xy_m) for person, camera, xy_m in ways],
        outside=outside,
    )


def _ways(person: Person, tracks: Mapping[TrackKey, TrackRows]) -> list[tuple[str, NDArray[np.float64]]]:
    """Return the parts of a person's way, each with its camera and (P, 2) positions in metres, smoothed. A part ends
    where the camera changes or after an absence."""
    found = []
    for stay in person.stays:
        parts = [tracks[track.key].floor for track in stay.tracks if track.key in tracks]
        slots = np.concatenate([part.slots for part in parts]) if parts else np.zeros(0, np.int64)
        if not len(slots):
            continue
        xy_m = np.concatenate([part.xy_m for part in parts])
        order = np.argsort(slots, kind="stable")
        slots, xy_m = slots[order], xy_m[order]
        breaks = np.flatnonzero(np.diff(slots) * SLOT_S > STAY_GAP_S) + 1
        found += [(stay.camera_id, _thinned(_smoothed(part))) for part in np.split(xy_m, breaks)]
    return found


def _smoothed(xy_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return running means of running medians: a single wrong position disappears."""
    half = _SMOOTHED_SLOTS // 2
    windows = [slice(max(row - half, 0), row + half + 1) for row in range(len(xy_m))]
    medians = np.stack([np.median(xy_m[window], axis=0) for window in windows])
    return np.stack([medians[window].mean(axis=0) for window in windows])


def _thinned(xy_m: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(xy_m) <= _MOST_POINTS:
        return xy_m
    return xy_m[np.linspace(0, len(xy_m) - 1, _MOST_POINTS).round().astype(np.int64)]


def _grid(area: FloorArea) -> str:
    left, top, square_m = area.left, area.top, area.square_m
    lines = [
        f"M{number * square_m:.2f} {top:.2f}v{area.height:.2f}"
        for number in range(math.ceil(left / square_m), math.floor((left + area.width) / square_m) + 1)
    ]
    lines += [
        f"M{left:.2f} {number * square_m:.2f}h{area.width:.2f}"
        for number in range(math.ceil(top / square_m), math.floor((top + area.height) / square_m) + 1)
    ]
    return "".join(lines)


def _path(person: Person, camera: int, xy_m: NDArray[np.float64]) -> Path:
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in xy_m.tolist())
    return Path(person, camera, points, (round(float(xy_m[0, 0]), 2), round(float(xy_m[0, 1]), 2)))
