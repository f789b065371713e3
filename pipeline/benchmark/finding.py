"""How often `mtmc find` finds the right person: queries cut by the ground truth, tracks of other cameras as gallery."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import close_sources, open_sources
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.saved_run import run_key
from pipeline.core.boxes import iou_matrix
from pipeline.core.datatypes import FloatArray
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError, RunError
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import read_trajectory_boxes
from pipeline.recorded import track as tracking
from pipeline.search.meaning import Meaning
from pipeline.search.pictures import PictureChoice, PictureModels, images_query, picture_models
from pipeline.search.ranking import TrackFilter, rank
from pipeline.search.recorded_run import RecordedRun
from pipeline.search.run_config import ConfigChoice
from pipeline.search.track_pictures import cropped
from pipeline.single_camera.good_crops import good_crops

# A box of a track shows the person whose true box overlaps it most, and at least this much.
_SAME_BOX_IOU = 0.5


@dataclass(frozen=True, eq=False)
class QueryCrop:
    """A good crop of a person.

    Attributes:
        person: id in the ground truth.
        image: (H, W, 3) uint8, BGR.
    """

    person: int
    camera_id: str
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class FindScores:
    """Scores of the searches in a set.

    Attributes:
        camera_stated: whether each query named its camera.
        queries: number of searches; one for each person and camera with a good crop, if a track of another camera shows
            the person.
        left_out: number of crops of people whom no track of another camera shows.
        rank1: share of the searches whose nearest track shows the person.
        mean_average_precision: over all tracks of the other cameras.
        said: number of pairs of a query and a track that got each word.
        right: of these, the number of pairs that show one person.
    """

    camera_stated: bool
    queries: int
    left_out: int
    rank1: float
    mean_average_precision: float
    said: Mapping[str, int]
    right: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON data."""
        return asdict(self)


def measure_finding(
    chosen: BenchmarkSet, cache: Path, on_step: Callable[[str], None] = lambda what: None
) -> list[FindScores]:
    """Return the scores of a set of several cameras, for queries whose camera is stated and for the same without it.

    Args:
        cache: folder for runs.
        on_step: called with a description of each step.

    Raises:
        InputError: the set has one camera, or no pictures.
    """
    if len(chosen.ground_truth) < 2:
        raise InputError(f"{chosen.name} has one camera: a query from another camera needs two")
    if chosen.detections is not None:
        raise InputError(f"{chosen.name} has no pictures, so no query can be cut from them")
    on_step(f"{chosen.name}: tracking")
    run = RecordedRun(finished_run(chosen, cache), chosen.name, ConfigChoice())
    shown = people_of_tracks(run.folder, chosen.ground_truth)
    on_step(f"{chosen.name}: cutting queries")
    crops = list(query_crops(chosen))
    models = picture_models(run.comparing.config, run.comparing.embedder_hash, run.name, detect=False)
    return [scores(run, crops, shown, models, camera_stated=stated) for stated in (True, False)]


def finished_run(chosen: BenchmarkSet, cache: Path) -> Path:
    """Return the folder of a finished run of the set, which is tracked unless `cache` already holds it.

    Raises:
        InputError: as in `track`.
        RunError: a recording cannot be read to its end.
    """
    kept = cache / f"{run_key(chosen.config)}-run"
    if not (kept / "complete").exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        summary = tracking.track(chosen.config, kept, overwrite=True)
        if summary.problems:
            raise RunError(
                f"{chosen.name}: {'; '.join(summary.problems)}: provide recordings that can be read to the end"
            )
        (kept / "complete").touch()
    return kept


def people_of_tracks(folder: Path, truth: Mapping[str, TrackBoxes]) -> dict[TrackKey, int]:
    """Return the person whom most boxes of each track show; a track without such a person is left out."""
    votes: dict[TrackKey, Counter[int]] = defaultdict(Counter)
    sizes: Counter[TrackKey] = Counter()
    for camera_id, tracks in read_trajectory_boxes(folder / "trajectories.csv", interpolated=False).items():
        true = truth[camera_id]
        for frame in np.unique(tracks.boxes.frame_index).tolist():
            rows = np.flatnonzero(tracks.boxes.frame_index == frame)
            people = np.flatnonzero(true.frame_index == frame)
            overlap = iou_matrix(tracks.boxes.xyxy[rows], true.xyxy[people])
            for place, row in enumerate(rows.tolist()):
                key = (camera_id, int(tracks.track_id[row]))
                sizes[key] += 1
                if len(people) and overlap[place].max() >= _SAME_BOX_IOU:
                    votes[key][int(true.ids[people[overlap[place].argmax()]])] += 1
    most = {key: counts.most_common(1)[0] for key, counts in votes.items()}
    return {key: person for key, (person, count) in most.items() if 2 * count > sizes[key]}


def query_crops(chosen: BenchmarkSet) -> Iterator[QueryCrop]:
    """Yield the highest good crop of each person in each camera, by the boxes of the ground truth."""
    sources, _ = open_sources(chosen.config)
    try:
        for source in sources:
            boxes = _best_boxes(chosen, source.camera_id, source.size_wh)
            for frame in source:
                for person, (frame_index, xyxy) in boxes.items():
                    if frame_index == frame.frame_index and frame.image is not None:
                        yield QueryCrop(person, source.camera_id, cropped(frame.image, xyxy))
    finally:
        close_sources(sources)


def _best_boxes(
    chosen: BenchmarkSet, camera_id: str, size_wh: tuple[int, int]
) -> dict[int, tuple[int, FloatArray]]:
    """Return the frame and the box (4,) of each person's best crop."""
    truth = chosen.ground_truth[camera_id]
    best: dict[int, tuple[float, int, FloatArray]] = {}
    for frame in np.unique(truth.frame_index).tolist():
        rows = np.flatnonzero(truth.frame_index == frame)
        xyxy = np.asarray(truth.xyxy[rows], np.float32)
        good = good_crops(xyxy, np.ones(len(rows), np.float32), size_wh, chosen.config.tracker)
        for row, box in zip(rows[good].tolist(), xyxy[good], strict=True):
            person, height_px = int(truth.ids[row]), float(box[3] - box[1])
            if person not in best or height_px > best[person][0]:
                best[person] = (height_px, frame, box)
    return {person: (frame, box) for person, (_, frame, box) in best.items()}


def scores(
    run: RecordedRun,
    crops: Sequence[QueryCrop],
    shown: Mapping[TrackKey, int],
    models: PictureModels,
    *,
    camera_stated: bool,
) -> FindScores:
    """Search the tracks of the other cameras for each crop.

    Args:
        shown: the person of each track; other tracks show nobody of the ground truth.
    """
    names = run.comparing.camera_ids
    said: Counter[Meaning] = Counter()
    right: Counter[Meaning] = Counter()
    first: list[bool] = []
    precision: list[float] = []
    left_out = 0
    for crop in crops:
        camera = crop.camera_id if camera_stated else None
        query = images_query([("query", crop.image)], models, camera, PictureChoice(force=True)).query
        ranking = rank(query, [run], TrackFilter(frozenset(names) - {crop.camera_id}))
        keys = [(names[c], t) for c, t in zip(ranking.camera.tolist(), ranking.track_id.tolist(), strict=True)]
        same = np.array([shown.get(key) == crop.person for key in keys], np.bool_)
        if not same.any():
            left_out += 1
            continue
        first.append(bool(same[0]))
        precision.append(average_precision(same))
        for row, is_right in enumerate(same.tolist()):
            meaning = ranking.meaning(row)
            said[meaning] += 1
            right[meaning] += is_right
    return FindScores(
        camera_stated=camera_stated,
        queries=len(first),
        left_out=left_out,
        rank1=float(np.mean(first)) if first else 0.0,
        mean_average_precision=float(np.mean(precision)) if precision else 0.0,
        said={str(meaning): said[meaning] for meaning in Meaning},
        right={str(meaning): right[meaning] for meaning in Meaning},
    )


def average_precision(same: NDArray[np.bool_]) -> float:
    """Return the average precision of a ranked list (N,), in which `same` is True for the right ones, at least one."""
    found = np.cumsum(same)
    return float(np.mean(found[same] / (np.flatnonzero(same) + 1)))
