"""Still pictures of people in the recordings of a benchmark set: where they are, and what stays as it was."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from pipeline.benchmark.benchmark_set import read_benchmark_set
from pipeline.benchmark.posters import Kind, Poster, painted
from pipeline.cli import main
from pipeline.core.boxes import iou_matrix
from pipeline.drawing.video_writer import VideoWriter

SIZE_WH = (320, 240)
FRAMES = 24


def scene() -> np.ndarray:
    """A smooth picture, which compression hardly changes."""
    across = np.linspace(60, 160, SIZE_WH[0])[None, :, None]
    return np.broadcast_to(across, (SIZE_WH[1], SIZE_WH[0], 3)).astype(np.uint8)


def write_set(folder: Path, name: str, colour: tuple[int, int, int], left: int) -> Path:
    """One camera in which one person, a rectangle of one colour and 80 px high, walks 2 px a frame to the right."""
    lines = []
    with VideoWriter(folder / f"{name}.mp4", fps=10, crf=10) as writer:
        for number in range(FRAMES):
            image = scene().copy()
            x = left + 2 * number
            image[60:140, x : x + 30] = colour
            writer.write(image)
            lines.append(f"{number + 1},1,{x},60,30,80,1,1,1\n")
    (folder / f"{name}_gt.txt").write_text("".join(lines))
    path = folder / f"{name}.yaml"
    content = {
        "cameras": [{"name": name, "source": f"{name}.mp4"}],
        "ground_truth": {name: f"{name}_gt.txt"},
        "detector": {"confidence_min": 0.2},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*arguments])
    return int(stop.value.code or 0)


def pictures(path: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(path))
    found = []
    while True:
        more, image = capture.read()
        if not more:
            return np.stack(found).astype(int)
        found.append(image)


def test_pictures_stay_in_their_places_and_the_ground_truth_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = write_set(tmp_path, "street", (30, 30, 200), 20)
    people = write_set(tmp_path, "other", (200, 30, 30), 60)
    out = tmp_path / "out"
    options = ("benchmark", "posters", str(chosen), "--people", str(people), "--output", str(out), "--count", "3")
    assert exit_code(*options, "--frames", "20") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "street: 3 pictures (1 print, 1 behind glass, 1 cut out)" in said
    before, after = read_benchmark_set(chosen), read_benchmark_set(out / "set.yaml")
    truth = before.ground_truth["street"]
    assert np.array_equal(after.ground_truth["street"].xyxy, truth[truth.frame_index < 20].xyxy)
    assert after.config.detector.confidence_min == 0.2
    assert after.config.cameras[0].frame_rate == 10
    changed = np.abs(pictures(out / "street.mp4") - pictures(tmp_path / "street.mp4")[:20]).max(axis=3) > 40
    assert len(changed) == 20
    # Something is there, and it is in the same place in the first and in the last frame.
    assert changed[0].sum() > 30 * 40
    assert (changed[0] != changed[-1]).mean() < 0.02
    assert exit_code(*options) == 2
    assert "already holds a set" in " ".join(capsys.readouterr().err.split())


def test_the_same_seed_gives_the_same_recording(tmp_path: Path) -> None:
    chosen = write_set(tmp_path, "street", (30, 30, 200), 20)
    people = write_set(tmp_path, "other", (200, 30, 30), 60)
    content = []
    for name in ("a", "b"):
        code = exit_code(
            "benchmark", "posters", str(chosen), "--people", str(people), "--output", str(tmp_path / name)
        )
        assert code == 0
        content.append(pictures(tmp_path / name / "street.mp4"))
    assert np.array_equal(*content)


@pytest.mark.parametrize(("opacity", "value"), [(1.0, 200), (0.5, 150)])
def test_people_walk_before_the_pictures_and_the_noise_stays(opacity: float, value: int) -> None:
    empty = np.full((100, 100, 3), 100, np.uint8)
    image = empty.copy()
    image[:, :10] += 5  # noise of the camera
    image[40:80, 30:50] = 220  # a person
    poster = Poster(
        Kind.PRINT,
        np.array([0, 50, 60, 90]),
        np.full((40, 60, 3), 200, np.float32),
        np.full((40, 60, 1), opacity, np.float32),
        0.0,
    )
    found = painted(image, empty, np.array([[30.0, 40.0, 50.0, 80.0]]), [poster], time_s=0.0)
    assert found[60, 20].tolist() == [value] * 3
    assert found[60, 5].tolist() == [value + 5] * 3
    assert found[60, 40].tolist() == [220] * 3
    assert found[20, 20].tolist() == [100] * 3
    # A quarter of a period later, the light is 5 % brighter.
    later = painted(image, empty, np.zeros((0, 4)), [poster], time_s=5.0)
    assert later[60, 20].tolist() == [round(opacity * 210 + (1 - opacity) * 100)] * 3


def test_a_picture_never_covers_another(tmp_path: Path) -> None:
    from pipeline.benchmark.posters import write_posters

    chosen = read_benchmark_set(write_set(tmp_path, "street", (30, 30, 200), 20))
    people = read_benchmark_set(write_set(tmp_path, "other", (200, 30, 30), 60))
    _, placed = write_posters(chosen, people, tmp_path / "out", count=4, frames=6, seed=1)
    boxes = np.array([poster.xyxy for poster in placed["street"]], np.float64)
    assert len(boxes) == 4
    assert iou_matrix(boxes, boxes).sum() == pytest.approx(4)
