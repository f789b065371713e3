"""What the README says is executed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.commands import view
from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.results_csv import COLUMNS
from pipeline.search.track_pictures import cropped
from pipeline.sources.open import open_source
from tests.helpers.demo_clips import cut, cut_ground_truth

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
# 1.2 s of people in two overlapping views.
FRAMES, FIRST = 12, 100
# A picture that is a plan: 100 px a metre.
POINTS = "image_x_px,image_y_px,floor_x_m,floor_y_m\n50,200,0,0\n150,200,1,0\n150,100,1,1\n50,100,0,1\n50,0,0,2\n"


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """The shell commands that start with `program`, split into words."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.split()[:1] == [program]]


def test_make_commands_are_targets() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    asked = commands("make")
    assert ["make", "demo"] in asked
    assert ["make", "test"] in asked
    for command in asked:
        assert re.search(rf"^{command[1]}:", makefile, flags=re.MULTILINE), command


def test_every_csv_column_is_explained() -> None:
    explained = re.search(r"^## The CSV\n(.*?)^## ", README, flags=re.MULTILINE | re.DOTALL)
    assert explained is not None
    assert set(COLUMNS) <= set(re.findall(r"`(\w+)`", explained[1]))


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (PROJECT_ROOT / target).exists(), target


def test_files_named_in_the_overview_exist() -> None:
    for name in re.findall(r"`((?:pipeline|reid|detectors|configs|demo)/[\w/.]*)`", README):
        assert (PROJECT_ROOT / name).exists(), name


def test_commands_and_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # `mtmc view` serves its page until Ctrl-C.
    monkeypatch.setattr(view, "_wait", lambda: None)
    monkeypatch.setattr(view, "has_desktop", lambda: False)
    for name, camera in (("entrance", "cam1"), ("hall", "cam2")):
        cut(camera, FRAMES, tmp_path / f"{name}.mp4", FIRST)
        cut_ground_truth(camera, FRAMES, tmp_path / f"{name}_gt.txt", FIRST)
    (tmp_path / "entrance_points.csv").write_text(POINTS)
    _cut_crop(tmp_path / "entrance.mp4", tmp_path / "entrance_gt.txt", tmp_path / "crop.jpg")
    zones, configuration = blocks("yaml")
    (tmp_path / "zones.yaml").write_text(zones)
    (tmp_path / "site.yaml").write_text(configuration)
    for command in commands("mtmc"):
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code in (None, 0), command
    for folder in ("results", "first", "second", "third"):
        assert (tmp_path / folder / "trajectories.csv").stat().st_size > 500, folder
    assert (tmp_path / "scores.json").is_file()
    assert (tmp_path / "matches.png").is_file()
    # The second example goes on where the first one ends.
    names: dict[str, object] = {}
    for example in blocks("python"):
        exec(compile(example, "README.md", "exec"), names)
    for folder in ("from-python", "own-models"):
        assert len((tmp_path / folder / "trajectories.csv").read_text().splitlines()) > 10


def _cut_crop(video: Path, truth: Path, crop: Path) -> None:
    """The highest person in the first frame of a recording."""
    boxes = read_ground_truth(truth)
    rows = np.flatnonzero(boxes.frame_index == 0)
    heights = boxes.xyxy[rows, 3] - boxes.xyxy[rows, 1]
    with open_source("entrance", str(video)) as source:
        image = next(iter(source)).image
    assert image is not None
    cv2.imwrite(str(crop), cropped(image, np.asarray(boxes.xyxy[rows[heights.argmax()]], np.float32)))
