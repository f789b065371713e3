"""Crops of the tracks of a finished run, cut out of its recordings: what adaptation and calibration learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.assembly import close_sources, open_sources
from pipeline.config import Config
from pipeline.datatypes import FloatArray
from pipeline.errors import InputError
from pipeline.results_csv import read_trajectories
from pipeline.single_camera.good_crops import good_crops
from reid.crops import crop_boxes
from reid.site_crops import SiteCrops


@dataclass(frozen=True)
class CropChoice:
    """Which boxes of a track are cut out.

    Attributes:
        crops_per_track: at most so many, evenly spread over the track.
        min_crops: tracks with fewer good boxes are left out.
        max_tracks_per_camera: of more, the longest are taken.
    """

    crops_per_track: int = 8
    min_crops: int = 4
    max_tracks_per_camera: int = 100


@dataclass(frozen=True)
class _Box:
    frame_index: int
    time_s: float
    xyxy: tuple[float, float, float, float]


def tracklet_crops(config: Config, folder: Path, *, size_hw: tuple[int, int], choice: CropChoice) -> SiteCrops:
    """Crops of the tracks in `folder`, which `track` wrote with the same `config`.

    Good boxes only, by the same rules as for a track's features: confident, high enough, not cut off by the border
    of the image, not covered by others.

    Args:
        size_hw: (height, width) of the crops.

    Raises:
        InputError: no camera shows a track with enough good boxes.
    """
    sources, _ = open_sources(config)
    try:
        sizes = {source.camera_id: source.size_wh for source in sources}
        chosen = _chosen_boxes(config, folder / "trajectories.csv", sizes, choice)
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
                    for box in chosen[key]:
                        wanted[box.frame_index].append((number[key], box))
            for frame in source:
                if frame.frame_index not in wanted or frame.image is None:
                    continue
                boxes = wanted.pop(frame.frame_index)
                xyxy: FloatArray = np.array([box.xyxy for _, box in boxes], np.float32)
                crops, valid = crop_boxes(frame.image, xyxy, size_hw)
                images += list(crops.numpy())
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
        start_s=np.array([chosen[key][0].time_s for key in keys]),
        end_s=np.array([chosen[key][-1].time_s for key in keys]),
    )


def _chosen_boxes(
    config: Config, trajectories: Path, sizes: dict[str, tuple[int, int]], choice: CropChoice
) -> dict[tuple[str, int], list[_Box]]:
    frames: dict[tuple[str, int], list[tuple[int, float, _Box]]] = defaultdict(list)
    for linked in read_trajectories(trajectories):
        row = linked.row
        if not row.interpolated:
            box = _Box(row.frame_index, row.time_s, row.xyxy)
            frames[row.camera_id, row.frame_index].append((row.track_id, row.confidence, box))
    good: dict[tuple[str, int], list[_Box]] = defaultdict(list)
    for (camera, _), boxes in frames.items():
        xyxy = np.array([box.xyxy for _, _, box in boxes], np.float32)
        confidence = np.array([confidence for _, confidence, _ in boxes], np.float32)
        fit = good_crops(xyxy, confidence, sizes[camera], config.tracker)
        for (track_id, _, box), is_fit in zip(boxes, fit.tolist(), strict=True):
            if is_fit:
                good[camera, track_id].append(box)
    kept: dict[tuple[str, int], list[_Box]] = {}
    for camera in sizes:
        tracks = [key for key in good if key[0] == camera and len(good[key]) >= choice.min_crops]
        tracks.sort(key=lambda key: (-len(good[key]), key[1]))
        for key in tracks[: choice.max_tracks_per_camera]:
            kept[key] = _spread(sorted(good[key], key=lambda box: box.frame_index), choice.crops_per_track)
    return kept


def _spread(boxes: Sequence[_Box], count: int) -> list[_Box]:
    """At most `count` of the boxes, evenly spaced, the first and the last among them."""
    if len(boxes) <= count:
        return list(boxes)
    return [boxes[round(index * (len(boxes) - 1) / (count - 1))] for index in range(count)]
