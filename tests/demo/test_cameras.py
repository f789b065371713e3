import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.cameras import Camera, apply_homography

SIZE = (640, 360)
# 90 degrees over 640 pixels: focal length 320 pixels
LEVEL = Camera("level", (0.0, 0.0, 2.0), (10.0, 0.0, 2.0), horizontal_fov_deg=90)


def test_focal_length_of_a_right_angle_is_half_the_width() -> None:
    assert LEVEL.focal_px(SIZE) == pytest.approx(320)


@pytest.mark.parametrize(
    ("name", "point_m", "pixel", "depth_m"),
    [
        ("optical axis", (8.0, 0.0, 2.0), (320, 180), 8.0),
        ("floor 8 m ahead: 2 m below, 320 * 2 / 8 = 80 pixels", (8.0, 0.0, 0.0), (320, 260), 8.0),
        ("y is to the left: 4 m at 8 m, 160 pixels", (8.0, 4.0, 2.0), (160, 180), 8.0),
        ("1 m higher at 4 m: 80 pixels up", (4.0, 0.0, 3.0), (320, 100), 4.0),
        ("behind", (-1.0, 0.0, 2.0), None, -1.0),
    ],
)
def test_projection_by_hand(
    name: str, point_m: tuple[float, float, float], pixel: tuple[float, float] | None, depth_m: float
) -> None:
    pixels, depth = LEVEL.project(np.array([point_m]), SIZE)
    assert depth[0] == pytest.approx(depth_m), name
    if pixel is not None:
        assert pixels[0] == pytest.approx(pixel), name


def test_homography_of_a_level_camera_by_hand() -> None:
    # 80 pixels below the middle: 2 m * 320 / 80 = 8 m away; 160 pixels left there: 4 m
    floor = apply_homography(LEVEL.image_to_floor(SIZE), np.array([[320, 260], [160, 260], [320, 340]]))
    assert floor == pytest.approx(np.array([[8, 0], [8, 4], [4, 0]]))


def test_a_camera_that_looks_down_at_45_degrees_sees_its_target_in_the_middle() -> None:
    camera = Camera("down", (1.0, 2.0, 3.0), (1.0, 5.0, 0.0), horizontal_fov_deg=60)
    pixels, depth = camera.project(np.array([[1.0, 5.0, 0.0]]), SIZE)
    assert pixels[0] == pytest.approx((320, 180))
    assert depth[0] == pytest.approx(math.sqrt(18))


@given(
    x=st.floats(2, 12),
    y=st.floats(-4, 4),
    height=st.floats(2, 4),
    sideways=st.floats(-5, 5),
)
def test_both_homographies_agree_with_the_projection(x: float, y: float, height: float, sideways: float) -> None:
    camera = Camera("any", (0.0, 0.5, height), (9.0, sideways, 0.5), horizontal_fov_deg=65)
    floor = np.array([[x, y]])
    pixels, depth = camera.project(np.array([[x, y, 0.0]]), SIZE)
    if depth[0] < 0.5:
        return
    assert apply_homography(camera.floor_to_image(SIZE), floor) == pytest.approx(pixels, abs=1e-6)
    assert apply_homography(camera.image_to_floor(SIZE), pixels) == pytest.approx(floor, abs=1e-6)


def test_rays_go_through_the_middles_of_pixels() -> None:
    rays = LEVEL.pixel_rays((4, 2))
    assert rays.shape == (2, 4, 3)
    # focal length 2: the pixel (2, 0) has its middle half a pixel right of and above the principal point
    expected = np.array([2, -0.5, 0.5]) / math.sqrt(4.5)
    assert rays[0, 2] == pytest.approx(expected)
