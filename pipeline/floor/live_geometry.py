"""Regions and homographies of live cameras, whose picture size can change from one connection to the next."""

from __future__ import annotations

import numpy as np

from pipeline.config.config import CameraConfig
from pipeline.floor.camera_geometry import CameraGeometry
from pipeline.floor.homography import FloorHomography


def live_geometry(
    camera: CameraConfig, calibrated_size_wh: tuple[int, int], size_wh: tuple[int, int]
) -> CameraGeometry:
    """The camera's geometry for pictures of `size_wh`, given in pixels of `calibrated_size_wh`.

    A camera that sends another resolution shows the same view at another scale.
    """
    (width, height), (calibrated_width, calibrated_height) = size_wh, calibrated_size_wh
    scale_x, scale_y = width / calibrated_width, height / calibrated_height
    homography = None
    if camera.homography is not None:
        matrix = np.array(camera.homography) @ np.diag([1 / scale_x, 1 / scale_y, 1.0])
        homography = FloorHomography(camera.name, matrix.tolist(), size_wh)
    region = camera.region_of_interest_px
    if region is not None:
        region = [[x * scale_x, y * scale_y] for x, y in region]
    return CameraGeometry(homography, region)
