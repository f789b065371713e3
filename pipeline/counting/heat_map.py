"""Where people were for how long: seconds of all people per cell, in the picture of a camera or on the floor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, hypot
from pathlib import Path

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from pipeline.core.errors import RunError
from pipeline.counting.positions import Position
from pipeline.files.whole_files import replacing

Cell = tuple[int, int]
Shape = tuple[str, Sequence[Sequence[float]], bool]
"""Name, points, whether the points are a polygon."""

_SIGMA_CELLS = 1.2
# Over a picture: points per cell across, and opacity of the largest value.
_FINER = 4
_MOST_OPACITY = 0.85
_WIDTH_IN = 8.0
_MARGIN_CELLS = 4
_COLOURS = colormaps["inferno"]
# Over a picture, low values must not darken it: the part of the colours without black.
_BRIGHT_COLOURS = ListedColormap(_COLOURS(np.linspace(0.3, 1.0, 256)))
# Larger maps are of wrong positions; they would fill the memory.
_MOST_CELLS = 4_000_000


@dataclass
class HeatMap:
    """Seconds per cell of one camera or of the floor.

    A person is between two positions at an even pace; the time between them, up to `max_gap_s`, goes to the cells on
    the straight way. Longer gaps give nothing.

    Attributes:
        cell: side of a cell in pixels or metres.
        seconds: (column, row) -> person seconds; cell (0, 0) begins at the origin.
    """

    cell: float
    max_gap_s: float
    seconds: dict[Cell, float] = field(default_factory=dict)
    _last: dict[int, tuple[float, float, float]] = field(default_factory=dict)

    def add(self, position: Position) -> None:
        """Take the next position of a person."""
        time_s, (x, y) = position.time_s, position.xy
        before = self._last.get(position.global_id)
        self._last[position.global_id] = (time_s, x, y)
        if before is None or not 0 < time_s - before[0] <= self.max_gap_s:
            return
        steps = max(1, ceil(hypot(x - before[1], y - before[2]) / self.cell))
        for step in range(steps):
            share = (step + 0.5) / steps
            at = (
                floor((before[1] + share * (x - before[1])) / self.cell),
                floor((before[2] + share * (y - before[2])) / self.cell),
            )
            self.seconds[at] = self.seconds.get(at, 0.0) + (time_s - before[0]) / steps

    def smoothed(self, first: Cell, size: Cell) -> NDArray[np.float64]:
        """Return the cells from `first` on as an array (rows, columns), smoothed with a Gaussian of 1.2 cells."""
        columns, rows = size
        grid = np.zeros((rows, columns), np.float64)
        for (column, row), seconds in self.seconds.items():
            if 0 <= column - first[0] < columns and 0 <= row - first[1] < rows:
                grid[row - first[1], column - first[0]] += seconds
        return np.asarray(cv2.GaussianBlur(grid, (0, 0), _SIGMA_CELLS, borderType=cv2.BORDER_CONSTANT))

    def bounds(self) -> tuple[Cell, Cell]:
        """Return the first cell and the (columns, rows) of the part in which anybody was, with a margin."""
        cells = np.array(list(self.seconds), np.int64).reshape(-1, 2)
        if not len(cells):
            return (0, 0), (1, 1)
        lowest, highest = cells.min(axis=0) - _MARGIN_CELLS, cells.max(axis=0) + _MARGIN_CELLS + 1
        size = highest - lowest
        return (int(lowest[0]), int(lowest[1])), (int(size[0]), int(size[1]))


def add_all(maps: dict[str, HeatMap], positions: Iterable[Position]) -> None:
    """Take positions into the maps of their views."""
    for position in positions:
        maps[position.view].add(position)


def draw_on_picture(
    path: Path,
    heat: HeatMap,
    size_wh: tuple[int, int],
    picture: NDArray[np.uint8] | None,
    shapes: Sequence[Shape],
    title: str,
) -> None:
    """Write the map of a camera over its picture.

    Args:
        size_wh: of the picture in pixels.
        picture: (H, W, 3) uint8 BGR of `size_wh`; None draws on black.
        shapes: zones and lines in its pixels.

    Raises:
        RunError: the file cannot be written.
    """
    width, height = size_wh
    columns, rows = ceil(width / heat.cell), ceil(height / heat.cell)
    grid = heat.smoothed((0, 0), (columns, rows))
    scale = max(float(grid.max()), 1e-9)
    grey = np.zeros((height, width, 3), np.uint8) if picture is None else picture
    # Without its colours, the picture cannot be mistaken for heat.
    grey = np.repeat(cv2.cvtColor(grey, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)
    figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN * height / width * 0.86 + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(grey, extent=(0, width, height, 0))
    fine = cv2.resize(grid, (columns * _FINER, rows * _FINER), interpolation=cv2.INTER_LINEAR)
    image = axes.imshow(
        fine,
        extent=(0, columns * heat.cell, rows * heat.cell, 0),
        cmap=_BRIGHT_COLOURS,
        vmin=0,
        vmax=scale,
        alpha=_MOST_OPACITY * np.sqrt(np.clip(fine / scale, 0, 1)),
    )
    axes.set(xlim=(0, width), ylim=(height, 0), title=_plain(title), xlabel="px", ylabel="px")
    _finish(path, axes, image, shapes, f"{heat.cell:g} x {heat.cell:g} px", y_down=True)


def draw_on_floor(path: Path, heat: HeatMap, shapes: Sequence[Shape], title: str) -> None:
    """Write the map of the floor, in metres with y upwards.

    Raises:
        RunError: the file cannot be written, or the positions are too far apart to draw.
    """
    (column, row), (columns, rows) = heat.bounds()
    if columns * rows > _MOST_CELLS:
        raise RunError(
            f"{path} is not written: the floor positions span {columns * heat.cell:g} x {rows * heat.cell:g} m, so "
            "some of them are wrong; check the homographies"
        )
    grid = heat.smoothed((column, row), (columns, rows))
    left, bottom = column * heat.cell, row * heat.cell
    right, top = left + columns * heat.cell, bottom + rows * heat.cell
    tall = min(max(rows / columns, 0.25), 2.0)
    figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN * tall * 0.86 + 1.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    image = axes.imshow(
        grid,
        extent=(left, right, bottom, top),
        origin="lower",
        cmap=_COLOURS,
        vmin=0,
        vmax=max(float(grid.max()), 1e-9),
        interpolation="bilinear",
    )
    axes.set(xlim=(left, right), ylim=(bottom, top), title=_plain(title), xlabel="x in m", ylabel="y in m")
    _finish(path, axes, image, shapes, f"{heat.cell:g} x {heat.cell:g} m", y_down=False)


def _finish(path: Path, axes: Axes, image: AxesImage, shapes: Sequence[Shape], unit: str, *, y_down: bool) -> None:
    """Draw zones, lines and the scale, and write the file."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    draw_shapes(axes, shapes, y_down=y_down)
    figure.colorbar(image, ax=axes, label=f"person seconds per cell of {unit}", shrink=0.9)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            figure.savefig(part, dpi=110, format="png")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error


def draw_shapes(axes: Axes, shapes: Sequence[Shape], *, y_down: bool) -> None:
    """Draw zones as outlines and lines with an arrow to the side that is in, with their names."""
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    arrow = 0.06 * max(right - left, high - low)
    for name, points, is_polygon in shapes:
        xy = np.array([*points, points[0]] if is_polygon else points, np.float64)
        colour = "cyan" if is_polygon else "lime"
        axes.plot(xy[:, 0], xy[:, 1], color=colour, linewidth=1.5)
        shown = np.clip(xy, (left, low), (right, high))
        lowest, highest = shown.min(axis=0), shown.max(axis=0)
        inward = 0.5 * arrow if y_down else -0.5 * arrow
        at = np.array([(lowest[0] + highest[0]) / 2, (lowest[1] if y_down else highest[1]) + inward])
        if not is_polygon:
            longest = int(np.argmax(np.hypot(*np.diff(xy, axis=0).T)))
            along = xy[longest + 1] - xy[longest]
            across = np.array([-along[1], along[0]]) / np.hypot(*along) * (1 if y_down else -1)
            middle = (xy[longest] + xy[longest + 1]) / 2
            axes.annotate(
                "", middle + arrow * across, middle, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.5}
            )
            at = middle - 0.5 * arrow * across
        axes.annotate(
            _plain(name),
            (float(at[0]), float(at[1])),
            color="white",
            ha="center",
            va="center",
            fontsize=9,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "black", "alpha": 0.6, "linewidth": 0},
        )


def _plain(text: str) -> str:
    """Return a text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")
