"""Small real renders; they need the pictures of openpeople."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from demo.__main__ import app
from demo.clothes import Outfit, random_outfits
from demo.gait import step_length_m
from demo.ground_truth import TruthBox, write_mot
from demo.paths import Walk
from demo.people import Wardrobe
from demo.render import RenderedFrame, render_frames, render_scene
from demo.settings import DEMO_CAMERAS, SceneSettings
from pipeline.benchmark.benchmark_set import read_benchmark_set
from pipeline.core.errors import InputError

needs_openpeople = pytest.mark.skipif(
    importlib.util.find_spec("openpeople") is None,
    reason="openpeople is not installed: pip install -e .[demo-scene]",
)

# one person walks through the middle of the first camera's view
TINY = SceneSettings(
    size_wh=(160, 90),
    seconds=0.5,
    people=1,
    cameras=DEMO_CAMERAS[:1],
    source_ids=("P001",),
    outfits=(Outfit(top=(176, 30, 38), bottom=(28, 44, 92)),),
    walks=(Walk(((6.0, 4.0), (6.0, 7.0)), 0.0, 1.2),),
    supersampling=1,
)


@pytest.fixture(scope="module")
def wardrobe() -> Wardrobe:
    return Wardrobe()


@pytest.fixture(scope="module")
def tiny(wardrobe: Wardrobe) -> list[RenderedFrame]:
    return list(render_frames(TINY, wardrobe))


@needs_openpeople
def test_a_tiny_render_shows_the_person_where_the_box_is(tiny: Sequence[RenderedFrame]) -> None:
    assert [frame.frame_index for frame in tiny] == [0, 1, 2, 3, 4]
    for frame in tiny:
        assert frame.images[0].shape == (90, 160, 3)
        assert frame.images[0].dtype == np.uint8
        (box,) = frame.boxes[0]
        assert box.global_id == 1
        assert box.scored
        left, top, width, height = (round(v) for v in box.tlwh)
        shirt = frame.images[0][top + height // 4 : top + height // 2, left : left + width].astype(int)
        # BGR: the shirt is red, nothing else is so much
        assert np.max(shirt[..., 2] - shirt[..., 0]) > 160
        outside = np.delete(frame.images[0].astype(int), range(max(left - 3, 0), left + width + 3), axis=1)
        assert np.max(outside[..., 2] - outside[..., 0]) < 160


@needs_openpeople
def test_the_feet_are_where_the_person_stands(tiny: Sequence[RenderedFrame]) -> None:
    for frame in tiny:
        (box,), (standing,) = frame.boxes[0], frame.standing
        left, top, width, height = box.tlwh
        foot = np.append(standing.position_m, 0.0)[None]
        (pixel,), _ = TINY.cameras[0].project(foot, TINY.size_wh)
        assert top + height == pytest.approx(pixel[1], abs=0.6)
        assert left + width / 2 == pytest.approx(pixel[0], abs=2.5)


@needs_openpeople
def test_rendering_is_deterministic(tiny: Sequence[RenderedFrame]) -> None:
    for frame, again in zip(tiny, render_frames(TINY), strict=True):
        assert np.array_equal(frame.images[0], again.images[0])
        assert frame.boxes == again.boxes


@needs_openpeople
def test_files_of_a_scene(tmp_path: Path, wardrobe: Wardrobe) -> None:
    render_scene(TINY, tmp_path, wardrobe)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cam1.mp4",
        "cam1_gt.txt",
        "cameras.yaml",
        "floor.csv",
        "set.yaml",
    ]
    assert len((tmp_path / "cam1_gt.txt").read_text().splitlines()) == 5
    scene = read_benchmark_set(tmp_path / "set.yaml")
    (camera,) = scene.config.cameras
    assert camera.source == str(tmp_path / "cam1.mp4")
    assert len(scene.ground_truth["cam1"]) == len((tmp_path / "cam1_gt.txt").read_text().splitlines())
    assert (tmp_path / "floor.csv").read_text().splitlines()[1] == "0,0.000,1,6.000,4.000"


def test_missing_openpeople_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "openpeople", None)
    with pytest.raises(InputError, match=r"pip install -e \.\[demo-scene\]"):
        Wardrobe().source_ids()
    result = CliRunner().invoke(app, ["render", "--output", str(tmp_path), "--people", "1", "--seconds", "0.1"])
    assert result.exit_code == 2
    assert "demo-scene" in result.output


@needs_openpeople
def test_an_unknown_person_is_named() -> None:
    with pytest.raises(InputError, match="P999"):
        Wardrobe().dress("P999", TINY.outfits[0] if TINY.outfits else Outfit((0, 0, 0), (0, 0, 0)), 1.7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_wh": (641, 360)}, r"\(641, 360\)"),
        ({"people": 0}, "people is 0"),
        ({"seconds": 0.0}, "no frame"),
        ({"cameras": (DEMO_CAMERAS[0], DEMO_CAMERAS[0])}, "distinct names"),
        ({"walks": ()}, "0 walks for 12 people"),
        ({"source_ids": ()}, "source_ids is empty"),
    ],
)
def test_settings_that_make_no_scene(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SceneSettings(**changes)  # type: ignore[arg-type]


def test_a_crowd_gets_distinct_outfits_and_pairs_share_a_shirt() -> None:
    outfits = random_outfits(np.random.default_rng(0), 60, shared_tops=3)
    assert len({(o.top, o.second, o.pattern, o.bottom) for o in outfits}) == 60
    for first in (0, 2, 4):
        assert outfits[first].top == outfits[first + 1].top
        assert outfits[first].bottom != outfits[first + 1].bottom


def test_nobody_is_an_empty_file(tmp_path: Path) -> None:
    write_mot(tmp_path / "gt.txt", [])
    assert (tmp_path / "gt.txt").read_text() == ""


def test_a_ground_truth_line_by_hand(tmp_path: Path) -> None:
    hidden = TruthBox(frame_index=0, global_id=2, tlwh=(1.0, 2.0, 30.0, 80.5), visibility=0.2)
    seen = TruthBox(frame_index=0, global_id=1, tlwh=(4.25, 2.0, 30.0, 80.0), visibility=1.0)
    write_mot(tmp_path / "gt.txt", [hidden, seen])
    assert (tmp_path / "gt.txt").read_text().splitlines() == [
        "1,1,4.25,2.00,30.00,80.00,1,1,1.00",
        "1,2,1.00,2.00,30.00,80.50,0,1,0.20",
    ]


def test_a_step_is_as_long_as_a_persons_usual_one() -> None:
    # about 0.41 of body height when walking without haste
    assert step_length_m(1.7) == pytest.approx(0.41 * 1.7, rel=0.25)
