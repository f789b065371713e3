"""Selects the detections that show a person well enough to keep the embedding, or at least in part."""

from __future__ import annotations

import numpy as np

from pipeline.core.boxes import covered_share
from pipeline.core.datatypes import BoolArray, FloatArray
from pipeline.single_camera.settings import TrackerSettings

# A narrower crop, relative to its height, shows an arm or a leg.
_LEAST_PARTIAL_WIDTH = 0.3


def good_crops(
    xyxy: FloatArray, confidence: FloatArray, size_wh: tuple[int, int], settings: TrackerSettings
) -> BoolArray:
    """Return which boxes show a person well, as `good_and_partial_crops`."""
    return good_and_partial_crops(xyxy, confidence, size_wh, settings)[0]


def good_and_partial_crops(
    xyxy: FloatArray, confidence: FloatArray, size_wh: tuple[int, int], settings: TrackerSettings
) -> tuple[BoolArray, BoolArray]:
    """Return which boxes show a person well, and which only in part.

    Both kinds are confident, high enough and not covered by other boxes. Good crops are inside the image. Partial crops
    are cut off by its border, but show a part that is wide enough.

    Args:
        xyxy: (N, 4) all boxes of a frame, pixels.
        confidence: (N,).
        size_wh: (width, height) of the image, pixels.

    Returns:
        good and partial, each (N,) bool; no box is both.
    """
    width, height = size_wh
    margin = settings.border_margin_px
    inside = (
        (xyxy[:, 0] >= margin)
        & (xyxy[:, 1] >= margin)
        & (xyxy[:, 2] <= width - margin)
        & (xyxy[:, 3] <= height - margin)
    )
    clear = (
        (confidence >= settings.good_crop_confidence)
        & (xyxy[:, 3] - xyxy[:, 1] >= settings.good_crop_height_px)
        & (covered_share(xyxy) <= settings.good_crop_max_overlap)
    )
    partial = clear & ~inside & (xyxy[:, 2] - xyxy[:, 0] >= _LEAST_PARTIAL_WIDTH * (xyxy[:, 3] - xyxy[:, 1]))
    return np.asarray(clear & inside), np.asarray(partial)
