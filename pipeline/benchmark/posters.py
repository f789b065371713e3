"""Recordings with still pictures of people: prints, cut-out figures, people behind glass.

Pictures of people from other recordings are put into every frame of a benchmark set, at fixed places behind everybody
who walks there. Its ground truth stays the same, so every box on such a picture is a false one. The camera must not
move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.assembly import close_sources, open_sources
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.core.boxes import areas, covered_share, intersections, iou_matrix
from pipeline.core.errors import InputError
from pipeline.drawing.video_writer import VideoWriter
from pipeline.files.track_boxes import TrackBoxes
from pipeline.sources.base import FrameSource

# Frames from which the empty scene is computed.
_SCENE_FRAMES = 41
# A pixel inside a box of the ground truth that differs more than this from the empty scene shows the person.
_PERSON_DIFFERENCE = 24
# Heights of the pictures relative to the median height of the people in the view.
_HEIGHTS = (1.0, 0.75, 1.35)
# Pictures of people are taken with a margin of this share of their box.
_MARGIN = 0.08
_LEAST_HEIGHT_PX = 60
_GLASS_OPACITY = 0.55
# Pictures hang at random ones of this share of the places: those that the fewest people pass.
_FEW_PEOPLE = 0.3
# Brightness of the light on a picture: amplitude and period of its change, for each kind.
_LIGHT = 0.05
_LIGHT_PERIOD_S = 20.0
# Compression of the written recording.
_CRF = 23

Picture = NDArray[np.float32]


class Kind(StrEnum):
    """What a picture imitates."""

    PRINT = "print"
    GLASS = "behind glass"
    CUT_OUT = "cut out"


@dataclass(frozen=True, eq=False)
class Poster:
    """A picture at a fixed place.

    Attributes:
        xyxy: (4,) int64, its place in pixels of the view.
        bgr: (H, W, 3) float32 in [0, 255].
        opacity: (H, W, 1) float32 in [0, 1].
        phase_s: shifts the change of its light.
    """

    kind: Kind
    xyxy: NDArray[np.int64]
    bgr: Picture
    opacity: Picture
    phase_s: float


def write_posters(
    chosen: BenchmarkSet, people: BenchmarkSet, folder: Path, *, count: int, frames: int | None, seed: int
) -> tuple[Path, dict[str, list[Poster]]]:
    """Write a benchmark set whose recordings are those of `chosen` with pictures of `people`.

    Args:
        people: another set; its people are put into the views.
        count: number of pictures in each view.
        frames: length of the recordings; None for all.
        seed: chooses people and places.

    Returns:
        The file of the set, and by camera the pictures in its view.

    Raises:
        InputError: a recording cannot be opened, or shows too few people.
    """
    crops = _people(people)
    if not crops:
        raise InputError(f"{people.name}: nobody of at least {_LEAST_HEIGHT_PX} px is seen uncovered")
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    placed: dict[str, list[Poster]] = {}
    rates: dict[str, float] = {}
    scenes = _scenes(chosen, frames)
    sources, _ = open_sources(chosen.config)
    try:
        for source in sources:
            truth = _until(chosen.ground_truth[source.camera_id], frames)
            order = rng.permutation(len(crops))
            picked = [crops[order[index % len(crops)]] for index in range(count)]
            posters = _placed(picked, truth, source.size_wh, rng)
            placed[source.camera_id], rates[source.camera_id] = posters, source.frame_rate
            scene = scenes[source.camera_id]
            _write_recording(source, posters, scene, truth, folder / f"{source.camera_id}.mp4", frames)
            _write_truth(truth, folder / f"{source.camera_id}_gt.txt")
    finally:
        close_sources(sources)
    return _write_set(chosen, rates, folder), placed


def painted(
    image_bgr: NDArray[np.uint8],
    scene_bgr: NDArray[np.uint8],
    people_xyxy: NDArray[np.float64],
    posters: Sequence[Poster],
    time_s: float,
) -> NDArray[np.uint8]:
    """Return a copy of an image with the pictures behind its people.

    The noise of the camera stays: a picture is added to the difference between the image and the empty scene.

    Args:
        image_bgr, scene_bgr: (H, W, 3), with and without people.
        people_xyxy: (N, 4), where people are.
    """
    result = image_bgr.astype(np.float32)
    difference = result - scene_bgr
    person = _people_mask(difference, people_xyxy)
    for poster in posters:
        left, top, right, bottom = poster.xyxy.tolist()
        place = np.s_[top:bottom, left:right]
        light = 1 + _LIGHT * np.sin(2 * np.pi * (time_s / _LIGHT_PERIOD_S) + poster.phase_s)
        behind = poster.opacity * light * poster.bgr + (1 - poster.opacity) * scene_bgr[place]
        result[place] = np.where(person[place][..., None], result[place], behind + difference[place])
    return np.asarray(np.clip(result, 0, 255), np.uint8)


def _people_mask(difference: Picture, people_xyxy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (H, W), the pixels that show people."""
    differs = (np.abs(difference).max(axis=2) > _PERSON_DIFFERENCE).astype(np.uint8)
    differs = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.uint8)
    mask = np.zeros(differs.shape, np.bool_)
    for x1, y1, x2, y2 in people_xyxy.tolist():
        grown = np.array(
            [x1 - 0.1 * (x2 - x1), y1 - 0.05 * (y2 - y1), x2 + 0.1 * (x2 - x1), y2 + 0.05 * (y2 - y1)]
        )
        left, top, right, bottom = np.maximum(grown, 0).astype(int).tolist()
        mask[top:bottom, left:right] |= differs[top:bottom, left:right] > 0
    return mask


def _people(people: BenchmarkSet) -> list[NDArray[np.uint8]]:
    """Return a picture of each person of a set, from the frame that shows the person largest and uncovered."""
    sources, _ = open_sources(people.config)
    crops = []
    try:
        for source in sources:
            chosen = _best_boxes(people.ground_truth[source.camera_id], source.size_wh)
            for frame in source:
                if frame.image is None or frame.frame_index not in chosen:
                    continue
                for left, top, right, bottom in chosen[frame.frame_index]:
                    crops.append(frame.image[top:bottom, left:right].copy())
    finally:
        close_sources(sources)
    return crops


def _best_boxes(truth: TrackBoxes, size_wh: tuple[int, int]) -> dict[int, list[list[int]]]:
    """Return by frame the boxes (left, top, right, bottom) to take, at most one of each person."""
    width, height = size_wh
    best: dict[int, tuple[float, int, list[int]]] = {}
    for frame in np.unique(truth.frame_index).tolist():
        boxes = truth[truth.frame_index == frame]
        covered = covered_share(boxes.xyxy)
        size = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
        grown = boxes.xyxy + _MARGIN * np.hstack([-size, size])
        inside = (grown[:, :2] >= 0).all(axis=1) & (grown[:, 2] <= width) & (grown[:, 3] <= height)
        for row in np.flatnonzero(inside & (covered == 0) & (size[:, 1] >= _LEAST_HEIGHT_PX)).tolist():
            person = int(boxes.ids[row])
            if person not in best or best[person][0] < size[row, 1]:
                best[person] = (float(size[row, 1]), frame, grown[row].astype(int).tolist())
    found: dict[int, list[list[int]]] = {}
    for _, frame, box in (best[person] for person in sorted(best)):
        found.setdefault(frame, []).append(box)
    return found


def _placed(
    crops: Sequence[NDArray[np.uint8]], truth: TrackBoxes, size_wh: tuple[int, int], rng: np.random.Generator
) -> list[Poster]:
    """Give each picture a size and a place where it covers few people and no other picture."""
    if not len(truth):
        raise InputError("the ground truth of a view is empty, so the size of its people is unknown")
    usual_px = float(np.median(truth.xyxy[:, 3] - truth.xyxy[:, 1]))
    posters: list[Poster] = []
    for number, crop in enumerate(crops):
        kind = list(Kind)[number % len(Kind)]
        height = round(min(_HEIGHTS[(number // len(Kind) + number) % len(_HEIGHTS)] * usual_px, 0.9 * size_wh[1]))
        width = max(round(crop.shape[1] * height / crop.shape[0]), 1)
        if width >= size_wh[0]:
            continue
        taken = np.array([poster.xyxy for poster in posters], np.float64).reshape(-1, 4)
        place = _free_place((width, height), truth, taken, size_wh, rng)
        shrinking = cv2.INTER_AREA if height < crop.shape[0] else cv2.INTER_CUBIC
        bgr = np.asarray(cv2.resize(crop, (width, height), interpolation=shrinking), np.uint8)
        phase_s = float(rng.uniform(0, 2 * np.pi))
        posters.append(Poster(kind, place, bgr.astype(np.float32), _opacity(kind, bgr), phase_s))
    return posters


def _free_place(
    size: tuple[int, int],
    truth: TrackBoxes,
    taken: NDArray[np.float64],
    size_wh: tuple[int, int],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the (4,) xyxy of one of the places that cover few people and no other picture.

    Args:
        size: (width, height) of the picture.
        taken: (N, 4), the other pictures.
    """
    width, height = size
    lefts = np.unique(np.linspace(4, max(size_wh[0] - width - 4, 4), 24).astype(int))
    tops = np.unique(np.linspace(4, max(size_wh[1] - height - 4, 4), 16).astype(int))
    corners = np.array([(left, top) for top in tops for left in lefts])
    places = np.hstack([corners, corners + np.array([width, height])]).astype(np.float64)
    places = places[iou_matrix(places, taken).max(axis=1, initial=0.0) == 0]
    if not len(places):
        raise InputError("the pictures do not fit into the view; use fewer (--count)")
    people = truth.xyxy[:: max(len(truth) // 2000, 1)]
    covered = (intersections(places, people) / areas(people)[None, :]).sum(axis=1)
    few = np.argsort(covered, kind="stable")[: max(round(_FEW_PEOPLE * len(places)), 1)]
    return np.asarray(places[rng.choice(few)], np.int64)


def _opacity(kind: Kind, bgr: NDArray[np.uint8]) -> Picture:
    """Return (H, W, 1) how much of the scene behind a picture is hidden."""
    height, width = bgr.shape[:2]
    if kind is Kind.CUT_OUT:
        across = np.linspace(-1, 1, width)[None, :] / 0.85
        along = np.linspace(-1, 1, height)[:, None] / 0.97
        # The corners are cut off, and the outline is soft.
        inside = 1 - (np.abs(across) ** 3 + np.abs(along) ** 3)
        return np.asarray(np.clip(inside * 4, 0, 1), np.float32)[..., None]
    return np.full((height, width, 1), _GLASS_OPACITY if kind is Kind.GLASS else 1.0, np.float32)


def _scenes(chosen: BenchmarkSet, frames: int | None) -> dict[str, NDArray[np.uint8]]:
    """Return by camera the (H, W, 3) scene without people: the median of frames over the whole recording."""
    sources, _ = open_sources(chosen.config)
    try:
        found = {}
        for source in sources:
            length = source.frame_count or 1000
            step = max(min(length, frames or length) // _SCENE_FRAMES, 1)
            pictures = [
                frame.image
                for frame in _first(source, frames)
                if frame.frame_index % step == 0 and frame.image is not None
            ]
            if not pictures:
                raise InputError(f"{chosen.name}: {source.camera_id} has no pictures")
            found[source.camera_id] = np.asarray(np.median(np.stack(pictures), axis=0), np.uint8)
        return found
    finally:
        close_sources(sources)


def _first(source: FrameSource, frames: int | None) -> Iterable[Any]:
    for number, frame in enumerate(source):
        if frames is not None and number >= frames:
            return
        yield frame


def _until(truth: TrackBoxes, frames: int | None) -> TrackBoxes:
    return truth if frames is None else truth[truth.frame_index < frames]


def _write_recording(
    source: FrameSource,
    posters: Sequence[Poster],
    scene_bgr: NDArray[np.uint8],
    truth: TrackBoxes,
    path: Path,
    frames: int | None,
) -> None:
    with VideoWriter(path, fps=source.frame_rate, crf=_CRF) as writer:
        for frame in _first(source, frames):
            people = truth.xyxy[truth.frame_index == frame.frame_index]
            writer.write(painted(frame.image, scene_bgr, people, posters, frame.time_s))


def _write_truth(truth: TrackBoxes, path: Path) -> None:
    lines = [
        f"{frame + 1},{person},{x1:g},{y1:g},{x2 - x1:g},{y2 - y1:g},1,1,1\n"
        for frame, person, (x1, y1, x2, y2) in zip(
            truth.frame_index.tolist(), truth.ids.tolist(), truth.xyxy.tolist(), strict=True
        )
    ]
    path.write_text("".join(lines), encoding="utf-8")


def _write_set(chosen: BenchmarkSet, rates: Mapping[str, float], folder: Path) -> Path:
    """Write set.yaml with the models and the rules of the ground truth of `chosen`."""
    detector = chosen.config.detector.model_dump(mode="json", exclude_defaults=True)
    content = {
        "cameras": [
            {"name": name, "source": f"{name}.mp4", "frame_rate": float(rate)} for name, rate in rates.items()
        ],
        "detector": detector,
        "ground_truth": {name: f"{name}_gt.txt" for name in rates},
        "identity_memory_s": chosen.config.linker.identity_memory_s,
    }
    path = folder / "set.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
