"""Selects the detections that show a person well enough to keep the embedding."""

from __future__ import annotations

import numpy as np

from pipeline.core.boxes import covered_share
from pipeline.core.datatypes import BoolArray, FloatArray
from pipeline.single_camera.settings import TrackerSettings


def good_crops(
    xyxy: FloatArray, confidence: FloatArray, size_wh: tuple[int, int], settings: TrackerSettings
) -> BoolArray:
    """Return which boxes are confident, high enough, not cut off by the image border and not covered by others.

    Args:
        xyxy: (N, 4) all boxes of a frame, pixels.
        confidence: (N,).
        size_wh: (width, height) of the image, pixels.

    Returns:
        (N,) bool.
    """
    width, height = size_wh
    margin = settings.border_margin_px
    inside = (
        (xyxy[:, 0] >= margin)
        & (xyxy[:, 1] >= margin)
        & (xyxy[:, 2] <= width - margin)
        & (xyxy[:, 3] <= height - margin)
    )
    good = (
        inside
        & (confidence >= settings.good_crop_confidence)
        & (xyxy[:, 3] - xyxy[:, 1] >= settings.good_crop_height_px)
        & (covered_share(xyxy) <= settings.good_crop_max_overlap)
    )
    return np.asarray(good)
