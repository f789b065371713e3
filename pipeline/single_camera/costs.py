"""Costs of matching a track to a detection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import BoolArray, FloatArray


def gate_distance(tracks_xyxy: Boxes, detections_xyxy: Boxes) -> NDArray[np.floating[Any]]:
    """Return the (T, N) distances of the box centres, in heights of the track's box."""
    tracks_centre = (tracks_xyxy[:, :2] + tracks_xyxy[:, 2:]) / 2
    detections_centre = (detections_xyxy[:, :2] + detections_xyxy[:, 2:]) / 2
    heights = np.maximum(tracks_xyxy[:, 3] - tracks_xyxy[:, 1], 1.0)
    across = tracks_centre[:, None, 0] - detections_centre[None, :, 0]
    along = tracks_centre[:, None, 1] - detections_centre[None, :, 1]
    return np.asarray(np.hypot(across, along) / heights[:, None])


def cosine_distance(
    appearances: list[FloatArray | None], embeddings: FloatArray | None, embedded: BoolArray | None
) -> NDArray[np.floating[Any]] | None:
    """Return (T, N) 1 - cosine similarity, +inf where the track or the detection has no embedding; None if no track
    or no detection has one."""
    if embeddings is None or embedded is None or not embedded.any():
        return None
    known = [row for row, appearance in enumerate(appearances) if appearance is not None]
    if not known:
        return None
    distance = np.full((len(appearances), len(embeddings)), np.inf)
    stacked = np.stack([appearance for appearance in appearances if appearance is not None])
    # Only few boxes of a frame are embedded.
    distance[np.ix_(np.array(known), np.flatnonzero(embedded))] = 1 - stacked @ embeddings[embedded].T
    return distance


def fused_cost(
    iou_cost: NDArray[np.floating[Any]],
    appearance: NDArray[np.floating[Any]] | None,
    gate: NDArray[np.floating[Any]],
    *,
    max_iou_distance: float,
    max_cosine_distance: float,
    max_gate_distance: float,
) -> NDArray[np.floating[Any]]:
    """Return (T, N) the smaller of overlap and gated appearance (BoT-SORT, section 3.4), each relative to its limit.

    A cost up to 1 is acceptable. Appearance counts only up to its limit and for boxes whose centres are near: it
    recovers a person whose box jumped, and never joins two distant parts of the image.

    Args:
        iou_cost: (T, N), 1 - IoU or a similar cost of overlap.
        appearance: (T, N) from `cosine_distance`; None if there are no embeddings.
        gate: (T, N) from `gate_distance`.
    """
    cost = iou_cost / max_iou_distance
    if appearance is None:
        return cost
    usable = (appearance <= max_cosine_distance) & (gate <= max_gate_distance)
    return np.where(usable, np.minimum(cost, appearance / max_cosine_distance), cost)
