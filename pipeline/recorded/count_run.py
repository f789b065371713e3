"""Counts the people of a finished run."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.errors import InputError
from pipeline.counting.count import Counted, count
from pipeline.counting.settings import (
    FLOOR,
    CountingSettings,
    LineSettings,
    ZoneSettings,
    cameras_of,
    check_cameras,
    check_pictures,
)
from pipeline.recorded.countable_run import CountableRun


def count_run(
    run: CountableRun,
    zones: Sequence[ZoneSettings],
    lines: Sequence[LineSettings],
    settings: CountingSettings,
) -> Counted:
    """Count the people of a run; nothing is written.

    Raises:
        InputError: a zone or a line does not fit the cameras of the run, or its rows cannot be read.
    """
    check_cameras(zones, lines, run.camera_ids, floor=run.floor)
    check_pictures(zones, lines, run.drawn_wh)
    counted = count(run.rows(), zones, lines, settings, scale=run.scale, epoch_utc=run.epoch_utc)
    without = sum(counted.left_out.without_floor.values())
    if FLOOR in cameras_of(zones, lines) and 0 < counted.left_out.rows == without:
        raise InputError(
            f"no row of {run.folder} has a floor position (world_x_m), so nobody can be counted on the floor: track "
            "the recordings again with homographies"
        )
    return counted
