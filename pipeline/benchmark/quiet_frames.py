"""What it costs in identities, and what it saves, that the detector does not search frames in which nothing moves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import close_sources, gated, match_limits, open_sources
from pipeline.association.gated_detector import GatedDetector
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.contestants import run_project
from pipeline.benchmark.saved_run import opened, saved_detections
from pipeline.config.config import Config
from pipeline.core.boxes import iou_matrix
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.models import Detector
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes
from pipeline.scoring.evaluation import score

# A person is found in a frame if a box overlaps with theirs at least this much.
_FOUND_IOU = 0.5
# Changing light: a slow wave, and a switch every so many seconds, as factors of the brightness.
_WAVE, _WAVE_S = 0.2, 17.0
_SWITCH, _SWITCH_S = 0.35, 9.0


@dataclass(frozen=True)
class QuietFigures:
    """Figures of one set.

    Attributes:
        frames, quiet: number of frames of all cameras, and of those that were not searched.
        gate_ms: milliseconds of the decision per frame, on one core.
        people, lost: number of people of the ground truth, by camera, whom the tracker finds if every frame is
            searched, and of those of them whom it does not find otherwise.
        online, offline: (every frame searched, with the gate): IDF1 over all cameras in [0, 1].
    """

    frames: int
    quiet: int
    gate_ms: float
    people: int
    lost: int
    online: tuple[float, float]
    offline: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return asdict(self)


class SearchedFrames:
    """The boxes of another detector in some frames; in the others it finds nobody.

    Args:
        quiet: numbers of the frames that are not searched, by camera.
    """

    def __init__(self, detector: Detector, quiet: Mapping[str, frozenset[int]]) -> None:
        self._detector, self._quiet = detector, quiet
        self.class_names = detector.class_names
        self.model_hash = detector.model_hash
        self.computation = detector.computation

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        found = self._detector.detect(frames)
        return [
            Detections.empty() if frame.frame_index in self._quiet.get(frame.camera_id, ()) else detections
            for frame, detections in zip(frames, found, strict=True)
        ]


def quiet_figures(
    chosen: BenchmarkSet,
    folder: Path,
    *,
    changing_light: bool = False,
    on_step: Callable[[str], None] = lambda text: None,
) -> QuietFigures:
    """Track a set with all its saved detections, and without those that the gate leaves out.

    Args:
        folder: for saved detections and embeddings.
        changing_light: the gate sees the pictures under light that changes slowly and is switched now and then; the
            detections stay those of the original pictures.

    Raises:
        InputError: the set has no recordings, or no boxes in its ground truth.
    """
    if chosen.detections is not None:
        raise InputError(f"{chosen.name}: the gate needs pictures, but the set only has saved detections")
    on_step(f"{chosen.name}: detections")
    files = saved_detections(chosen, folder)
    on_step(f"{chosen.name}: motion")
    quiet, frames, gate_s = _quiet_frames(chosen.config, files, changing_light)
    idf1: dict[tuple[bool, bool], float] = {}
    found: dict[bool, set[tuple[str, int]]] = {}
    for with_gate in (False, True):
        for second_pass in (False, True):
            on_step(f"{chosen.name}: {'with' if with_gate else 'without'} the gate")
            boxes = _tracked(chosen, files, quiet if with_gate else {}, second_pass=second_pass)
            value = score(boxes, chosen.ground_truth).all_cameras.idf1
            if value is None:
                raise InputError(f"{chosen.name}: the ground truth has no boxes, so there is no IDF1")
            idf1[with_gate, second_pass] = value
            found[with_gate] = found_people(boxes, chosen.ground_truth)
    return QuietFigures(
        frames=frames,
        quiet=sum(map(len, quiet.values())),
        gate_ms=1000 * gate_s / max(frames, 1),
        people=len(found[False]),
        lost=len(found[False] - found[True]),
        online=(idf1[False, False], idf1[True, False]),
        offline=(idf1[False, True], idf1[True, True]),
    )


def found_people(boxes: Mapping[str, TrajectoryBoxes], truth: Mapping[str, TrackBoxes]) -> set[tuple[str, int]]:
    """Return (camera, person) of everybody in the ground truth whom at least one box of a result shows."""
    found: set[tuple[str, int]] = set()
    for camera_id, people in truth.items():
        if camera_id not in boxes:
            continue
        result = boxes[camera_id].boxes
        for frame in np.unique(people.frame_index).tolist():
            there, seen = people.frame_index == frame, result.frame_index == frame
            overlap = iou_matrix(people.xyxy[there], result.xyxy[seen])
            for person in people.ids[there][(overlap >= _FOUND_IOU).any(axis=1)].tolist():
                found.add((camera_id, person))
    return found


def under_changing_light(image: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8 as it would be if the light changed."""
    switched = _SWITCH if int(time_s / _SWITCH_S) % 2 else 0.0
    gain = (1.0 + _WAVE * math.sin(2 * math.pi * time_s / _WAVE_S)) * (1.0 - switched)
    return np.asarray(np.clip(image.astype(np.float32) * gain, 0, 255), np.uint8)


def _quiet_frames(
    config: Config, files: Mapping[str, Path], changing_light: bool
) -> tuple[dict[str, frozenset[int]], int, float]:
    """Return the frames that are not searched, by camera; the number of all; and the seconds of the decisions."""
    with_gate = config.model_copy(update={"detector": config.detector.model_copy(update={"motion_gate": True})})
    quiet: dict[str, set[int]] = {camera.name: set() for camera in config.cameras}
    frames, gate_s = 0, 0.0
    with opened(files, config.detector.confidence_min) as saved:
        timed = _Timed(saved.detector)
        detector = gated(timed, with_gate)
        assert isinstance(detector, GatedDetector)
        sources, _ = open_sources(config)
        try:
            for source in sources:
                for frame in source:
                    if changing_light and frame.image is not None:
                        image = under_changing_light(frame.image, frame.time_s)
                        frame = Frame(frame.camera_id, frame.frame_index, frame.time_s, frame.size_wh, image)
                    before = detector.skipped[frame.camera_id]
                    began_s = time.thread_time()
                    timed.busy_s = 0.0
                    detector.detect([frame])
                    gate_s += time.thread_time() - began_s - timed.busy_s
                    frames += 1
                    if detector.skipped[frame.camera_id] > before:
                        quiet[frame.camera_id].add(frame.frame_index)
        finally:
            close_sources(sources)
    return {name: frozenset(numbers) for name, numbers in quiet.items()}, frames, gate_s


class _Timed(Detector):
    """Another detector whose time is measured."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.busy_s = 0.0

    @property
    def class_names(self) -> Mapping[int, str]:
        return self._detector.class_names

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        began_s = time.thread_time()
        found = self._detector.detect(frames)
        self.busy_s += time.thread_time() - began_s
        return found


def _tracked(
    chosen: BenchmarkSet, files: Mapping[str, Path], quiet: Mapping[str, frozenset[int]], *, second_pass: bool
) -> Mapping[str, TrajectoryBoxes]:
    with opened(files, chosen.config.detector.confidence_min) as saved:
        embedder_hash = saved.detector.embedder_hash
        limits = match_limits(chosen.config, embedder_hash)
        detector = SearchedFrames(saved.detector, quiet)
        return run_project(
            chosen.config, limits, saved.sources, detector, embedder_hash, second_pass=second_pass
        ).boxes


def quiet_table(found: Mapping[str, QuietFigures]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [
        "| | frames not searched | people lost | online, all frames / with the gate | offline | ms per decision |",
        "|---|---:|---:|---|---|---:|",
    ]
    for name, figures in found.items():
        online, offline = (
            f"{100 * before:.1f} / {100 * after:.1f}" for before, after in (figures.online, figures.offline)
        )
        lines.append(
            f"| {name} | {100 * figures.quiet / max(figures.frames, 1):.0f} % of {figures.frames} | "
            f"{figures.lost} of {figures.people} | {online} | {offline} | {figures.gate_ms:.2f} |"
        )
    return lines
