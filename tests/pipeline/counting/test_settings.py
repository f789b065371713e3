"""Every wrong zone or line is one line that names it."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.counting.settings import check_cameras, check_pictures
from tests.helpers.counting import LINE, SQUARE, counting_config

HALL = {"name": "hall", "source": "hall.mp4"}
BOX = [[0, 0], [50, 0], [50, 50], [0, 50]]


@pytest.mark.parametrize(
    ("title", "settings", "message"),
    [
        (
            "crosses itself",
            {"zones": [{"name": "a", "polygon_m": [[0, 0], [4, 4], [4, 0], [0, 5]]}]},
            "polygon_m: its border crosses or touches itself at 2",
        ),
        ("one name", {"zones": [SQUARE, SQUARE]}, "zone 'square' is named twice"),
        ("one name of lines", {"lines": [LINE, LINE]}, "line 'line' is named twice"),
        (
            "a line of one point",
            {"lines": [{"name": "a", "points_m": [[1, 1]]}]},
            "lines.0: points_m: a line needs 2 different points or more, but it has 1",
        ),
        ("neither", {"zones": [{"name": "a"}]}, "give either polygon_m"),
        (
            "both",
            {"zones": [{"name": "a", "polygon_m": BOX, "polygons_px": {"cam1": BOX}}]},
            "give either polygon_m",
        ),
        ("no camera", {"zones": [{"name": "a", "polygons_px": {}}]}, "polygons_px names no camera"),
        (
            "narrow",
            {"zones": [{"name": "a", "polygon_m": [[0, 0], [0.3, 0], [0.3, 9], [0, 9]]}]},
            "counting.margin_m, 0.2 m",
        ),
        ("a name with a comma", {"zones": [{**SQUARE, "name": "a,b"}]}, "zones.0.name"),
        ("unknown key", {"zones": [{**SQUARE, "polygon": BOX}]}, "did you mean polygon_m"),
        ("min_s", {"counting": {"min_s": 9.0}}, "min_s 9.0 is above max_gap_s 5.0"),
        (
            "unknown camera",
            {"cameras": [HALL], "zones": [{"name": "a", "polygons_px": {"cam9": BOX}}]},
            "zone 'a' is in camera 'cam9', but the cameras are hall",
        ),
        ("no homography", {"cameras": [HALL], "zones": [SQUARE]}, "no camera has a homography"),
    ],
)
def test_faults(title: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        load_config(None, settings)
    assert message in str(raised.value), title
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ({"polygons_px": {"cam1": [[600, 300], [900, 300], [900, 500], [600, 500]]}}, True),
        ({"polygons_px": {"cam1": [[640, 300], [900, 300], [900, 500], [640, 500]]}}, False),
        ({"polygons_px": {"cam1": [[-90, 300], [1, 300], [1, 340], [-90, 340]]}}, False),
        ({"points_px": {"cam1": [[10, 0], [10, 300]]}}, True),
        ({"points_px": {"cam1": [[10, 400], [600, 400]]}}, False),
        ({"points_px": {"cam2": [[10, 400], [600, 400]]}}, True),
    ],
)
def test_outside_the_picture(shape: dict[str, Any], fits: bool) -> None:
    key = "zones" if "polygons_px" in shape else "lines"
    config = counting_config(**{key: [{"name": "a", **shape}]})
    if fits:
        check_pictures(config.zones, config.lines, {"cam1": (640, 360)})
        return
    with pytest.raises(InputError, match=r"outside the picture of camera cam1, which is 640x360"):
        check_pictures(config.zones, config.lines, {"cam1": (640, 360)})


def test_cameras_of_a_run() -> None:
    config = counting_config([SQUARE], [{"name": "a", "points_px": {"cam2": [[0, 0], [1, 1]]}}])
    check_cameras(config.zones, config.lines, ["cam1", "cam2"], floor=True)
    with pytest.raises(InputError, match="line 'a' is in camera 'cam2', but the cameras are cam1"):
        check_cameras(config.zones, config.lines, ["cam1"], floor=True)
