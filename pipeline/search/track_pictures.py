"""Cuts a picture of each of some tracks from the recordings of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import close_sources, open_sources
from pipeline.config.config import CameraConfig, Config
from pipeline.core.boxes import clip_xyxy
from pipeline.core.datatypes import FloatArray, LinkedRow
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.files.results_csv import read_trajectories
from pipeline.search.searched_run import SearchedRun
from pipeline.single_camera.good_crops import good_crops
from pipeline.single_camera.settings import TrackerSettings
from pipeline.sources.base import BrokenSource

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""

# A frame of this size contains every box: the image border is known only when the recording is open.
_ANY_SIZE_WH = (1 << 20, 1 << 20)


@dataclass(frozen=True)
class _Box:
    """A box of a track: the frame, its corners in px, and how well it shows the person."""

    frame_index: int
    xyxy: tuple[float, float, float, float]
    value: tuple[bool, float]


def track_pictures(run: SearchedRun, keys: Collection[TrackKey]) -> tuple[dict[TrackKey, Image], list[str]]:
    """Return a picture of each track, cut at its best box; and sentences about the recordings that are missing.

    The recordings are decoded up to the last of these boxes.
    """
    sources = run.camera_sources()
    if not sources:
        return {}, [
            f"{run.name} is a live site, whose streams are not recorded: there are no pictures of its people"
        ]
    boxes = _best_boxes(run.folder / "trajectories.csv", set(keys), run.comparing.config.tracker)
    found: dict[TrackKey, Image] = {}
    problems = []
    for camera_id in sorted({camera for camera, _ in boxes}):
        wanted = {key: box for key, box in boxes.items() if key[0] == camera_id}
        try:
            config = _one_camera(run.comparing.config, camera_id, sources.get(camera_id, ""))
            found |= _cut(config, wanted)
        except (InputError, BrokenSource) as error:
            problems.append(f"no pictures of camera {camera_id} of {run.name}: {error}")
    return found, problems


def _best_boxes(path: Path, keys: set[TrackKey], settings: TrackerSettings) -> dict[TrackKey, _Box]:
    """Return the box that shows each track best: a good crop if there is one, and high and confident."""
    best: dict[TrackKey, _Box] = {}
    for rows in _frames(read_trajectories(path)):
        if not any((one.row.camera_id, one.row.track_id) in keys for one in rows):
            continue
        xyxy = np.array([one.row.xyxy for one in rows], np.float32)
        confidence = np.array([one.row.confidence for one in rows], np.float32)
        good = good_crops(xyxy, confidence, _ANY_SIZE_WH, settings)
        for one, is_good in zip(rows, good.tolist(), strict=True):
            key = (one.row.camera_id, one.row.track_id)
            height_px = one.row.xyxy[3] - one.row.xyxy[1]
            value = (is_good, height_px * one.row.confidence)
            if key in keys and (key not in best or value > best[key].value):
                best[key] = _Box(one.row.frame_index, one.row.xyxy, value)
    return best


def _frames(rows: Iterable[LinkedRow]) -> Iterator[list[LinkedRow]]:
    """Group the observed rows by frame and camera; those of a frame follow each other."""
    seen = (linked for linked in rows if not linked.row.interpolated)
    for _, group in groupby(seen, key=lambda linked: (linked.row.camera_id, linked.row.frame_index)):
        yield list(group)


def _one_camera(config: Config, camera_id: str, path: str) -> Config:
    """Return a configuration with one camera, as the run opened it."""
    known = [camera for camera in config.cameras if camera.name == camera_id]
    if not known:
        known = [CameraConfig(name=camera_id, source=path)]
    return config.model_copy(update={"cameras": known})


def _cut(config: Config, boxes: Mapping[TrackKey, _Box]) -> dict[TrackKey, Image]:
    last = max(box.frame_index for box in boxes.values())
    found: dict[TrackKey, Image] = {}
    sources, _ = open_sources(config)
    try:
        for frame in sources[0]:
            if frame.frame_index > last:
                break
            for key, box in boxes.items():
                if box.frame_index == frame.frame_index and frame.image is not None:
                    found[key] = cropped(frame.image, np.array(box.xyxy, np.float32))
    finally:
        close_sources(sources)
    return found


def cropped(image: Image, xyxy: FloatArray) -> Image:
    """Return a copy of the part of an image inside a box, at least one pixel."""
    height, width = image.shape[:2]
    left, top, right, bottom = np.rint(clip_xyxy(xyxy[None], (width, height))[0]).astype(int).tolist()
    left, top = min(left, width - 1), min(top, height - 1)
    return np.ascontiguousarray(image[top : max(bottom, top + 1), left : max(right, left + 1)])
