"""Removes boxes that cannot be people, from the detections of a frame."""

from __future__ import annotations

import numpy as np

from pipeline.core.datatypes import Detections

_FAR_PICTURES = 10


def usable_boxes(detections: Detections, size_wh: tuple[int, int], max_detections: int) -> Detections:
    """Return the boxes with an area inside the image, from left to right.

    If there are more than `max_detections`, the most confident ones are kept. A box with a coordinate beyond ten image
    sizes is left out, because its area could overflow float32.

    The fixed order makes ties independent of the order in which a detector lists its boxes. The limit keeps a frame of
    noise from taking time and memory that grow with the square of its boxes.

    Args:
        size_wh: (width, height) of the image in pixels.
        max_detections: largest number of boxes that are kept.
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
