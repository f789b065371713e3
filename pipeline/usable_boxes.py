"""Which detections can be people at all, whatever a detector or a file says."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes import Detections


def usable_boxes(detections: Detections, size_wh: tuple[int, int], max_detections: int) -> Detections:
    """The boxes with an area inside the picture, from left to right; of too many the most confident ones.

    The order makes ties break alike in whatever order a detector lists its boxes. The bound keeps a frame of noise from
    taking time and memory that grow with the square of its boxes.

    Args:
        size_wh: (width, height) of the picture in pixels.
        max_detections: how many are kept at most.
    """
    left, top, right, bottom = detections.xyxy.T
    width, height = size_wh
    rows = np.flatnonzero(
        (np.minimum(right, width) > np.maximum(left, 0)) & (np.minimum(bottom, height) > np.maximum(top, 0))
    )
    keys = (detections.confidence, bottom, right, top, left)
    if len(rows) > max_detections:
        by_confidence = np.lexsort([key[rows] for key in (*keys[1:], -detections.confidence)])
        rows = rows[by_confidence[:max_detections]]
    return detections[rows[np.lexsort([key[rows] for key in keys])]]
