"""Which detections can be people at all, whatever a detector or a file says."""

from __future__ import annotations

import numpy as np

from pipeline.core.datatypes import Detections

_FAR_PICTURES = 10


def usable_boxes(detections: Detections, size_wh: tuple[int, int], max_detections: int) -> Detections:
    """The boxes with an area inside the picture, from left to right; of too many the most confident ones. A box that
    reaches further outside than ten pictures is none: the area of such a one could be beyond what float32 holds.

    The order makes ties break alike in whatever order a detector lists its boxes. The bound keeps a frame of noise from
    taking time and memory that grow with the square of its boxes.

    Args:
        size_wh: (width, height) of the picture in pixels.
        max_detections: how many are kept at most.
    """
    left, top, right, bottom = detections.xyxy.T
    width, height = size_wh
    far = _FAR_PICTURES * max(size_wh)
    rows = np.flatnonzero(
        (np.minimum(right, width) > np.maximum(left, 0))
        & (np.minimum(bottom, height) > np.maximum(top, 0))
        & (np.abs(detections.xyxy) <= far).all(axis=1)
    )
    keys = (detections.confidence, bottom, right, top, left)
    if len(rows) > max_detections:
        by_confidence = np.lexsort([key[rows] for key in (*keys[1:], -detections.confidence)])
        rows = rows[by_confidence[:max_detections]]
    return detections[rows[np.lexsort([key[rows] for key in keys])]]
