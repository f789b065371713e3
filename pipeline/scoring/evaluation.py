"""Scores of trajectories against ground truth, per camera and over all cameras with global ids.

All cameras together are one sequence whose time steps are the pairs (camera, frame): an identity counts as right
only if it has one global id in every camera (E. Ristani et al., arXiv 1609.01775, section 4). The scores of the
cameras are never averaged, because the average hides wrong links. For example, people who are tracked without error
in each of three cameras, but with a new id in each, give IDF1 1.0 in every camera and 0.33 over all.

HOTA, DetA and AssA: J. Luiten et al., arXiv 2009.07736; means over the IoU thresholds 0.05, 0.10 ... 0.95.
MOTA and its counts: K. Bernardin and R. Stiefelhagen, EURASIP 2008. All are computed by the library TrackEval.

Three figures show where the errors come from. They score the same tracks `not linked`, with the ids of this run, and
with `perfect linking`. Not linked, every track has its own id. With perfect linking, every track has the id of the
person that it follows most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from trackeval.metrics import CLEAR, HOTA, Identity

from pipeline.core.boxes import iou_matrix
from pipeline.core.datatypes import BoolArray, IntArray
from pipeline.core.errors import InputError
from pipeline.files.frame_grid import FrameGrid
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.run_folder import NOTE_NAME, noted_recording, noted_steps
from pipeline.files.track_boxes import TrackBoxes, check_unique, crop_ground_truth
from pipeline.files.trajectory_boxes import TrajectoryBoxes, read_predicted_boxes


@dataclass(frozen=True)
class SequenceScores:
    """Scores of one camera, or of all; shares in [0, 1], None if there is nothing to score.

    Attributes:
        hota, det_a, ass_a: higher order tracking accuracy, and its parts for boxes and for identities.
        idf1, idp, idr: F1, precision and recall of the boxes with the right identity.
        mota: 1 - (false positives + false negatives + id switches) / ground-truth boxes; may be negative.
        id_switches: how often a person's id differs from the previous one. Over all cameras, the cameras are
            visited in alphabetical order and a change from one to the next counts: this count and MOTA depend
            on the order, HOTA and IDF1 do not.
        false_positives, false_negatives: predicted boxes without a person, people without a predicted box.
        ground_truth_boxes, predicted_boxes, ground_truth_ids, predicted_ids: the number of each.
    """

    hota: float | None
    det_a: float | None
    ass_a: float | None
    idf1: float | None
    idp: float | None
    idr: float | None
    mota: float | None
    id_switches: int
    false_positives: int
    false_negatives: int
    ground_truth_boxes: int
    predicted_boxes: int
    ground_truth_ids: int
    predicted_ids: int


@dataclass(frozen=True)
class Scores:
    """What `evaluate` returns.

    Attributes:
        cameras: camera id -> scores inside that camera.
        all_cameras: one sequence over all cameras, with global ids.
        not_linked: as `all_cameras`, but every track of every camera has its own id.
        perfect_linking: as `all_cameras`, but every track has the id of the person it follows in most frames.
        iou_threshold: smallest IoU at which a predicted box matches a person, for IDF1, MOTA and perfect linking.
        warnings: reasons why the scores may mislead.
    """

    cameras: Mapping[str, SequenceScores]
    all_cameras: SequenceScores
    not_linked: SequenceScores
    perfect_linking: SequenceScores
    iou_threshold: float
    warnings: tuple[str, ...]

    @property
    def gap_closed(self) -> float | None:
        """The share of the gap in IDF1 between `not_linked` and `perfect_linking` that linking closes; below 0 if it
        makes the score worse, None if there is no gap."""
        low, reached, high = self.not_linked.idf1, self.all_cameras.idf1, self.perfect_linking.idf1
        if low is None or reached is None or high is None or high <= low:
            return None
        return (reached - low) / (high - low)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, as for JSON."""
        return {
            "iou_threshold": self.iou_threshold,
            "cameras": {camera: asdict(scores) for camera, scores in self.cameras.items()},
            "all_cameras": asdict(self.all_cameras),
            "not_linked": asdict(self.not_linked),
            "perfect_linking": asdict(self.perfect_linking),
            "gap_closed": self.gap_closed,
            "warnings": list(self.warnings),
        }


def evaluate(
    trajectories: Sequence[Path],
    ground_truth: Mapping[str, Path],
    *,
    iou_threshold: float = 0.5,
    class_name: str | None = "person",
    ground_truth_classes: Collection[int] | Literal["all"] | None = None,
    ground_truth_stride: int | None = None,
    crops_xyxy_px: Mapping[str, Sequence[float]] | None = None,
    interpolated: bool = False,
) -> Scores:
    """Score the result of a run: a trajectories.csv, or MOTChallenge text.

    If the run.json beside the result says that the run used every n-th frame of a camera, the ground truth of the other
    frames is left out, and a warning says so. Another warning says if the run used a part of its recordings.

    Args:
        trajectories: see `read_predicted_boxes`.
        ground_truth: camera id -> MOTChallenge ground truth of that camera; the same id in two files is the
            same person.
        iou_threshold: in (0, 1], see `Scores`.
        class_name: the class of the CSV that is scored; None for all.
        ground_truth_classes: the class ids of the ground truth that are scored; None for people. Unlike the official
            protocol of MOT16/17/20, boxes on people of other classes (reflections, static persons) count as errors.
        ground_truth_stride: see `on_annotated_frames`.
        crops_xyxy_px: camera id -> left, top, right, bottom of the part of the image that the camera sees; see
            `crop_ground_truth`. Cameras that are not named see the whole image.
        interpolated: also score rows filled in by interpolation, which no detector saw.

    Raises:
        InputError: see `read_predicted_boxes`, `read_ground_truth` and `score`.
    """
    told: list[str] = []
    predicted = read_predicted_boxes(
        trajectories, class_name=class_name, interpolated=interpolated, tell=told.append
    )
    truth = {
        camera: read_ground_truth(path, classes=ground_truth_classes, tell=told.append)
        for camera, path in ground_truth.items()
    }
    for camera, crop_xyxy_px in (crops_xyxy_px or {}).items():
        if camera in truth:
            truth[camera] = crop_ground_truth(truth[camera], crop_xyxy_px)
    note = _run_folder(trajectories[0]) / NOTE_NAME
    part = noted_recording(note)
    truth = _in_used_frames(truth, predicted, noted_steps(note), part.get("stride"), tell=told.append)
    if part.get("start_s") is not None or part.get("end_s") is not None:
        told.append(
            f"the run used a part of its recordings, from {_second(part.get('start_s'), 'the beginning')} to "
            f"{_second(part.get('end_s'), 'the end')}: people of the ground truth outside it count as missed"
        )
    predicted = on_annotated_frames(predicted, truth, ground_truth_stride, tell=told.append)
    scores = score(predicted, truth, iou_threshold=iou_threshold)
    return replace(scores, warnings=(*told, *scores.warnings))


def _in_used_frames(
    truth: Mapping[str, TrackBoxes],
    predicted: Mapping[str, TrajectoryBoxes],
    noted: Mapping[str, int],
    stride: object,
    *,
    tell: Callable[[str], None],
) -> dict[str, TrackBoxes]:
    """Return the ground truth of the frames that the run used.

    Args:
        noted: camera -> difference between the indices of the frames that the run used.
        stride: the setting `recording.stride` of the run, for cameras that are not noted.
        tell: called with a sentence if ground truth is left out.

    Raises:
        InputError: the run used none of the frames of a camera that have ground truth.
    """
    kept = dict(truth)
    cameras: dict[int, list[str]] = defaultdict(list)
    for camera, boxes in truth.items():
        used = predicted[camera].boxes.frame_index if camera in predicted else np.zeros(0, np.int64)
        steps = [step for step in (noted.get(camera), stride) if isinstance(step, int) and step > 1]
        grids = [FrameGrid(step, int(used[0]) % step if len(used) else 0) for step in steps]
        # Pictures that are numbered irregularly may lie on none.
        grid = next((grid for grid in grids if grid.holds(used).all()), None)
        if grid is None:
            continue
        kept[camera] = boxes[grid.holds(boxes.frame_index)]
        if len(boxes) and not len(kept[camera]):
            raise InputError(
                f"camera {camera!r}: the run used {grid} from frame {grid.first + 1} on, and none of these has ground "
                "truth: run it with another recording.stride"
            )
        if len(kept[camera]) < len(boxes):
            cameras[grid.stride].append(camera)
    for step, names in cameras.items():
        of = "" if len(names) == len(truth) else f" of {_names(names)}"
        tell(f"the run used 1 frame in {step}{of}: the ground truth of the other frames is left out")
    return kept


def _run_folder(result: Path) -> Path:
    """Return the folder of the run that wrote a result: MOT text is in its folder `mot`."""
    folder = result if result.is_dir() else result.parent
    return folder.parent if folder.name == "mot" else folder


def _second(time_s: object, otherwise: str) -> str:
    return f"{time_s:g} s" if isinstance(time_s, int | float) else otherwise


def on_annotated_frames(
    predicted: Mapping[str, TrajectoryBoxes],
    ground_truth: Mapping[str, TrackBoxes],
    stride: int | None,
    *,
    tell: Callable[[str], None],
) -> dict[str, TrajectoryBoxes]:
    """Return the predicted boxes in the frames that somebody annotated.

    Many data sets annotate every n-th frame only. Right boxes in the other frames would count as errors.

    Args:
        stride: every n-th frame is annotated, from the first frame with ground truth on; None finds it in the ground
            truth of each camera, and 1 keeps all boxes.
        tell: called with a sentence for each camera whose boxes are left out.

    Raises:
        InputError: the stride is below 1.
    """
    if stride is not None and stride < 1:
        raise InputError(f"the stride of the ground truth is {stride}, but must be at least 1.")
    kept = dict(predicted)
    for camera, truth in ground_truth.items():
        if camera not in predicted or not len(truth):
            continue
        grid = FrameGrid.of(truth.frame_index)
        if stride is not None:
            grid = FrameGrid(stride, int(truth.frame_index.min()) % stride)
        found = predicted[camera]
        on_grid = grid.holds(found.boxes.frame_index)
        if not on_grid.all():
            kept[camera] = TrajectoryBoxes(found.boxes[on_grid], found.track_id[on_grid])
            tell(
                f"camera {camera!r}: {grid} has ground truth, and only these are scored: "
                f"{int((~on_grid).sum())} of {len(on_grid)} predicted boxes are left out"
            )
    return kept


def score(
    predicted: Mapping[str, TrajectoryBoxes],
    ground_truth: Mapping[str, TrackBoxes],
    *,
    iou_threshold: float = 0.5,
) -> Scores:
    """Score boxes in memory; see `evaluate`.

    Only cameras with ground truth are scored. If a camera of the ground truth has no predicted box, everybody in
    it counts as missed.

    Raises:
        InputError: there is no ground truth; there are predicted boxes, but none in a camera of the ground truth; an
            id or a track occurs twice in one frame of a camera; the threshold is outside (0, 1].
    """
    if not 0 < iou_threshold <= 1:
        raise InputError(f"the IoU threshold is {iou_threshold}, but must be above 0 and at most 1.")
    if not ground_truth:
        raise InputError("there is no ground truth. Name at least one camera and its file.")
    if predicted and not set(predicted) & set(ground_truth):
        raise InputError(
            f"the ground truth is of {_names(ground_truth)}, the trajectories are of {_names(predicted)}: "
            "they have no camera in common. Use the camera names of the run for the ground truth."
        )
    for camera, boxes in ground_truth.items():
        _check_once(f"the ground truth of camera {camera!r}", "id", boxes, boxes.ids)
    for camera, track in predicted.items():
        _check_once(f"the tracking result of camera {camera!r}", "id", track.boxes, track.boxes.ids)
        _check_once(f"the tracking result of camera {camera!r}", "track", track.boxes, track.track_id)
    cameras, sequence, truth_ids, tracks = _joined(predicted, ground_truth)
    global_ids = np.concatenate([track.boxes.ids for track in tracks])
    own_ids = _track_ids(tracks)
    perfect_ids = _perfect_ids(sequence, truth_ids, own_ids, iou_threshold)

    def scores_of(part: _Sequence, ids: IntArray) -> SequenceScores:
        return _score(part, truth_ids, ids, iou_threshold)

    return Scores(
        cameras={camera: scores_of(sequence.of_camera(index), global_ids) for index, camera in enumerate(cameras)},
        all_cameras=scores_of(sequence, global_ids),
        not_linked=scores_of(sequence, own_ids),
        perfect_linking=scores_of(sequence, perfect_ids),
        iou_threshold=iou_threshold,
        warnings=tuple(_warnings(predicted, ground_truth)),
    )


@dataclass(frozen=True, eq=False)
class FollowedBoxes:
    """Whom the boxes of one camera follow.

    Attributes:
        person: (N,) int64, the person that the box's track has with perfect linking; -1 for nobody.
        on_person: (N,) bool, whether the box overlaps with this person.
    """

    person: IntArray
    on_person: BoolArray


def _joined(
    predicted: Mapping[str, TrajectoryBoxes], ground_truth: Mapping[str, TrackBoxes]
) -> tuple[list[str], _Sequence, IntArray, list[TrajectoryBoxes]]:
    """Return the cameras of the ground truth in order, all of them as one sequence, the (G,) ids of its ground truth,
    and the predicted boxes of each camera, which may be none."""
    cameras = sorted(ground_truth)
    truth = [ground_truth[camera] for camera in cameras]
    nothing = TrajectoryBoxes(TrackBoxes.empty(), np.zeros(0, np.int64))
    tracks = [predicted.get(camera, nothing) for camera in cameras]
    sequence = _Sequence.of(truth, [track.boxes for track in tracks])
    return cameras, sequence, np.concatenate([boxes.ids for boxes in truth]), tracks


def followed(
    predicted: Mapping[str, TrajectoryBoxes],
    ground_truth: Mapping[str, TrackBoxes],
    *,
    iou_threshold: float = 0.5,
) -> dict[str, FollowedBoxes]:
    """Return, for the cameras of the ground truth, whom each predicted box follows; see `Scores.perfect_linking`."""
    cameras, sequence, truth_ids, tracks = _joined(predicted, ground_truth)
    person = _perfect_ids(sequence, truth_ids, _track_ids(tracks), iou_threshold)
    person[person > truth_ids.max(initial=0)] = -1
    on_person = np.zeros(len(person), np.bool_)
    for step in sequence.steps:
        same = truth_ids[step.truth_rows][:, None] == person[step.predicted_rows][None, :]
        on_person[step.predicted_rows] = (same & (step.iou >= iou_threshold)).any(axis=0)
    ends = np.cumsum([len(track.boxes) for track in tracks])[:-1]
    parts = zip(cameras, np.split(person, ends), np.split(on_person, ends), strict=True)
    return {camera: FollowedBoxes(persons, on) for camera, persons, on in parts}


def _check_once(whose: str, what: str, boxes: TrackBoxes, ids: IntArray) -> None:
    """Raise InputError if two boxes of one frame have the same id in `ids` (N,)."""

    def fail(first: int, second: int) -> NoReturn:
        raise InputError(
            f"{whose} has {what} {ids[second]} twice in frame_index {boxes.frame_index[second]}. One person cannot "
            "be in two boxes of one image: remove or renumber one of them."
        )

    check_unique((boxes.frame_index, ids), fail)


@dataclass(frozen=True, eq=False)
class _TimeStep:
    """One frame of one camera.

    truth_rows (G,) and predicted_rows (P,) are rows of the arrays of all cameras; iou is (G, P).
    """

    camera: int
    truth_rows: IntArray
    predicted_rows: IntArray
    iou: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class _Sequence:
    """Time steps in order: camera by camera, frame by frame. Frames without any box have no step."""

    steps: Sequence[_TimeStep]

    @classmethod
    def of(cls, truth: Sequence[TrackBoxes], predicted: Sequence[TrackBoxes]) -> _Sequence:
        """Build the sequence from the boxes of each camera; row numbers continue from one camera to the next."""
        steps = []
        first_truth = first_predicted = 0
        for camera, (real, found) in enumerate(zip(truth, predicted, strict=True)):
            real_rows, found_rows = _rows_by_frame(real), _rows_by_frame(found)
            nobody = np.zeros(0, np.int64)
            for frame in sorted(real_rows.keys() | found_rows.keys()):
                a, b = real_rows.get(frame, nobody), found_rows.get(frame, nobody)
                iou = iou_matrix(real.xyxy[a], found.xyxy[b])
                steps.append(_TimeStep(camera, a + first_truth, b + first_predicted, iou))
            first_truth += len(real)
            first_predicted += len(found)
        return cls(steps)

    def of_camera(self, camera: int) -> _Sequence:
        """Return the time steps of one camera."""
        return _Sequence([step for step in self.steps if step.camera == camera])


def _rows_by_frame(boxes: TrackBoxes) -> dict[int, IntArray]:
    order = np.argsort(boxes.frame_index, kind="stable")
    frames, starts = np.unique(boxes.frame_index[order], return_index=True)
    return dict(zip(frames.tolist(), np.split(order, starts[1:]), strict=True)) if len(frames) else {}


def _score(
    sequence: _Sequence, truth_ids: IntArray, predicted_ids: IntArray, iou_threshold: float
) -> SequenceScores:
    """Score the boxes in `sequence`, with ids given for the rows of all cameras."""
    truth, truth_count = _dense_ids(truth_ids, [step.truth_rows for step in sequence.steps])
    found, found_count = _dense_ids(predicted_ids, [step.predicted_rows for step in sequence.steps])
    boxes, found_boxes = sum(len(ids) for ids in truth), sum(len(ids) for ids in found)
    data = {
        "num_timesteps": len(sequence.steps),
        "num_gt_ids": truth_count,
        "num_tracker_ids": found_count,
        "num_gt_dets": boxes,
        "num_tracker_dets": found_boxes,
        "gt_ids": truth,
        "tracker_ids": found,
        "similarity_scores": [step.iou for step in sequence.steps],
    }
    settings = {"THRESHOLD": iou_threshold, "PRINT_CONFIG": False}
    hota = HOTA().eval_sequence(data)
    identity = Identity(settings).eval_sequence(data)
    clear = CLEAR(settings).eval_sequence(data)

    def share(value: Any, *, of: int) -> float | None:
        return float(np.mean(value)) if of else None

    return SequenceScores(
        hota=share(hota["HOTA"], of=boxes + found_boxes),
        det_a=share(hota["DetA"], of=boxes + found_boxes),
        ass_a=share(hota["AssA"], of=boxes + found_boxes),
        idf1=share(identity["IDF1"], of=boxes + found_boxes),
        idp=share(identity["IDP"], of=found_boxes),
        idr=share(identity["IDR"], of=boxes),
        mota=share(clear["MOTA"], of=boxes),
        id_switches=int(clear["IDSW"]),
        false_positives=int(clear["CLR_FP"]),
        false_negatives=int(clear["CLR_FN"]),
        ground_truth_boxes=boxes,
        predicted_boxes=found_boxes,
        ground_truth_ids=truth_count,
        predicted_ids=found_count,
    )


def _dense_ids(ids: IntArray, rows: Sequence[IntArray]) -> tuple[list[IntArray], int]:
    """Return the ids at the rows of each time step, renumbered 0, 1 ... without gaps, and their number."""
    if not rows:
        return [], 0
    distinct, dense = np.unique(ids[np.concatenate(rows)], return_inverse=True)
    ends = np.cumsum([len(step) for step in rows])[:-1]
    return np.split(dense, ends), len(distinct)


def _track_ids(tracks: Sequence[TrajectoryBoxes]) -> IntArray:
    """Return an id for each pair (camera, track), at the rows of all cameras."""
    parts, first = [], 0
    for track in tracks:
        distinct, dense = np.unique(track.track_id, return_inverse=True)
        parts.append(dense + first)
        first += len(distinct)
    return np.concatenate(parts)


def _perfect_ids(sequence: _Sequence, truth_ids: IntArray, track_ids: IntArray, iou_threshold: float) -> IntArray:
    """Return the ids that the best linker could give to whole tracks, at the rows of all cameras.

    A track gets the id of the person that it matches in most frames. Ties go to the larger sum of IoU, then to the
    smaller id. One person cannot have two tracks of a camera in one frame: the track with fewer matching frames then
    keeps its own id, as does a track that matches nobody.
    """
    frames_on: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    iou_on: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    steps_of: dict[int, set[int]] = defaultdict(set)
    for number, step in enumerate(sequence.steps):
        for track in track_ids[step.predicted_rows]:
            steps_of[int(track)].add(number)
        for g, p in zip(*np.nonzero(step.iou >= iou_threshold), strict=True):
            track, person = int(track_ids[step.predicted_rows[p]]), int(truth_ids[step.truth_rows[g]])
            frames_on[track][person] += 1
            iou_on[track][person] += float(step.iou[g, p])
    choices = []
    for track, frames in frames_on.items():
        person = max(frames, key=lambda p: (frames[p], iou_on[track][p], -p))
        choices.append((-frames[person], -iou_on[track][person], track, person))
    own_id_offset = int(truth_ids.max(initial=0)) + 1
    best = np.arange(int(track_ids.max(initial=-1)) + 1) + own_id_offset
    taken: dict[int, set[int]] = defaultdict(set)
    for _, _, track, person in sorted(choices):
        if taken[person].isdisjoint(steps_of[track]):
            taken[person] |= steps_of[track]
            best[track] = person
    return best[track_ids]


def _warnings(predicted: Mapping[str, TrajectoryBoxes], ground_truth: Mapping[str, TrackBoxes]) -> list[str]:
    warnings = []
    for camera in sorted(set(predicted) - set(ground_truth)):
        warnings.append(f"camera {camera!r} has no ground truth and is left out")
    for camera in sorted(ground_truth):
        truth = ground_truth[camera]
        if camera not in predicted:
            warnings.append(
                f"camera {camera!r} is not in the trajectories: all its {len(truth)} boxes count as missed"
            )
        elif len(truth):
            frames = predicted[camera].boxes.frame_index
            outside = (frames < truth.frame_index.min()) | (frames > truth.frame_index.max())
            if outside.any():
                warnings.append(
                    f"camera {camera!r}: {int(outside.sum())} predicted boxes lie before the first or after the "
                    "last frame with ground truth and count as false"
                )
    return warnings


def _names(cameras: Collection[str]) -> str:
    return ", ".join(repr(camera) for camera in sorted(cameras)) or "no camera"
