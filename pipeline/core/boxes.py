"""Geometry of boxes: xyxy is (left, top, right, bottom) in pixels, cxcywh is (centre x and y, width, height)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating[Any]]


def xyxy_to_cxcywh(xyxy: Boxes) -> Boxes:
    """Convert (N, 4) xyxy to (N, 4) cxcywh."""
    size = xyxy[:, 2:] - xyxy[:, :2]
    return np.concatenate([xyxy[:, :2] + size / 2, size], axis=1)


def cxcywh_to_xyxy(cxcywh: Boxes) -> Boxes:
    """Convert (N, 4) cxcywh to (N, 4) xyxy."""
    half = cxcywh[:, 2:] / 2
    return np.concatenate([cxcywh[:, :2] - half, cxcywh[:, :2] + half], axis=1)


def areas(xyxy: Boxes) -> Boxes:
    """Return (N,) areas in px^2; a box with right < left or bottom < top has area 0."""
    return np.maximum(xyxy[:, 2] - xyxy[:, 0], 0) * np.maximum(xyxy[:, 3] - xyxy[:, 1], 0)


def intersections(a_xyxy: Boxes, b_xyxy: Boxes) -> Boxes:
    """Return the (N, M) areas in px^2 that the boxes of `a` (N, 4) and `b` (M, 4) share."""
    ax1, ay1, ax2, ay2 = a_xyxy.T[:, :, None]
    bx1, by1, bx2, by2 = b_xyxy.T[:, None, :]
    width = np.minimum(ax2, bx2) - np.maximum(ax1, bx1)
    height = np.minimum(ay2, by2) - np.maximum(ay1, by1)
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0))


def iou_matrix(a_xyxy: Boxes, b_xyxy: Boxes) -> Boxes:
    """Return the (N, M) intersection over union; 0 where both boxes are empty."""
    shared = intersections(a_xyxy, b_xyxy)
    union = areas(a_xyxy)[:, None] + areas(b_xyxy)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def covered_share(xyxy: Boxes) -> Boxes:
    """Return the (N,) largest share of each box's area that one other box covers."""
    own = areas(xyxy)[:, None]
    shared = intersections(xyxy, xyxy)
    np.fill_diagonal(shared, 0)
    share = np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)
    return np.asarray(share.max(axis=1, initial=0.0))


def clip_xyxy(xyxy: Boxes, size_wh: tuple[int, int]) -> Boxes:
    """Return (N, 4) boxes clipped to an image of `size_wh` pixels."""
    width, height = size_wh
    return np.clip(xyxy, 0, np.array([width, height, width, height], xyxy.dtype))


def foot_points(xyxy: Boxes) -> Boxes:
    """Return the (N, 2) bottom centres, where a standing person touches the floor."""
    # The sum of two coordinates can overflow float32; the sum of their halves cannot.
    return np.stack([xyxy[:, 0] / 2 + xyxy[:, 2] / 2, xyxy[:, 3]], axis=1)
