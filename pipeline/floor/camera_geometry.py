"""The region of interest and the floor of one camera, from the configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import CameraConfig
from pipeline.core.boxes import Boxes, foot_points
from pipeline.core.datatypes import Detections
from pipeline.floor.homography import FloorHomography

# A box this near to the lower image border is cut off there: its bottom is not where the person stands. Boxes of a
# detector may end a pixel or two before the border.
_BORDER_PX = 3
# A region that covers less than this of the picture, across or down, is a mistake, such as shares from 0 to 1.
_LEAST_REGION_PX = 2
# A region may reach beyond the picture by this share of it; if it reaches further, it was drawn in another picture.
_BEYOND_SHARE = 0.5
_log = logging.getLogger(__name__)


class CameraGeometry:
    """One camera's region and calibration; both optional.

    Args:
        homography: pixel to floor; None leaves world positions empty.
        region_px: polygon [[x, y], ...]; None keeps every detection.
    """

    def __init__(self, homography: FloorHomography | None, region_px: Sequence[Sequence[float]] | None) -> None:
        self._homography = homography
        self._region = None if region_px is None else np.array(region_px, np.float32).reshape(-1, 1, 2)

    def inside(self, detections: Detections) -> Detections:
        """Return the detections whose foot point is inside the region or on its border."""
        if self._region is None or not len(detections):
            return detections
        feet = foot_points(detections.xyxy)
        keep = [cv2.pointPolygonTest(self._region, (float(x), float(y)), False) >= 0 for x, y in feet]
        return detections[np.array(keep, np.bool_)]

    def floor_xy_m(self, xyxy: Boxes) -> NDArray[np.float64] | None:
        """Return the (N, 2) floor positions in metres of the people in the boxes; None if not calibrated. NaN above the
        horizon, and for boxes that the lower image border cuts off: the feet are outside the image."""
        if self._homography is None:
            return None
        floor = self._homography.to_floor(foot_points(xyxy))
        floor[xyxy[:, 3] > self._homography.size_wh[1] - _BORDER_PX] = np.nan
        return floor


def geometry_of(
    camera: CameraConfig,
    size_wh: tuple[int, int],
    first_size_wh: tuple[int, int] | None = None,
    *,
    warn: Callable[[str], None] = _log.warning,
) -> CameraGeometry:
    """Return the geometry of a camera for images of `size_wh`.

    A camera that sends another resolution shows the same view at another scale, so homography and region are scaled.

    Args:
        first_size_wh: size of the camera's first image, to which the configuration refers if it has no
            `calibrated_size_wh`; None takes `size_wh`.
        warn: called with a sentence about a region that does not fit into the picture.

    Raises:
        InputError: the homography cannot be inverted.
    """
    width, height = camera.calibrated_size_wh or first_size_wh or size_wh
    scale_x, scale_y = size_wh[0] / width, size_wh[1] / height
    homography = None
    if camera.homography is not None:
        matrix = np.array(camera.homography) @ np.diag([1 / scale_x, 1 / scale_y, 1.0])
        homography = FloorHomography(camera.name, matrix.tolist(), size_wh)
    region = camera.region_of_interest_px
    if region is not None:
        region = [[x * scale_x, y * scale_y] for x, y in region]
        if (problem := _region_problem(region, size_wh)) is not None:
            warn(f"camera {camera.name}: region_of_interest_px {problem}")
    return CameraGeometry(homography, region)


def _region_problem(region_px: Sequence[Sequence[float]], size_wh: tuple[int, int]) -> str | None:
    """Return why a region was probably meant for another picture; None if it fits."""
    size = np.array(size_wh)
    lowest, highest = np.min(region_px, axis=0), np.max(region_px, axis=0)
    reach = (
        f"reaches from {lowest[0]:g}, {lowest[1]:g} to {highest[0]:g}, {highest[1]:g}, but the picture is "
        f"{size_wh[0]}x{size_wh[1]}"
    )
    if (np.minimum(highest, size) - np.maximum(lowest, 0) < _LEAST_REGION_PX).any():
        return f"{reach}: nobody is found there. Its points are pixels of this picture"
    if (lowest < -_BEYOND_SHARE * size).any() or (highest > (1 + _BEYOND_SHARE) * size).any():
        return f"{reach}: if it was drawn in a picture of another size, give that as calibrated_size_wh"
    return None
