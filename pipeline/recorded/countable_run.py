"""Opens a finished run of `track` or `live` for counting: its rows in order of time, with their final ids."""

from __future__ import annotations

import heapq
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.config.config import CameraConfig
from pipeline.core.datatypes import LinkedRow, TrajectoryRow
from pipeline.core.errors import InputError
from pipeline.counting.positions import PictureScale
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import NOTE_NAME, read_note
from pipeline.live.output.segments import EPOCH_UTC, segments
from pipeline.stored.run import stored_runs

# Live rows are in order of time except for the delays of the cameras, which are below this.
_DISORDER_S = 60.0
# Times are rounded to milliseconds.
_ROUNDING_S = 0.002
# Clipped boxes end at the border of the picture; beyond this they are of a larger one.
_BEYOND_PX = 1.5
_COUNTED = ("zones", "lines", "counting")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CountableRun:
    """A finished run.

    Attributes:
        folder: of the run.
        live: whether `mtmc live` wrote it.
        camera_ids: its cameras.
        sizes_wh: camera -> (width, height) in pixels of its picture; cameras that gave no picture are missing.
        drawn_wh: the same of the picture in which zones are drawn (`calibrated_size_wh`).
        floor: whether a camera has a homography.
        epoch_utc: date and time of second 0; None if unknown.
        counting: the sections zones, lines and counting of its configuration; empty if it has none.
        cameras: camera -> its entry in the configuration.
    """

    folder: Path
    live: bool
    camera_ids: tuple[str, ...]
    sizes_wh: Mapping[str, tuple[int, int]]
    drawn_wh: Mapping[str, tuple[int, int]]
    floor: bool
    epoch_utc: datetime | None
    counting: Mapping[str, Any]
    cameras: Mapping[str, Mapping[str, Any]]

    @property
    def scale(self) -> PictureScale:
        """Scale of the pictures relative to those in which zones are drawn."""
        return picture_scale(self.sizes_wh, self.drawn_wh)

    def rows(self) -> Iterator[LinkedRow]:
        """Yield the rows in order of time, with corrected ids.

        Raises:
            InputError: a file cannot be read, or the rows are not in order of time.
        """
        rows = _live_rows(self.folder) if self.live else rows_in_order(self.folder / "trajectories.csv")
        return _within_pictures(rows, self.sizes_wh)


def countable_run(folder: Path, *, finished: bool = True) -> CountableRun:
    """Open the run in `folder`.

    Args:
        finished: whether to refuse a recorded run that has not noted its end.

    Raises:
        InputError: it holds no run, or one that is not finished, or of another version.
    """
    if (folder / "trajectories.csv").is_file():
        return _recorded(folder, finished)
    if segments(folder):
        return _live(folder)
    raise InputError(f"{folder} holds no results of `mtmc track` or `mtmc live`: give the output folder of a run")


def _recorded(folder: Path, finished: bool) -> CountableRun:
    path = folder / NOTE_NAME
    try:
        note = read_note(path)
        if finished and note["state"] == "running":
            raise InputError(
                f"{folder} is half-written: its run is going on, or was killed. Wait for its end, or give it final ids "
                f"with `mtmc link {folder} --overwrite`"
            )
        epoch = None if note["epoch_utc"] is None else datetime.fromisoformat(note["epoch_utc"])
        return _run(folder, False, dict(note["cameras"]), note["config"], epoch)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is missing, damaged or of another version of this program ({type(error).__name__}): track the "
            "recordings again"
        ) from error


def _live(folder: Path) -> CountableRun:
    manifests = sorted(folder.glob("manifest-*.json"))
    if not manifests:
        raise InputError(f"{folder} has segments, but no manifest-*.json, which names the cameras: restore it")
    path = manifests[-1]  # names begin with the date
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["state"] == "running":
            _log.warning("%s: a run is going on, or was killed; what it has written so far is counted", folder)
        return _run(folder, True, dict(manifest["cameras"]), manifest["config"], EPOCH_UTC)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged or of another version of this program ({type(error).__name__}): count with the version "
            "that wrote it"
        ) from error


def _run(
    folder: Path, live: bool, noted: Mapping[str, Any], config: Mapping[str, Any], epoch_utc: datetime | None
) -> CountableRun:
    """Return the run whose cameras are `noted`; KeyError, TypeError or ValueError for a damaged note."""
    sizes = {
        name: (int(size[0]), int(size[1]))
        for name, camera in noted.items()
        if (size := camera.get("size_wh")) is not None
    }
    configured = {camera["name"]: camera for camera in config["cameras"]}
    drawn = dict(sizes)
    for name, camera in configured.items():
        if (size := camera.get("calibrated_size_wh")) is not None:
            drawn[name] = (int(size[0]), int(size[1]))
    return CountableRun(
        folder=folder,
        live=live,
        camera_ids=tuple(dict.fromkeys((*noted, *configured))),
        sizes_wh=sizes,
        drawn_wh=drawn,
        floor=any(camera.get("homography") is not None for camera in configured.values()),
        epoch_utc=epoch_utc,
        counting={name: config[name] for name in _COUNTED if name in config},
        cameras=configured,
    )


def picture_scale(
    sizes_wh: Mapping[str, tuple[int, int]], drawn_wh: Mapping[str, tuple[int, int]]
) -> PictureScale:
    """Return the scale of pictures of `sizes_wh` relative to those in which zones are drawn; 1 for other cameras."""
    scales = {
        name: (sizes_wh[name][0] / width, sizes_wh[name][1] / height)
        for name, (width, height) in drawn_wh.items()
        if name in sizes_wh
    }

    def scale(row: TrajectoryRow) -> tuple[float, float]:
        return scales.get(row.camera_id, (1.0, 1.0))

    return scale


def drawn_sizes(
    cameras: Sequence[CameraConfig], sizes_wh: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """Return camera -> size of the picture in which its zones are drawn: `calibrated_size_wh`, else that of its
    picture."""
    calibrated = {
        camera.name: (camera.calibrated_size_wh[0], camera.calibrated_size_wh[1])
        for camera in cameras
        if camera.calibrated_size_wh is not None
    }
    return {**sizes_wh, **calibrated}


def rows_in_order(path: Path) -> Iterator[LinkedRow]:
    """Yield the rows of a trajectories.csv; InputError if the time decreases."""
    before_s = -math.inf
    for linked in read_trajectories(path):
        if linked.row.time_s < before_s - _ROUNDING_S:
            raise InputError(
                f"{path}: time_s falls from {before_s:g} to {linked.row.time_s:g}, at camera {linked.row.camera_id}, "
                f"frame_index {linked.row.frame_index}. Sort the rows by time_s"
            )
        before_s = max(before_s, linked.row.time_s)
        yield linked


def _live_rows(folder: Path) -> Iterator[LinkedRow]:
    """Yield the rows of all runs in order of time, with the ids of remap.csv."""
    damaged: list[str] = []
    yield from _sorted(linked for run in stored_runs(folder) for linked in run.rows(damaged))
    for problem in damaged:
        _log.warning("%s: %s; they do not count", folder, problem)


def _sorted(rows: Iterable[LinkedRow]) -> Iterator[LinkedRow]:
    """Yield rows in order of time; those that are too late to be put in order are left out, and counted."""
    waiting: list[tuple[float, int, LinkedRow]] = []
    newest_s = told_s = -math.inf
    late = 0
    for number, linked in enumerate(rows):
        time_s = linked.row.time_s
        if time_s < told_s:
            late += 1
            continue
        heapq.heappush(waiting, (time_s, number, linked))
        newest_s = max(newest_s, time_s)
        while waiting[0][0] < newest_s - _DISORDER_S:
            told_s, _, oldest = heapq.heappop(waiting)
            yield oldest
    while waiting:
        yield heapq.heappop(waiting)[2]
    if late:
        _log.warning(
            "%d rows are more than %g s earlier than rows before them, from a clock that was set back; they do not "
            "count",
            late,
            _DISORDER_S,
        )


def _within_pictures(rows: Iterable[LinkedRow], sizes_wh: Mapping[str, tuple[int, int]]) -> Iterator[LinkedRow]:
    """Yield the rows; log the cameras with boxes outside the noted picture, which had another size meanwhile."""
    told: set[str] = set()
    for linked in rows:
        row = linked.row
        size = sizes_wh.get(row.camera_id)
        if size is None or row.camera_id in told:
            yield linked
            continue
        if row.xyxy[2] > size[0] + _BEYOND_PX or row.xyxy[3] > size[1] + _BEYOND_PX:
            told.add(row.camera_id)
            _log.warning(
                "camera %s: boxes reach beyond its picture of %dx%d, so it also sent larger pictures; zones and lines "
                "in its pixels are at the wrong place there",
                row.camera_id,
                *size,
            )
        yield linked
