"""Average precision of a detector on data sets of one class, with the detector run as in the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.ultralytics_import import import_ultralytics
from detectors.yolo import YoloDetector
from detectors.yolo_dataset import count_pictures, read_split, require_class
from pipeline.core.boxes import iou_matrix
from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.core.models import Detector

ALL = "all"
"""Key of the scores over all pictures."""

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# As in COCO: an almost zero confidence threshold, and a limit of boxes per picture high enough to lose none.
CONFIDENCE_MIN, NMS_IOU, MAX_DETECTIONS = 0.001, 0.7, 300


@dataclass(frozen=True)
class DetectionScores:
    """Scores of a detector for one class.

    Attributes:
        ap50: average precision at IoU 0.5.
        ap: mean of the average precisions at IoU 0.50, 0.55, ... 0.95, as in COCO.
        precision, recall: at IoU 0.5 and the confidence with the highest harmonic mean of both.
        images, objects: numbers of pictures and of true objects in them.

    If there are no true objects, the four scores are NaN.
    """

    ap50: float
    ap: float
    precision: float
    recall: float
    images: int = 0
    objects: int = 0


@dataclass(frozen=True, eq=False)
class ScoredPicture:
    """Detections in one picture: the confidence (N,) of every box, whether it is correct (N, 10) at each of
    IOU_THRESHOLDS, and the number of true boxes."""

    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    objects: int


def evaluate(
    data: Sequence[Path],
    weights: str,
    *,
    class_name: str = "person",
    image_size_px: int = 640,
    device: str = "auto",
    split: str = "val",
) -> dict[str, DetectionScores]:
    """Evaluate a detector on data sets of one class.

    Args:
        data: data.yaml of data sets in YOLO layout.
        weights: anything that `YoloDetector` loads: .pt, .onnx, an OpenVINO folder, .engine.
        class_name: the class of the data sets, as the model names it; the model may have more classes.
        image_size_px: longer side of the network's input.
        device: auto is a GPU if there is one; torch computes a checkpoint, exports have their own runtime.
        split: train, val or test.

    Returns:
        Scores of each sequence in order of appearance, then of `ALL` pictures of all data sets together.

    Raises:
        InputError: data or weights are missing, the data has other classes, or the model does not have the class.
    """
    for file in data:
        require_class(file, class_name)
    if not any(count_pictures(file, split) for file in data):
        raise InputError(f"no pictures in the part {split!r} of {', '.join(map(str, data))}: name another split")
    detector = YoloDetector(
        weights,
        image_size_px=image_size_px,
        confidence_min=CONFIDENCE_MIN,
        nms_iou=NMS_IOU,
        classes=[class_name],
        max_batch=1,
        max_detections=MAX_DETECTIONS,
        device=device,
        runtime="torch",  # evaluates the checkpoint itself, not an export of it
    )
    return scores_by_sequence(score_pictures(detector, data, split))


def score_pictures(detector: Detector, data: Sequence[Path], split: str) -> dict[str, list[ScoredPicture]]:
    """Run a detector on a part of data sets and match its boxes with the true ones; return the results by sequence."""
    pictures: dict[str, list[ScoredPicture]] = {}
    for file in data:
        for index, picture in enumerate(read_split(file, split)):
            size_wh = (picture.image.shape[1], picture.image.shape[0])
            frame = Frame(picture.sequence, frame_index=index, time_s=0.0, size_wh=size_wh, image=picture.image)
            (found,) = detector.detect([frame])
            order = np.argsort(-found.confidence, kind="stable")
            scored = ScoredPicture(
                confidence=found.confidence[order].astype(np.float64),
                correct=match(found.xyxy[order].astype(np.float64), picture.xyxy),
                objects=len(picture.xyxy),
            )
            pictures.setdefault(picture.sequence, []).append(scored)
    return pictures


def match(found_xyxy: NDArray[np.float64], true_xyxy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Match boxes as COCO does: each in turn takes the free true box with the largest overlap.

    Args:
        found_xyxy: (N, 4) in pixels, most confident first.
        true_xyxy: (M, 4) in pixels.

    Returns:
        (N, 10): whether the box matched a true one at each of IOU_THRESHOLDS.
    """
    correct = np.zeros((len(found_xyxy), len(IOU_THRESHOLDS)), np.bool_)
    if len(true_xyxy) == 0:
        return correct
    overlap = iou_matrix(found_xyxy, true_xyxy)
    for column, threshold in enumerate(IOU_THRESHOLDS):
        free = np.ones(len(true_xyxy), np.bool_)
        for row in range(len(found_xyxy)):
            best = int(np.argmax(np.where(free, overlap[row], -1)))
            if free[best] and overlap[row, best] >= threshold:
                free[best], correct[row, column] = False, True
    return correct


def scores_by_sequence(pictures: Mapping[str, Sequence[ScoredPicture]]) -> dict[str, DetectionScores]:
    """Return the scores of each sequence and of `ALL`."""
    scores = {sequence: average_precision(scored) for sequence, scored in pictures.items()}
    return {**scores, ALL: average_precision([picture for scored in pictures.values() for picture in scored])}


def average_precision(pictures: Sequence[ScoredPicture]) -> DetectionScores:
    """Compute the average precision with Ultralytics' interpolation at 101 recalls."""
    import_ultralytics()
    from ultralytics.utils.metrics import ap_per_class

    objects = sum(picture.objects for picture in pictures)
    if objects == 0:
        nan = float("nan")
        return DetectionScores(nan, nan, nan, nan, images=len(pictures), objects=0)
    confidence = np.concatenate([picture.confidence for picture in pictures])
    if len(confidence) == 0:
        return DetectionScores(0.0, 0.0, 0.0, 0.0, images=len(pictures), objects=objects)
    correct = np.concatenate([picture.correct for picture in pictures])
    _, _, precision, recall, _, ap, *_ = ap_per_class(
        correct, confidence, np.zeros(len(confidence)), np.zeros(objects)
    )
    return DetectionScores(
        ap50=float(ap[0, 0]),
        ap=float(ap[0].mean()),
        precision=float(precision[0]),
        recall=float(recall[0]),
        images=len(pictures),
        objects=objects,
    )
