"""Writes the heat maps of a finished run: one for each camera, and one of the floor."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import close_sources, open_sources
from pipeline.config.config import load_config
from pipeline.core.datatypes import LinkedRow
from pipeline.core.errors import InputError
from pipeline.counting.heat_map import HeatMap, Shape, add_all, draw_on_floor, draw_on_picture
from pipeline.counting.positions import Positions
from pipeline.counting.settings import FLOOR, CountingSettings, LineSettings, ZoneSettings
from pipeline.files.run_folder import FLOOR_HEAT_MAP
from pipeline.recorded.background import background
from pipeline.recorded.countable_run import CountableRun

_CELL_M = 0.25
# Cells across the picture of a camera.
_CELLS_ACROSS = 80
_ROWS_AT_ONCE = 5000
_log = logging.getLogger(__name__)


def write_heat_maps(
    run: CountableRun,
    zones: Sequence[ZoneSettings],
    lines: Sequence[LineSettings],
    settings: CountingSettings,
    folder: Path,
) -> list[Path]:
    """Write heat_map-CAMERA.png for each camera with a known picture, and floor_heat_map.png if there are homographies.

    Returns:
        The files.

    Raises:
        InputError: the rows cannot be read.
        RunError: a file cannot be written.
    """
    maps = {
        name: HeatMap(max(1.0, round(width / _CELLS_ACROSS)), settings.max_gap_s)
        for name, (width, _) in run.drawn_wh.items()
    }
    if run.floor:
        maps[FLOOR] = HeatMap(_CELL_M, settings.max_gap_s)
    positions = Positions(maps, settings.same_moment_s, run.scale)
    batch: list[LinkedRow] = []
    for linked in run.rows():
        if settings.classes is not None and linked.row.class_name not in settings.classes:
            continue
        if len(batch) >= _ROWS_AT_ONCE and linked.row.time_s != batch[-1].row.time_s:
            add_all(maps, positions.of(batch))
            batch = []
        batch.append(linked)
    add_all(maps, positions.of(batch))
    paths = []
    for camera, heat in maps.items():
        shapes: list[Shape] = [
            *((zone.name, zone.shapes[camera], True) for zone in zones if camera in zone.shapes),
            *((line.name, line.shapes[camera], False) for line in lines if camera in line.shapes),
        ]
        total = f"{sum(heat.seconds.values()):.0f} person seconds"
        path = folder / (FLOOR_HEAT_MAP if camera == FLOOR else f"heat_map-{camera}.png")
        if camera == FLOOR:
            draw_on_floor(path, heat, shapes, f"floor: {total}")
        else:
            size_wh = run.drawn_wh[camera]
            draw_on_picture(path, heat, size_wh, _picture(run, camera, size_wh), shapes, f"{camera}: {total}")
        paths.append(path)
    return paths


def _picture(run: CountableRun, camera: str, size_wh: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Return the picture of a camera; None, with a warning, if its recording is no longer there."""
    entry = run.cameras.get(camera)
    if run.live or entry is None:
        return None
    try:
        sources, _ = open_sources(load_config(None, {"cameras": [{**entry, "start_utc": None, "start_s": 0.0}]}))
    except InputError as error:
        _log.warning("the heat map of camera %s has no picture behind it: %s", camera, error)
        return None
    try:
        image = background(sources[0])
    finally:
        close_sources(sources)
    if image is None:
        return None
    return np.asarray(cv2.resize(image, size_wh), np.uint8)
