"""Cuts the crops of a finished run's tracks out of its recordings, for adaptation and calibration."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.assembly import close_sources, open_sources
from pipeline.config.config import Config
from pipeline.core.datatypes import FloatArray
from pipeline.core.errors import InputError
from pipeline.core.models import named_in
from pipeline.files.results_csv import read_trajectories
from pipeline.single_camera.good_crops import good_crops
from reid.crops import Resize, crop_boxes, resize_antialiased
from reid.site.site_crops import SiteCrops

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CropChoice:
    """Which boxes of a track are cut out.

    Attributes:
        crops_per_track: at most this many, evenly spread over the track.
        min_crops: tracks with fewer good boxes are left out.
        max_tracks_per_camera: if there are more, those with the most good boxes are taken.
    """

    crops_per_track: int = 8
    min_crops: int = 4
    max_tracks_per_camera: int = 100


@dataclass(frozen=True)
class _Box:
    frame_index: int
    xyxy: tuple[float, float, float, float]


@dataclass
class _Track:
    """The good boxes of a track, and the times of its first and last box of any quality."""

    start_s: float
    end_s: float
    good: list[_Box] = field(default_factory=list)


def tracklet_crops(
    config: Config,
    folder: Path,
    *,
    size_hw: tuple[int, int],
    choice: CropChoice,
    resize: Resize = resize_antialiased,
) -> SiteCrops:
    """Return the crops of the tracks in `folder`, which `track` wrote with the same `config`.

    Only good boxes are used, by the same rules as for a track's features: confident, high enough, not cut off by the
    image border, not covered by others. Tracks of classes that the embedder is not for are left out, which is logged.

    Args:
        size_hw: (height, width) of the crops.
        resize: as in `crop_boxes`.

    Raises:
        InputError: no camera has a track with enough good boxes.
    """
    sources, _ = open_sources(config)
    try:
        sizes = {source.camera_id: source.size_wh for source in sources}
        chosen = _chosen_tracks(config, folder / "trajectories.csv", sizes, choice)
        if not chosen:
            raise InputError(
                f"no track of these recordings has {choice.min_crops} good boxes (confidence "
                f"{config.tracker.good_crop_confidence}, {config.tracker.good_crop_height_px} px high, not covered, "
                "not cut off): give longer recordings"
            )
        names = tuple(name for name in sizes if any(key[0] == name for key in chosen))
        keys = sorted(chosen, key=lambda key: (names.index(key[0]), key[1]))
        number = {key: index for index, key in enumerate(keys)}
        images: list[np.ndarray] = []
        track: list[int] = []
        for source in sources:
            wanted: dict[int, list[tuple[int, _Box]]] = defaultdict(list)
            for key in keys:
                if key[0] == source.camera_id:
                    for box in chosen[key].good:
                        wanted[box.frame_index].append((number[key], box))
            for frame in source:
                if frame.frame_index not in wanted or frame.image is None:
                    continue
                boxes = wanted.pop(frame.frame_index)
                xyxy: FloatArray = np.array([box.xyxy for _, box in boxes], np.float32)
                crops, valid = crop_boxes(frame.image, xyxy, size_hw, resize)
                images += list(crops)
                track += [row for (row, _), good in zip(boxes, valid.tolist(), strict=True) if good]
                if not wanted:
                    break
    finally:
        close_sources(sources)
    order = np.argsort(track, kind="stable")
    return SiteCrops(
        camera_names=names,
        images=np.stack(images)[order],
        track=np.array(track, np.int64)[order],
        camera=np.array([names.index(camera) for camera, _ in keys], np.int64),
        start_s=np.array([chosen[key].start_s for key in keys]),
        end_s=np.array([chosen[key].end_s for key in keys]),
    )


def _chosen_tracks(
    config: Config, trajectories: Path, sizes: dict[str, tuple[int, int]], choice: CropChoice
) -> dict[tuple[str, int], _Track]:
    """Return the chosen tracks by camera and track id, each with the boxes to cut out."""
    frames: dict[tuple[str, int], list[tuple[int, float, _Box]]] = defaultdict(list)
    tracks: dict[tuple[str, int], _Track] = {}
    of_class: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for linked in read_trajectories(trajectories):
        row = linked.row
        if row.interpolated:
            continue
        of_class[row.class_name].add((row.camera_id, row.track_id))
        track = tracks.setdefault((row.camera_id, row.track_id), _Track(row.time_s, row.time_s))
        track.start_s, track.end_s = min(track.start_s, row.time_s), max(track.end_s, row.time_s)
        frames[row.camera_id, row.frame_index].append(
            (row.track_id, row.confidence, _Box(row.frame_index, row.xyxy))
        )
    for (camera, _), boxes in frames.items():
        xyxy = np.array([box.xyxy for _, _, box in boxes], np.float32)
        confidence = np.array([confidence for _, confidence, _ in boxes], np.float32)
        fit = good_crops(xyxy, confidence, sizes[camera], config.tracker)
        for (track_id, _, box), is_fit in zip(boxes, fit.tolist(), strict=True):
            if is_fit:
                tracks[camera, track_id].good.append(box)
    for name in sorted(of_class.keys() - named_in(of_class, config.embedder.classes)):
        keys = of_class[name]
        _log.warning("%d tracks of the class %s are left out: the embedder is not for it", len(keys), name)
        for key in keys:
            del tracks[key]  # after they have covered others
    kept: dict[tuple[str, int], _Track] = {}
    for camera in sizes:
        of_camera = [
            (key, track)
            for key, track in tracks.items()
            if key[0] == camera and len(track.good) >= choice.min_crops
        ]
        of_camera.sort(key=lambda item: (-len(item[1].good), item[0][1]))
        for key, track in of_camera[: choice.max_tracks_per_camera]:
            track.good = _spread(sorted(track.good, key=lambda box: box.frame_index), choice.crops_per_track)
            kept[key] = track
    return kept


def _spread(boxes: Sequence[_Box], count: int) -> list[_Box]:
    """Return at most `count` of the boxes, evenly spaced, including the first and the last."""
    if len(boxes) <= count:
        return list(boxes)
    return [boxes[round(index * (len(boxes) - 1) / (count - 1))] for index in range(count)]
