"""Fits homographies from pixels to the floor to pairs of points, and measures their errors."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError, RunError
from pipeline.files.csv_rows import CsvRows
from pipeline.files.number_text import parse_number, yaml_number
from pipeline.files.whole_files import SHARED_MODE, write_whole

Array = NDArray[np.float64]

_PAIR_COLUMNS = ("image_x_px", "image_y_px", "floor_x_m", "floor_y_m")
_FEWEST_PAIRS = 4
# What a camera that watches people sees of the floor, between the points that are furthest apart.
_SHORTEST_SPAN_M, _LONGEST_SPAN_M = 0.5, 500.0
_LARGEST = 1e9
# Singular values up to this count as 0, in coordinates scaled to size 1. Rounding turns 0 into about 1e-16, and a fit
# turns it into 1e-9 or more.
_NOTHING = 1e-6


@dataclass(frozen=True, eq=False)
class FloorFit:
    """A homography and its errors at the points that it was computed from.

    Attributes:
        matrix: (3, 3), pixel (x, y, 1) -> floor (x, y, 1) in metres, up to scale.
        error_m: (N,) distance on the floor, in metres, between each pair's floor point and its mapped image point.
        error_px: (N,) distance in the image, in px, between each pair's image point and its mapped floor point.
        used: (N,) bool, pairs that took part; the others were treated as mistakes.
    """

    matrix: Array
    error_m: Array
    error_px: Array
    used: NDArray[np.bool_]

    @property
    def summary(self) -> str:
        """The number of pairs that took part, and their errors, in words."""
        error_m, error_px = self.error_m[self.used], self.error_px[self.used]
        return (
            f"{self.used.sum()} of {len(self.used)} pairs used; reprojection error {_rms(error_m):.3f} m on the floor "
            f"(worst {error_m.max():.3f}), {_rms(error_px):.1f} px in the picture (worst {error_px.max():.1f})"
        )

    def warnings(self, floor_m: Array) -> list[str]:
        """Return sentences about pairs that prove nothing, or floor points (N, 2) that are unlikely."""
        found = [] if (problem := unlikely_span(floor_m)) is None else [problem]
        if self.used.sum() == _FEWEST_PAIRS:
            found.append("Four pairs always fit exactly: give more to measure the error.")
        return found

    @property
    def yaml(self) -> str:
        """The homography as the configuration of a camera takes it, with line ends."""
        return homography_yaml(self.matrix)


def fit_homography(image_px: Array, floor_m: Array, *, max_error_m: float | None = None) -> FloorFit:
    """Fit the homography with least squares on the floor: normalised DLT, then Levenberg-Marquardt (OpenCV).

    Args:
        image_px, floor_m: (N, 2) each, N >= 4; if all but one lie on a line, the homography is not determined.
        max_error_m: in metres, above 0; pairs with a larger error are left out as mistakes (RANSAC). None uses all.

    Raises:
        InputError: there are too few pairs; all of them, or all but one, lie on a line; `max_error_m` is not above 0.
    """
    # OpenCV replaces values that are not above 0 by 3.
    if max_error_m is not None and not max_error_m > 0:
        raise InputError(f"max_error_m must be above 0, but is {max_error_m:g}: every pair has some error")
    if len(image_px) < _FEWEST_PAIRS:
        raise InputError(f"there are {len(image_px)} pairs of points; a homography needs at least {_FEWEST_PAIRS}")
    largest = max(float(np.abs(points).max()) for points in (image_px, floor_m))
    if not largest <= _LARGEST:
        raise InputError(f"a coordinate is {largest:g}, but must be at most {_LARGEST:g}; correct the pairs")
    on_a_line = "the points lie on a line, or nearly; spread them over the floor that the camera sees"
    if _flat(image_px) or _flat(floor_m):
        raise InputError(on_a_line)
    # OpenCV computes in float32, which cannot hold centimetres of map coordinates such as UTM.
    to_small = [_normalisation(points) for points in (image_px, floor_m)]
    small_image, small_floor = apply_homography(to_small[0], image_px), apply_homography(to_small[1], floor_m)
    used = np.ones(len(image_px), np.bool_)
    if max_error_m is None:
        # The mask is not used: OpenCV 5 fills it here as well, with a limit of 3 floor units that nobody chose.
        matrix, _ = cv2.findHomography(small_image, small_floor, 0)
    else:
        small_error = max_error_m * float(to_small[1][0, 0])
        matrix, mask = cv2.findHomography(small_image, small_floor, cv2.RANSAC, small_error, maxIters=10_000)
        used = np.zeros_like(used) if matrix is None else mask.ravel().astype(np.bool_)
        if used.sum() < _FEWEST_PAIRS:
            raise InputError(
                f"no {_FEWEST_PAIRS} of the {len(used)} pairs agree to {max_error_m:g} m; correct the pairs, or allow "
                "a larger error"
            )
    if matrix is None or not np.isfinite(matrix).all():
        raise InputError(on_a_line)
    fitted: Array = np.asarray(np.linalg.inv(to_small[1]) @ np.asarray(matrix) @ to_small[0], np.float64)
    if _undetermined(image_px[used], floor_m[used], fitted):
        raise InputError(
            "all but one of the points lie on a line, in the image or on the floor; add points off that line"
        )
    # Measured in the small coordinates: the inverse for map coordinates is inexact.
    small_matrix: Array = np.asarray(matrix, np.float64)
    forth = apply_homography(small_matrix, small_image)
    back = apply_homography(np.asarray(np.linalg.inv(small_matrix), np.float64), small_floor)
    return FloorFit(
        matrix=fitted,
        error_m=np.linalg.norm(forth - small_floor, axis=1) / to_small[1][0, 0],
        error_px=np.linalg.norm(back - small_image, axis=1) / to_small[0][0, 0],
        used=used,
    )


def homography_yaml(matrix: Array) -> str:
    """Return a homography (3, 3) as the configuration of a camera takes it, with line ends."""
    rows = (f"  - [{', '.join(map(yaml_number, row.tolist()))}]\n" for row in matrix)
    return "".join(["homography:\n", *rows])


def _rms(errors: Array) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def apply_homography(matrix: Array, points: Array) -> Array:
    """Map (N, 2) points with a (3, 3) homography."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:], np.float64)


def unlikely_span(floor_m: Array) -> str | None:
    """Return a sentence if the floor points (N, 2) span a distance that no camera's view has in metres."""
    span_m = float(np.ptp(floor_m, axis=0).max())
    if _SHORTEST_SPAN_M <= span_m <= _LONGEST_SPAN_M:
        return None
    return (
        f"the points span {span_m:.3g} m of the floor, which is unlikely: floor_x_m and floor_y_m are in metres, not "
        "in degrees, kilometres or millimetres"
    )


def read_pairs(path: Path) -> tuple[Array, Array]:
    """Read image points in px and floor points in metres, (N, 2) each, from a CSV with the columns image_x_px,
    image_y_px, floor_x_m and floor_y_m.

    Raises:
        InputError: the file cannot be read, a column is missing, or a value is not a number (with its line).
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = CsvRows(file)
            header = next(reader, [])
            missing = [name for name in _PAIR_COLUMNS if name not in header]
            if missing:
                raise InputError(f"{path}: the header has no column {', '.join(missing)}")
            columns = {name: header.index(name) for name in _PAIR_COLUMNS}
            rows = [
                [
                    parse_number(path, reader.line_num, name, row[column] if column < len(row) else None)
                    for name, column in columns.items()
                ]
                for row in reader
                if row
            ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except csv.Error as error:
        raise InputError(f"{path}: is not CSV text ({error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save the table as CSV in UTF-8") from error
    table = np.array(rows, np.float64).reshape(-1, 4)
    return table[:, :2], table[:, 2:]


def write_pairs(path: Path, image_px: Array, floor_m: Array) -> None:
    """Write pairs of points as `read_pairs` reads them; an old file is replaced.

    Args:
        image_px, floor_m: (N, 2) each.

    Raises:
        RunError: it cannot be written; an old file stays.
    """
    rows = np.column_stack([image_px, floor_m]).tolist()
    lines = [",".join(_PAIR_COLUMNS), *(",".join(f"{value:.12g}" for value in row) for row in rows)]
    try:
        write_whole(path, ("\n".join(lines) + "\n").encode(), mode=SHARED_MODE)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error


def floor_grid_px(matrix: Array, floor_m: Array) -> list[Array]:
    """Return lines of a grid on the floor between the floor points, in the picture, to check a homography by eye.

    Args:
        matrix: (3, 3), pixel -> floor.
        floor_m: (N, 2) points that it was fitted to.

    Returns:
        (P, 2) points in pixels of each line; parts on the other side of the horizon are left out. The lines are 1 m
        apart, or further if the points span more than 20 m.
    """
    lowest, highest = floor_m.min(axis=0), floor_m.max(axis=0)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, np.inf) if np.ptp(floor_m, axis=0).max() <= 20 * step)
    if not np.isfinite(step):
        return []
    along = [
        np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step
        for low, high in zip(lowest, highest, strict=True)
    ]
    share = np.linspace(0, 1, 41)[:, None]
    ends = [((x, along[1][0]), (x, along[1][-1])) for x in along[0]] + [
        ((along[0][0], y), (along[0][-1], y)) for y in along[1]
    ]
    inverse: Array = np.asarray(np.linalg.inv(matrix), np.float64)
    side = np.sign(np.column_stack([floor_m, np.ones(len(floor_m))]) @ inverse[2]).sum()
    lines = []
    for begin, end in ends:
        points = np.array(begin) + share * (np.array(end) - np.array(begin))
        in_view = (np.column_stack([points, np.ones(len(points))]) @ inverse[2]) * side > 0
        if in_view.sum() > 1:
            lines.append(apply_homography(inverse, points[in_view]))
    return lines


def _flat(points: Array) -> bool:
    """Return whether the points lie on a line: their spread across it is at most a thousandth of that along it."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] <= 1e-3 * spread[0])


def _undetermined(image_px: Array, floor_m: Array, matrix: Array) -> bool:
    """Return whether another homography fits the pairs as well, or this one has no inverse.

    The equations are those of the DLT (Hartley and Zisserman, Multiple View Geometry, 4.1); their rank is 8 if there is
    only one solution.
    """
    to_small = [_normalisation(points) for points in (image_px, floor_m)]
    image, floor = (
        apply_homography(to_unit, points) for to_unit, points in zip(to_small, (image_px, floor_m), strict=True)
    )
    ones, none = np.ones((len(image), 1)), np.zeros((len(image), 3))
    point = np.column_stack([image, ones])
    equations = np.concatenate(
        [
            np.column_stack([point, none, -floor[:, :1] * point]),
            np.column_stack([none, point, -floor[:, 1:] * point]),
        ]
    )
    rank = np.linalg.svd(equations, compute_uv=False)
    stretch = np.linalg.svd(to_small[1] @ matrix @ np.linalg.inv(to_small[0]), compute_uv=False)
    return bool(rank[7] <= _NOTHING * rank[0] or stretch[2] <= _NOTHING * stretch[0])


def _normalisation(points: Array) -> Array:
    """Return the (3, 3) matrix that moves the centre of points (N, 2) to 0 and scales them to size 1."""
    centre = points.mean(axis=0)
    size = float(np.abs(points - centre).max())
    return np.array([[1 / size, 0, -centre[0] / size], [0, 1 / size, -centre[1] / size], [0, 0, 1.0]])
