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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from trackeval.metrics import CLEAR, HOTA, Identity

from pipeline.core.datatypes import IntArray
from pipeline.core.errors import InputError
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.run_folder import NOTE_NAME, noted_recording, noted_steps
from pipeline.files.track_boxes import TrackBoxes, check_unique, crop_ground_truth
from pipeline.files.trajectory_boxes import TrajectoryBoxes, read_predicted_boxes
from pipeline.scoring.perfect_linking import ids_of_tracks, perfect_ids
from pipeline.scoring.scored_frames import in_used_frames, on_annotated_frames, quoted_names
from pipeline.scoring.scores import Scores, SequenceScores
from pipeline.scoring.sequence import CameraSequence, dense_ids, joined


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
    truth = in_used_frames(truth, predicted, noted_steps(note), part.get("stride"), tell=told.append)
    if part.get("start_s") is not None or part.get("end_s") is not None:
        told.append(
            f"the run used a part of its recordings, from {_second(part.get('start_s'), 'the beginning')} to "
            f"{_second(part.get('end_s'), 'the end')}: people of the ground truth outside it count as missed"
        )
    predicted = on_annotated_frames(predicted, truth, ground_truth_stride, tell=told.append)
    scores = score(predicted, truth, iou_threshold=iou_threshold)
    return replace(scores, warnings=(*told, *scores.warnings))


def _run_folder(result: Path) -> Path:
    """Return the folder of the run that wrote a result: MOT text is in its folder `mot`."""
    folder = result if result.is_dir() else result.parent
    return folder.parent if folder.name == "mot" else folder


def _second(time_s: object, otherwise: str) -> str:
    return f"{time_s:g} s" if isinstance(time_s, int | float) else otherwise


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
            f"the ground truth is of {quoted_names(ground_truth)}, the trajectories are of {quoted_names(predicted)}: "
            "they have no camera in common. Use the camera names of the run for the ground truth."
        )
    for camera, boxes in ground_truth.items():
        _check_once(f"the ground truth of camera {camera!r}", "id", boxes, boxes.ids)
    for camera, track in predicted.items():
        _check_once(f"the tracking result of camera {camera!r}", "id", track.boxes, track.boxes.ids)
        _check_once(f"the tracking result of camera {camera!r}", "track", track.boxes, track.track_id)
    cameras, sequence, truth_ids, tracks = joined(predicted, ground_truth)
    global_ids = np.concatenate([track.boxes.ids for track in tracks])
    own_ids = ids_of_tracks(tracks)
    ids_of_perfect_linking = perfect_ids(sequence, truth_ids, own_ids, iou_threshold)

    def scores_of(part: CameraSequence, ids: IntArray) -> SequenceScores:
        return _score(part, truth_ids, ids, iou_threshold)

    return Scores(
        cameras={camera: scores_of(sequence.of_camera(index), global_ids) for index, camera in enumerate(cameras)},
        all_cameras=scores_of(sequence, global_ids),
        not_linked=scores_of(sequence, own_ids),
        perfect_linking=scores_of(sequence, ids_of_perfect_linking),
        iou_threshold=iou_threshold,
        warnings=tuple(_warnings(predicted, ground_truth)),
    )


def _check_once(whose: str, what: str, boxes: TrackBoxes, ids: IntArray) -> None:
    """Raise InputError if two boxes of one frame have the same id in `ids` (N,)."""

    def fail(first: int, second: int) -> NoReturn:
        raise InputError(
            f"{whose} has {what} {ids[second]} twice in frame_index {boxes.frame_index[second]}. One person cannot "
            "be in two boxes of one image: remove or renumber one of them."
        )

    check_unique((boxes.frame_index, ids), fail)


def _score(
    sequence: CameraSequence, truth_ids: IntArray, predicted_ids: IntArray, iou_threshold: float
) -> SequenceScores:
    """Score the boxes in `sequence`, with ids given for the rows of all cameras."""
    truth, truth_count = dense_ids(truth_ids, [step.truth_rows for step in sequence.steps])
    found, found_count = dense_ids(predicted_ids, [step.predicted_rows for step in sequence.steps])
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
