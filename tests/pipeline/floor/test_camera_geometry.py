from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.config import CameraConfig
from pipeline.core.datatypes import Detections
from pipeline.core.errors import InputError
from pipeline.floor.camera_geometry import CameraGeometry, geometry_of
from pipeline.floor.homography import FloorHomography
from tests.helpers.factories import make_detections

SIZE_WH = (1000, 500)
# 100 px are a metre, x to the right, y up from the lower border.
PLAN = [[0.01, 0, 0], [0, -0.01, 5], [0, 0, 1]]
# A camera that looks along the floor: the horizon is at y = 100, w = (y - 100) / 100.
TILTED = [[0.01, 0, -5], [0, 0, 4], [0, 0.01, -1]]


def test_points_by_hand() -> None:
    plan = FloorHomography("a", PLAN, SIZE_WH)
    assert plan.to_floor(np.array([[0, 500], [100, 400]])).tolist() == [[0, 0], [1, 1]]
    tilted = FloorHomography("a", TILTED, SIZE_WH)
    # At y = 300 w is 2, at y = 500 it is 4.
    assert tilted.to_floor(np.array([[500, 300], [900, 500]])).tolist() == [[0, 2], [1, 1]]


@pytest.mark.parametrize("scale", [1, -1, 1000, -1e-6], ids=str)
def test_the_scale_of_the_matrix_and_its_sign_do_not_matter(scale: float) -> None:
    matrix = (np.array(TILTED) * scale).tolist()
    floor = FloorHomography("a", matrix, SIZE_WH).to_floor(np.array([[500, 300], [500, 50]]))
    assert floor[0] == pytest.approx([0, 2])
    assert np.isnan(floor[1]).all()


def test_above_the_horizon_there_is_no_floor() -> None:
    floor = FloorHomography("a", TILTED, SIZE_WH).to_floor(np.array([[500, 101], [500, 100], [500, 99], [500, 0]]))
    assert np.isfinite(floor).all(axis=1).tolist() == [True, False, False, False]


def test_no_points() -> None:
    assert FloorHomography("a", PLAN, SIZE_WH).to_floor(np.zeros((0, 2))).shape == (0, 2)


def test_floors_in_map_coordinates_are_taken() -> None:
    shift = np.array([[1, 0, 500_000], [0, 1, 4_649_776], [0, 0, 1]])
    floor = FloorHomography("a", (shift @ np.array(TILTED)).tolist(), SIZE_WH).to_floor(np.array([[500, 300]]))
    assert floor[0] == pytest.approx([500_000, 4_649_778], abs=1e-6)


@pytest.mark.parametrize(
    "matrix",
    [
        pytest.param([[1, 0, 0], [2, 0, 0], [0, 0, 1]], id="two rows in one direction"),
        pytest.param([[0.1, 0.2, 3], [0.3, 0.1, 7], [0.4, 0.3, 10]], id="the third row is the sum of the others"),
        pytest.param([[1, 0, 0], [0, 1, 0], [0, 0, 0]], id="a row of zeros"),
        pytest.param([[1, 0], [0, 1]], id="2x2"),
    ],
)
def test_matrices_that_cannot_be_inverted_are_refused(matrix: list[list[float]]) -> None:
    with pytest.raises(InputError, match="camera hall: homography must be an invertible 3x3 matrix"):
        FloorHomography("hall", matrix, SIZE_WH)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        pytest.param((180, 0, 220, 300), True, id="feet inside, head outside"),
        pytest.param((180, 200, 220, 401), False, id="feet below the region"),
        pytest.param((0, 100, 40, 300), False, id="to the left"),
        pytest.param((80, 100, 120, 300), True, id="feet on the border"),
    ],
)
def test_people_count_by_their_feet(box: tuple[float, ...], inside: bool) -> None:
    geometry = CameraGeometry(None, [[100, 200], [300, 200], [300, 400], [100, 400]])
    detections = make_detections([box, (190, 200, 210, 300)], [0.9, 0.4])
    kept = geometry.inside(detections)
    assert kept.xyxy[:, 0].tolist() == ([box[0], 190] if inside else [190])
    assert kept.confidence[-1] == pytest.approx(0.4)


def test_without_a_region_everybody_counts_and_nobody_is_ordinary() -> None:
    detections = make_detections([(0, 0, 10, 10)])
    assert CameraGeometry(None, None).inside(detections) is detections
    region = [[0, 0], [10, 0], [0, 10]]
    assert len(CameraGeometry(None, region).inside(Detections.empty())) == 0


def test_people_stand_where_their_feet_are() -> None:
    geometry = CameraGeometry(FloorHomography("a", PLAN, SIZE_WH), None)
    floor = geometry.floor_xy_m(np.array([[80, 100, 120, 400]]))
    assert floor is not None
    assert floor.tolist() == [[1, 1]]
    assert CameraGeometry(None, None).floor_xy_m(np.zeros((1, 4))) is None


@pytest.mark.parametrize(
    ("bottom", "known"), [(480, True), (497, True), (497.5, False), (500, False), (520, False)], ids=str
)
def test_a_box_that_the_lower_border_cuts_off_has_no_place(bottom: float, known: bool) -> None:
    """The feet of somebody close to the camera are below the picture, which is 500 px high."""
    geometry = CameraGeometry(FloorHomography("a", PLAN, SIZE_WH), None)
    floor = geometry.floor_xy_m(np.array([[80, 100, 120, bottom], [180, 100, 220, 400]]))
    assert floor is not None
    assert np.isfinite(floor).all(axis=1).tolist() == [known, True]


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ([[0, 0], [1000, 0], [1000, 500]], ""),
        ([[-50, -50], [1100, 0], [1000, 600]], ""),
        ([[500, 480], [510, 480], [505, 490]], ""),
        (
            [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]],
            "reaches from 0.1, 0.1 to 0.9, 0.9, but the picture is 1000x500: nobody",
        ),
        ([[1200, 0], [1900, 0], [1900, 400]], "nobody is found there"),
        ([[10, 10], [900, 10], [500, 10]], "nobody is found there"),
        ([[0, 0], [1920, 0], [1920, 1080]], "give that as calibrated_size_wh"),
    ],
)
def test_a_region_that_does_not_fit_into_the_picture_is_said(region: list[list[float]], said: str) -> None:
    told: list[str] = []
    camera = CameraConfig(name="a", source="a.mp4", region_of_interest_px=region)
    geometry_of(camera, SIZE_WH, warn=told.append)
    assert len(told) == bool(said)
    assert said in "".join(told)


def test_a_region_is_compared_at_the_size_for_which_it_was_drawn() -> None:
    told: list[str] = []
    region = [[0.0, 0.0], [1920.0, 0.0], [1920.0, 1080.0]]
    camera = CameraConfig(name="a", source="a.mp4", region_of_interest_px=region, calibrated_size_wh=[1920, 1080])
    geometry_of(camera, SIZE_WH, warn=told.append)
    assert told == []
