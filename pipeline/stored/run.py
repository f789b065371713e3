"""The rows of a stored run with their last ids, and what is known about its cameras."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.datatypes import Link, LinkedRow
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.files.readable_rows import ReadableRows, row_of
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import NOTE_NAME, read_note
from pipeline.live.output.segments import EPOCH_UTC, REMAP_COLUMNS, corrections, current_id, run_id_of, segments

# As for cameras in the configuration: files are named after them.
_CAMERA_NAME = re.compile(r"[\w.-]{1,200}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredCamera:
    """What a run has noted about a camera.

    Attributes:
        source: path of the recording; None for a live camera, or if it is unknown.
        size_wh: (width, height) in pixels of the pictures that boxes refer to; None if it is unknown.
        frame_rate: in frames per second; None if it is unknown.
        index_step: difference between the indices of consecutive frames.
        frame_indices: of all frames that were tracked, ascending; None if they are unknown.
        crop_xyxy_px: the part of the picture that was tracked, and in whose pixels boxes are; None for all of it.
    """

    source: str | None = None
    size_wh: tuple[int, int] | None = None
    frame_rate: float | None = None
    index_step: int = 1
    frame_indices: range | None = None
    crop_xyxy_px: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run of `mtmc track`, or one of the runs of `mtmc live` in a folder.

    Attributes:
        run_id: of a live run; "" for recordings.
        cameras: those that the run has noted; rows may be of others if the notes are damaged.
        epoch_utc: date and time of second 0 of the run's clock; None if it is unknown.
        ended: False if the run's note says that it still runs, so that its ids may change.
    """

    folder: Path
    run_id: str
    cameras: Mapping[str, StoredCamera]
    epoch_utc: datetime | None
    ended: bool
    _files: tuple[Path, ...]
    _current: Mapping[int, int] = field(default_factory=dict)

    def camera(self, camera_id: str) -> StoredCamera:
        """Return what is known about a camera, which may be nothing."""
        return self.cameras.get(camera_id, StoredCamera())

    def rows(self, damaged: list[str] | None = None) -> Iterator[LinkedRow]:
        """Yield the rows in the order of the files. In a live run, ids are corrected, and count as final if the run
        corrected or confirmed them.

        Args:
            damaged: receives a text for each file of a live run with lines that cannot be read.

        Raises:
            InputError: a line of a recording's trajectories.csv is damaged, or a camera cannot name a file.
        """
        checked: set[str] = set()
        for linked in self._rows(damaged):
            camera_id = linked.row.camera_id
            if camera_id not in checked:
                check_camera_name(self.folder, camera_id)
                checked.add(camera_id)
            yield linked

    def _rows(self, damaged: list[str] | None) -> Iterator[LinkedRow]:
        if not self.run_id:
            yield from read_trajectories(self._files[0])
            return
        for path in self._files:
            readable = ReadableRows(path)
            for fields in readable:
                linked = row_of(fields)
                if linked.link.global_id in self._current:
                    corrected = current_id(linked.link.global_id, self._current)
                    linked = linked._replace(link=Link(corrected, linked.link.confidence, final=True))
                yield linked
            problem = readable.problem or (readable.damaged and f"{len(readable.damaged)} damaged lines")
            if problem and damaged is not None:
                damaged.append(f"{path.name}: {problem}")


def check_camera_name(folder: Path, camera_id: str) -> None:
    """Raise InputError for a name that no configuration accepts, such as one with a path in it."""
    if _CAMERA_NAME.fullmatch(camera_id) is None or camera_id in (".", ".."):
        raise InputError(
            f"{folder}: a camera is named {shown(camera_id)}, but files are named after cameras: use letters, digits, "
            "_, - and . only"
        )


def stored_runs(folder: Path) -> list[StoredRun]:
    """Return the run of recordings in `folder`, or the live runs there, in order of time.

    Raises:
        InputError: the folder has no results, or both kinds.
    """
    trajectories, parts = folder / "trajectories.csv", segments(folder)
    if trajectories.is_file() and parts:
        raise InputError(f"{folder} holds a trajectories.csv and rows of live runs: move one of them away")
    if trajectories.is_file():
        return [_recorded(folder, trajectories)]
    if not parts:
        raise InputError(
            f"{folder} holds no results of `mtmc track` or `mtmc live`. Name the folder with a trajectories.csv or "
            "with files traj-*.csv"
        )
    run_ids = dict.fromkeys(run_id_of(path) for path in parts)
    return [
        _live(folder, run_id, tuple(path for path in parts if run_id_of(path) == run_id)) for run_id in run_ids
    ]


def stored_run(folder: Path, run_id: str | None = None) -> StoredRun:
    """Return the run in `folder`.

    Args:
        run_id: of a live run; needed if there are several, in which the same track and frame mean something else.

    Raises:
        InputError: as for `stored_runs`; or `run_id` is missing or names no run there.
    """
    runs = stored_runs(folder)
    known = [run.run_id for run in runs]
    if run_id is None and len(runs) > 1:
        raise InputError(
            f"{folder} holds {len(runs)} runs, which count tracks and frames anew: choose one with --run, such as "
            f"--run {known[-1]}; there are {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}"
        )
    if run_id is not None and run_id not in known:
        there = (
            f"its runs are {', '.join(known[:8])}" if known[0] else "it holds a run of recordings, without an id"
        )
        raise InputError(f"--run {run_id}: {folder} has no such run; {there}")
    return runs[0] if run_id is None else runs[known.index(run_id)]


def _recorded(folder: Path, trajectories: Path) -> StoredRun:
    note = _content(folder / NOTE_NAME)
    config = _mapping(note.get("config"))
    crops = _crops(config)
    recording = _mapping(config.get("recording"))
    whole = bool(recording) and recording.get("start_s") is None and recording.get("end_s") is None
    cameras = {
        str(name): _recorded_camera(_mapping(noted), crops.get(name), whole)
        for name, noted in _mapping(note.get("cameras")).items()
    }
    ended = note.get("state") != "running"
    return StoredRun(folder, "", cameras, _moment(note.get("epoch_utc")), ended, (trajectories,))


def _recorded_camera(noted: Mapping[str, Any], crop: object, whole: bool) -> StoredCamera:
    step = noted.get("index_step")
    step = step if isinstance(step, int) and step >= 1 else 1
    frames, rate, path = noted.get("frames"), noted.get("frame_rate"), noted.get("path")
    # Pictures of a folder are numbered by their names, and late frames are left out.
    regular = whole and noted.get("late_frames") == 0 and isinstance(path, str) and not Path(path).is_dir()
    return StoredCamera(
        source=path if isinstance(path, str) and path else None,
        size_wh=_size(noted.get("size_wh")),
        frame_rate=float(rate) if isinstance(rate, int | float) and rate > 0 else None,
        index_step=step,
        frame_indices=range(0, frames * step, step)
        if regular and isinstance(frames, int) and frames > 0
        else None,
        crop_xyxy_px=_crop(crop),
    )


def _live(folder: Path, run_id: str, files: tuple[Path, ...]) -> StoredRun:
    manifest = _content(folder / f"manifest-{run_id}.json")
    crops = _crops(_mapping(manifest.get("config")))
    cameras = {
        str(name): StoredCamera(size_wh=_size(_mapping(noted).get("size_wh")), crop_xyxy_px=_crop(crops.get(name)))
        for name, noted in _mapping(manifest.get("cameras")).items()
    }
    leads_to = {}
    for fields in corrections(folder):
        row = dict(zip(REMAP_COLUMNS, fields, strict=True))
        leads_to[int(row["provisional_id"])] = int(row["global_id"])
    ended = manifest.get("state") != "running"
    return StoredRun(folder, run_id, cameras, EPOCH_UTC, ended, files, leads_to)


def _crops(config: Mapping[str, Any]) -> dict[str, object]:
    """Return `crop_xyxy_px` by camera; a damaged configuration may hold anything."""
    cameras = config.get("cameras")
    found = map(_mapping, cameras if isinstance(cameras, list) else ())
    return {str(one.get("name")): one.get("crop_xyxy_px") for one in found}


def _content(path: Path) -> Mapping[str, Any]:
    """Return the content of a note; empty, with a warning, if it is missing or damaged."""
    try:
        return _mapping(read_note(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        _log.warning("%s cannot be read (%s), so sizes and frames of the cameras are unknown", path, reason)
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _moment(value: object) -> datetime | None:
    with suppress(ValueError):
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    return None


def _size(value: object) -> tuple[int, int] | None:
    numbers = _whole_numbers(value, 2)
    return (numbers[0], numbers[1]) if numbers and min(numbers) >= 1 else None


def _crop(value: object) -> tuple[int, int, int, int] | None:
    numbers = _whole_numbers(value, 4)
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if numbers else None


def _whole_numbers(value: object, count: int) -> list[int] | None:
    if isinstance(value, list) and len(value) == count and all(type(one) is int for one in value):
        return value
    return None
