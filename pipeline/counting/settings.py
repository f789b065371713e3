"""Settings of zones, lines and counting; configs/default.yaml explains every key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline.core.errors import InputError
from pipeline.core.section import Count, NotNegative, Positive, Section
from pipeline.counting.shapes import Area, Path

Point = Annotated[list[float], Field(min_length=2, max_length=2)]
# Blanks are allowed inside; commas and quotes would make labels and tables hard to read.
Name = Annotated[str, Field(pattern=r"^[\w.-]+( [\w.-]+)*$", max_length=100)]
#: Stands for the floor where a camera name is expected: a shape in metres belongs to no camera.
FLOOR = ""
# A shape that covers less than this of the picture, across or down, was drawn in another picture.
_LEAST_SHARED_PX = 2


class ZoneSettings(Section):
    """A zone: one polygon on the floor, or a polygon in the picture of each of some cameras, which are united."""

    name: Name
    polygon_m: list[Point] | None = None
    polygons_px: dict[str, list[Point]] | None = None
    dwell_s: Positive | None = None
    max_people: Count | None = None

    @model_validator(mode="after")
    def _drawn(self) -> ZoneSettings:
        _check_one("polygon_m", self.polygon_m, "polygons_px", self.polygons_px)
        for camera, points in self.shapes.items():
            Area(points, _where("polygon_m", "polygons_px", camera))
        return self

    @property
    def shapes(self) -> dict[str, list[list[float]]]:
        """Camera -> points in pixels; `FLOOR` -> points in metres."""
        return {FLOOR: self.polygon_m} if self.polygon_m is not None else dict(self.polygons_px or {})


class LineSettings(Section):
    """A line of two or more points on the floor, or in the picture of each of some cameras that see the same line."""

    name: Name
    points_m: list[Point] | None = None
    points_px: dict[str, list[Point]] | None = None

    @model_validator(mode="after")
    def _drawn(self) -> LineSettings:
        _check_one("points_m", self.points_m, "points_px", self.points_px)
        for camera, points in self.shapes.items():
            Path(points, _where("points_m", "points_px", camera))
        return self

    @property
    def shapes(self) -> dict[str, list[list[float]]]:
        """Camera -> points in pixels; `FLOOR` -> points in metres."""
        return {FLOOR: self.points_m} if self.points_m is not None else dict(self.points_px or {})


class CountingSettings(Section):
    """Limits that hold for every zone and line."""

    margin_m: NotNegative
    margin_px: NotNegative
    min_s: NotNegative
    max_gap_s: Positive
    same_crossing_s: NotNegative
    same_moment_s: NotNegative
    min_seen_s: NotNegative
    classes: Annotated[list[str], Field(min_length=1)] | None

    def margin(self, camera: str) -> float:
        """Return the margin of shapes of a camera in pixels, or of the floor in metres."""
        return self.margin_m if camera == FLOOR else self.margin_px

    @model_validator(mode="after")
    def _ordered(self) -> CountingSettings:
        if self.min_s > self.max_gap_s:
            raise ValueError(f"min_s {self.min_s} is above max_gap_s {self.max_gap_s}")
        return self


def check_counting(
    zones: Sequence[ZoneSettings], lines: Sequence[LineSettings], settings: CountingSettings
) -> None:
    """Raise InputError if two zones or two lines have one name, or a zone is narrower than its margins."""
    for kind, names in (("zone", [zone.name for zone in zones]), ("line", [line.name for line in lines])):
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{kind} {name!r} is named twice: give each {kind} a name of its own")
    for zone in zones:
        for camera, points in zone.shapes.items():
            margin = settings.margin(camera)
            if Area(points).is_within_its_margin(margin):
                key, unit = ("margin_m", "m") if camera == FLOOR else ("margin_px", "px")
                raise InputError(
                    f"zone {zone.name!r}: no point of it is further than counting.{key}, {margin:g} {unit}, from its "
                    "border, so nobody could be inside: draw a larger zone, or set a smaller margin"
                )


def check_cameras(
    zones: Sequence[ZoneSettings],
    lines: Sequence[LineSettings],
    camera_ids: Sequence[str],
    *,
    floor: bool,
) -> None:
    """Check that zones and lines can be seen.

    Args:
        camera_ids: cameras of the run.
        floor: whether a camera has a homography.

    Raises:
        InputError: a zone or a line is in an unknown camera, or on the floor although no camera has a homography.
    """
    for kind, name, camera, _ in _all_shapes(zones, lines):
        if camera == FLOOR and not floor:
            raise InputError(
                f"{kind} {name!r} is in metres on the floor, but no camera has a homography: `mtmc homography` "
                "computes one, or draw it in pixels of a camera"
            )
        if camera != FLOOR and camera not in camera_ids:
            raise InputError(
                f"{kind} {name!r} is in camera {camera!r}, but the cameras are {', '.join(camera_ids) or 'none'}"
            )


def check_pictures(
    zones: Sequence[ZoneSettings],
    lines: Sequence[LineSettings],
    sizes_wh: Mapping[str, tuple[int, int]],
) -> None:
    """Raise InputError if a zone or a line lies outside the picture of its camera, where nobody is seen.

    Args:
        sizes_wh: camera -> (width, height) in pixels in which the shapes are drawn; shapes of other cameras are not
            checked.
    """
    for kind, name, camera, points in _all_shapes(zones, lines):
        if camera in sizes_wh and _outside(np.array(points, np.float64), sizes_wh[camera]):
            lowest, highest = np.min(points, axis=0), np.max(points, axis=0)
            width, height = sizes_wh[camera]
            raise InputError(
                f"{kind} {name!r} reaches from {lowest[0]:g}, {lowest[1]:g} to {highest[0]:g}, {highest[1]:g}, outside "
                f"the picture of camera {camera}, which is {width}x{height}: its points are pixels of this picture"
            )


def cameras_of(zones: Collection[ZoneSettings], lines: Collection[LineSettings]) -> list[str]:
    """Return the cameras in whose pictures something is drawn, and `FLOOR` if something is on the floor; sorted."""
    shapes = [*(zone.shapes for zone in zones), *(line.shapes for line in lines)]
    return sorted({camera for each in shapes for camera in each})


def _outside(points: NDArray[np.float64], size_wh: tuple[int, int]) -> bool:
    lowest, highest = points.min(axis=0), points.max(axis=0)
    size = np.array(size_wh, np.float64)
    shared = np.minimum(highest, size) - np.maximum(lowest, 0)
    # A line may be exactly upright or level; then it has no extent in one direction.
    return bool((shared < np.minimum(_LEAST_SHARED_PX, highest - lowest)).any())


def _all_shapes(
    zones: Sequence[ZoneSettings], lines: Sequence[LineSettings]
) -> Iterator[tuple[str, str, str, list[list[float]]]]:
    """Yield (zone or line, name, camera or FLOOR, points)."""
    for zone in zones:
        yield from (("zone", zone.name, camera, points) for camera, points in zone.shapes.items())
    for line in lines:
        yield from (("line", line.name, camera, points) for camera, points in line.shapes.items())


def _check_one(name_m: str, in_m: Any, name_px: str, in_px: Any) -> None:
    if (in_m is None) == (in_px is None):
        raise ValueError(f"give either {name_m} (on the floor) or {name_px} (camera: points)")
    if in_px is not None and not in_px:
        raise ValueError(f"{name_px} names no camera: write camera: [[x, y], ...]")


def _where(name_m: str, name_px: str, camera: str) -> str:
    return name_m if camera == FLOOR else f"{name_px}.{camera}"
