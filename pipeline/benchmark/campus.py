"""CAMPUS sequences (Xu et al., CVPR 2016) as a benchmark set: ground truth in Vatic's format, saved detections.

No videos are used. A folder of the data set has two files per view:

- `VIEW.txt.gz` with rows `track_id xmin ymin xmax ymax frame lost occluded generated label`; a person has the same id
  in all views.
- `VIEW-rendered.detections.json.gz` with the boxes of a detector, as fractions of the picture size.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from detectors.parquet_file import DetectionWriter
from detectors.weights import model_hash
from pipeline.benchmark.campus_cameras import Standing, disagreement_m, fit_pair, read_poses
from pipeline.core.datatypes import Detections, Frame, IntArray
from pipeline.core.errors import InputError

_TRUTH, _DETECTIONS = ".txt.gz", "-rendered.detections.json.gz"
# If the lower border of the picture cuts a box off, its bottom is not where the person stands.
_BORDER_PX = 20
# Views that share fewer boxes of the same person in the same frame do not count as overlapping.
_FEWEST_SHARED = 200
# Number of boxes that is enough to fit a camera.
_SAMPLES = 300


@dataclass(frozen=True, eq=False)
class View:
    """One view of a sequence.

    Attributes:
        name: such as view-HC3.
        size_wh: (width, height) of its pictures in px.
        frame_rate: frames per second.
        ids, frame_index: (N,) int64, of the visible boxes of the ground truth.
        xyxy: (N, 4) float64, these boxes in px.
        found: frame index -> (M, 5) float32, the detector's boxes: xyxy in px and confidence.
        frames: number of frames.
        detections_hash: hash of the file with the detections.
    """

    name: str
    size_wh: tuple[int, int]
    frame_rate: float
    ids: IntArray
    frame_index: IntArray
    xyxy: NDArray[np.float64]
    found: Mapping[int, NDArray[np.float32]]
    frames: int
    detections_hash: str


@dataclass(frozen=True)
class Overlap:
    """Two views of the same floor, and how well their floor positions of the same people agree.

    Attributes:
        views: names of the views.
        fitted_m, rest_m: median distance in metres, in the frames used for the fit and in the other frames.
    """

    views: tuple[str, str]
    fitted_m: float
    rest_m: float


def read_views(folder: Path) -> list[View]:
    """Read all views of a sequence.

    Raises:
        InputError: a file is missing or has another format.
    """
    names = sorted(path.name.removesuffix(_TRUTH) for path in folder.glob(f"*{_TRUTH}"))
    if not names:
        raise InputError(f"{folder}: expected the files of a CAMPUS sequence, VIEW{_TRUTH} and VIEW{_DETECTIONS}")
    return [_read_view(folder, name) for name in names]


def fit_cameras(views: list[View], folder: Path, until: int) -> tuple[dict[str, Any], list[Overlap]]:
    """Fit homographies for views that overlap another view, using the people in the frames before `until`.

    Returns:
        View -> (3, 3) from pixels to the floor in metres, and how well the pairs of views fit. A view that overlaps
        several views is fitted with the one that shares most people with it.

    Raises:
        InputError: scene_metadata.xml is missing, or lacks a view that overlaps another.
    """
    metadata = folder / "scene_metadata.xml"
    poses = read_poses(metadata)
    pairs = sorted(itertools.combinations(views, 2), key=lambda pair: -len(_shared(pair[0], pair[1], 0, until)[0]))
    homographies: dict[str, Any] = {}
    overlaps = []
    for first, second in pairs:
        rows = _shared(first, second, 0, until)
        if len(rows[0]) < _FEWEST_SHARED or {first.name, second.name} & set(homographies):
            continue
        for view in (first, second):
            if view.name not in poses:
                raise InputError(f"{metadata}: has no position of {view.name}")
        together = (_standing(first, _thinned(rows[0])), _standing(second, _thinned(rows[1])))
        alone = (_some_people(first, until), _some_people(second, until))
        homographies[first.name], homographies[second.name] = fit_pair(
            (poses[first.name], poses[second.name]), first.size_wh, together, alone
        )
        names = (first.name, second.name)
        rest = _shared(first, second, until, max(first.frames, second.frames))
        later = (_standing(first, rest[0]), _standing(second, rest[1]))
        overlaps.append(
            Overlap(
                names,
                float(np.median(disagreement_m(homographies, names, together))),
                float(np.median(disagreement_m(homographies, names, later))),
            )
        )
    return homographies, overlaps


def write_set(views: list[View], homographies: Mapping[str, Any], begin: int, folder: Path) -> Path:
    """Write a benchmark set of the frames from `begin` on: set.yaml, ground truth and detections of each view.

    Returns:
        The file of the set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cameras = []
    for view in views:
        _write_truth(view, begin, folder / f"{view.name}_gt.txt")
        _write_detections(view, begin, folder / f"{view.name}.parquet")
        camera: dict[str, Any] = {"name": view.name, "source": f"{view.name}.parquet"}
        if view.name in homographies:
            camera["homography"] = [[float(value) for value in row] for row in homographies[view.name]]
        cameras.append(camera)
    content = {
        "cameras": cameras,
        "embedder": {"weights": None},
        "ground_truth": {view.name: f"{view.name}_gt.txt" for view in views},
        "detections": {view.name: f"{view.name}.parquet" for view in views},
    }
    path = folder / "set.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _read_view(folder: Path, name: str) -> View:
    truth, saved = folder / f"{name}{_TRUTH}", folder / f"{name}{_DETECTIONS}"
    try:
        with gzip.open(truth, "rt", encoding="utf-8") as file:
            rows = np.array([[int(field) for field in line.split()[:7]] for line in file], np.int64).reshape(-1, 7)
        with gzip.open(saved, "rt", encoding="utf-8") as file:
            content = json.load(file)
        video = content["video_info"]
        size_wh = (int(video["width"]), int(video["height"]))
        frame_rate, frames = float(video["fps"]), int(video["total_frames"])
        found = {int(frame["frame_number"]): _boxes(frame["detections"], size_wh) for frame in content["frames"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: {name} is not a view of a CAMPUS sequence ({error})") from error
    rows = rows[rows[:, 6] == 0]  # the others are marked as outside the picture
    return View(
        name=name,
        size_wh=size_wh,
        frame_rate=frame_rate,
        ids=rows[:, 0],
        frame_index=rows[:, 5],
        xyxy=rows[:, 1:5].astype(np.float64),
        found=found,
        frames=frames,
        detections_hash=model_hash(saved),
    )


def _boxes(detections: list[dict[str, Any]], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    scale = np.array([*size_wh, *size_wh, 1.0])
    rows = [
        [*(entry["bbox"][side] for side in ("left", "top", "right", "bottom")), entry["confidence"]]
        for entry in detections
        if entry["class_name"] == "person"
    ]
    return np.asarray(np.array(rows, np.float64).reshape(-1, 5) * scale, np.float32)


def _usable(view: View) -> NDArray[np.bool_]:
    return np.asarray((view.xyxy[:, 3] < view.size_wh[1] - _BORDER_PX) & (view.xyxy[:, 1] > _BORDER_PX))


def _shared(first: View, second: View, begin: int, end: int) -> tuple[IntArray, IntArray]:
    """Return the rows, in each view, of people that both views show with their feet in the same frame."""
    keys = []
    for view in (first, second):
        rows = np.flatnonzero(_usable(view) & (view.frame_index >= begin) & (view.frame_index < end))
        keys.append({(int(view.ids[row]), int(view.frame_index[row])): int(row) for row in rows})
    both = sorted(keys[0].keys() & keys[1].keys())
    return (
        np.array([keys[0][key] for key in both], np.int64),
        np.array([keys[1][key] for key in both], np.int64),
    )


def _standing(view: View, rows: IntArray) -> Standing:
    xyxy = view.xyxy[rows]
    return Standing(
        feet_px=np.column_stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]]), height_px=xyxy[:, 3] - xyxy[:, 1]
    )


def _some_people(view: View, until: int) -> Standing:
    rows = np.flatnonzero(_usable(view) & (view.frame_index < until))
    return _standing(view, _thinned(rows))


def _thinned(rows: IntArray) -> IntArray:
    return rows[:: max(len(rows) // _SAMPLES, 1)]


def _write_truth(view: View, begin: int, path: Path) -> None:
    lines = []
    for row in np.flatnonzero(view.frame_index >= begin):
        x1, y1, x2, y2 = view.xyxy[row].tolist()
        frame = int(view.frame_index[row]) - begin + 1
        # Ids of MOT ground truth count from 1, those of this data set from 0.
        lines.append(f"{frame},{int(view.ids[row]) + 1},{x1:g},{y1:g},{x2 - x1:g},{y2 - y1:g},1,1,1\n")
    path.write_text("".join(lines), encoding="utf-8")


def _write_detections(view: View, begin: int, path: Path) -> None:
    none = np.zeros((0, 5), np.float32)
    with DetectionWriter(
        path,
        camera_id=view.name,
        size_wh=view.size_wh,
        frame_rate=view.frame_rate,
        class_names={0: "person"},
        detector_hash=view.detections_hash,
    ) as writer:
        for index in range(begin, view.frames):
            rows = view.found.get(index, none)
            time_s = (index - begin) / view.frame_rate
            writer.write(
                Frame(view.name, index - begin, time_s, view.size_wh, None),
                Detections(
                    np.ascontiguousarray(rows[:, :4]),
                    np.ascontiguousarray(rows[:, 4]),
                    np.zeros(len(rows), np.int64),
                ),
            )
