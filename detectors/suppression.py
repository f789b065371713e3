"""From the output of a YOLO network to boxes: limits, classes, and non-maximum suppression in numpy.

The rows and their order are those of Ultralytics (`ultralytics.utils.nms`) with torchvision's suppression.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray

# Of more candidates, only the most confident ones are compared.
_MOST_CANDIDATES = 30_000


def suppressed_rows(
    output: FloatArray, *, confidence_min: float, iou_max: float, classes: Collection[int], max_detections: int
) -> NDArray[np.float32]:
    """Return the boxes of one image, most confident first.

    Args:
        output: (4 + classes, anchors) float32: centre x, centre y, width, height; then the confidences.
        iou_max: of two boxes that overlap more, whatever their classes, the less confident is left out.
        classes: ids of the classes to keep.

    Returns:
        (N, 6) float32: xyxy in pixels of the input, confidence, class id.
    """
    scores = output[4:]
    candidates = np.flatnonzero(scores.max(axis=0) > confidence_min)
    class_id = scores[:, candidates].argmax(axis=0)
    wanted = np.isin(class_id, list(classes))
    candidates, class_id = candidates[wanted], class_id[wanted]
    confidence = scores[class_id, candidates]
    centre, half = output[:2, candidates], output[2:4, candidates] / 2
    rows = np.concatenate([centre - half, centre + half, confidence[None], class_id[None].astype(np.float32)]).T
    order = np.argsort(-confidence, kind="stable")[:_MOST_CANDIDATES]
    rows = np.ascontiguousarray(rows[order], np.float32)
    return rows[_kept(rows[:, :4], iou_max, max_detections)]


def end_to_end_rows(
    output: FloatArray, *, confidence_min: float, classes: Collection[int], max_detections: int
) -> NDArray[np.float32]:
    """Return the boxes of one image of a network that needs no suppression, in its order.

    Args:
        output: (boxes, 6) float32: xyxy in pixels of the input, confidence, class id.

    Returns:
        (N, 6) float32, as `suppressed_rows`.
    """
    wanted = (output[:, 4] > confidence_min) & np.isin(output[:, 5], list(classes))
    return np.asarray(output[wanted][:max_detections], np.float32)


def _kept(xyxy: FloatArray, iou_max: float, most: int) -> IntArray:
    """Return the positions of the boxes (N, 4) that no better one covers; better ones stand before."""
    left, top, right, bottom = np.ascontiguousarray(xyxy.T)
    area = (right - left) * (bottom - top)
    kept: list[int] = []
    rest = np.arange(len(xyxy))
    limit = np.float64(iou_max)  # torchvision compares in double precision
    while len(rest) and len(kept) < most:
        best, rest = int(rest[0]), rest[1:]
        kept.append(best)
        width = np.maximum(np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest]), 0)
        height = np.maximum(np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest]), 0)
        shared = width * height
        with np.errstate(invalid="ignore", divide="ignore"):  # boxes without area
            covered = shared / (area[best] + area[rest] - shared) > limit
        rest = rest[~covered]
    return np.array(kept, np.int64)
