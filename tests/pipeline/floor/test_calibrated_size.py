"""What is built from a configuration."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.config import load_config
from pipeline.floor.camera_geometry import geometry_of
from tests.helpers.factories import make_detections

# One metre is 100 px of a picture of 1280x960.
CAMERA = {
    "name": "cam1",
    "source": "cam1.mp4",
    "homography": [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]],
    "region_of_interest_px": [[0, 0], [700, 0], [700, 960], [0, 960]],
}


@pytest.mark.parametrize(
    ("calibrated_size_wh", "floor_xy_m", "inside"),
    [
        pytest.param(None, (4, 3), [True, True], id="of this picture"),
        pytest.param([640, 480], (4, 3), [True, True], id="of the same size"),
        pytest.param([1280, 960], (8, 6), [True, False], id="of a picture twice as large"),
    ],
)
def test_homography_and_region_are_in_pixels_of_the_calibrated_size(
    calibrated_size_wh: list[int] | None, floor_xy_m: tuple[float, float], inside: list[bool]
) -> None:
    """A recording of 640x480; people whose feet are at (200, 300) and (400, 300) px."""
    camera = {**CAMERA, "calibrated_size_wh": calibrated_size_wh}
    config = load_config(None, {"cameras": [camera]})
    geometry = geometry_of(config.cameras[0], (640, 480))
    detections = make_detections([(180, 200, 220, 300), (380, 200, 420, 300)])
    positions = geometry.floor_xy_m(detections.xyxy)
    assert positions is not None
    np.testing.assert_allclose(positions[1], floor_xy_m)
    kept = geometry.inside(detections).xyxy[:, 0].tolist()
    assert [x in kept for x in (180, 380)] == inside
