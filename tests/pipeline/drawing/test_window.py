"""The window of `--show`, on a virtual screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.core.datatypes import Frame, Link, LinkedRow, TrajectoryRow
from pipeline.core.errors import InputError
from pipeline.drawing.visualization import id_colour
from pipeline.drawing.window import MosaicWindow
from tests.helpers.demo_clips import cut, cut_ground_truth
from tests.helpers.live.waiting import eventually
from tests.helpers.virtual_screen import pixels_of, virtual_screen

ROOT = Path(__file__).parents[3]

# In a process of its own, because OpenCV connects to one display for its lifetime. The program shows a grey frame of
# each of two cameras, one with a person whose id is 3, until it reads a line, then presses q and goes on until the next
# line.
_PROGRAM = """
import select, sys
import cv2, numpy as np
from pipeline.core.datatypes import Frame, Link, LinkedRow, TrajectoryRow
from pipeline.drawing.window import MosaicWindow

NO_BOXES = np.zeros((0, 4), np.float32)
grey = np.full((360, 640, 3), 77, np.uint8)
row = TrajectoryRow("a", 1, 0, 0.0, "person", (100, 50, 300, 300), 0.9)
window = MosaicWindow(["a"])

def frame(camera_id, index):
    return Frame(camera_id=camera_id, frame_index=index, time_s=index / 10, size_wh=(640, 360), image=grey)

def show_until_a_line():
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        window.refresh()
    sys.stdin.readline()

window.put(frame("a", 0), NO_BOXES, [LinkedRow(row, Link(3, 1.0))])
window.put(frame("b", 0), NO_BOXES, [])
show_until_a_line()
wait_key = cv2.waitKey
def pressed_q(wait_ms):
    wait_key(wait_ms)
    cv2.waitKey = wait_key
    return ord("q")

cv2.waitKey = pressed_q
window.refresh()
show_until_a_line()
window.put(frame("a", 1), NO_BOXES, [])
window.refresh()
window.close()
"""


def test_shows_people_until_q_is_pressed(tmp_path: Path) -> None:
    with virtual_screen(tmp_path) as (display, file):
        program = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "DISPLAY": display},
            stdin=subprocess.PIPE,
            text=True,
        )
        with program:
            assert program.stdin is not None
            try:
                # Two tiles of about 320 x 180 pixels.
                eventually(lambda: grey(file) > 0.15, 60, "the window with both cameras")
                assert (pixels_of(file) == id_colour(3)).all(axis=2).sum() > 100  # a box and a label
                program.stdin.write("\n")
                program.stdin.flush()
                eventually(lambda: grey(file) == 0, 60, "the end of the window")
                program.communicate("\n", timeout=60)
            finally:
                program.kill()
        assert program.returncode == 0


def grey(file: Path) -> float:
    """Return the share of a screen that has the grey of the frames."""
    return float((pixels_of(file) == 77).all(axis=2).mean())


def test_track_shows_its_cameras(tmp_path: Path) -> None:
    video = cut("cam1", 12, tmp_path / "cam1.mp4", 100)
    boxes = cut_ground_truth("cam1", 12, tmp_path / "det.txt", 100)
    with virtual_screen(tmp_path) as (display, _):
        arguments = ["track", f"cam1={video}", "--detections", f"cam1={boxes}", "--show", "--output", "out"]
        done = subprocess.run(
            [sys.executable, "-m", "mtmc", *arguments, "--set", "embedder.weights=null"],
            cwd=tmp_path,
            env={**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "preview failed" not in done.stderr + done.stdout
    assert (tmp_path / "out" / "trajectories.csv").exists()


@pytest.mark.parametrize("display", [None, ":4711"])
def test_without_a_screen_the_message_says_what_to_do(
    display: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(InputError, match=r"--show: no window can be opened here .*--video"):
        MosaicWindow(["a"])


def test_class_names_are_shown_from_the_second_class_on(monkeypatch: pytest.MonkeyPatch) -> None:
    images: list[np.ndarray] = []
    monkeypatch.setattr("pipeline.drawing.window._check_screen", lambda: None)
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, lambda *arguments: None)
    monkeypatch.setattr(cv2, "waitKey", lambda wait_ms: -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, flag: 1.0)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: images.append(image))
    seconds = iter(range(10))
    window = MosaicWindow(["a"], clock_s=lambda: float(next(seconds)))
    frame = Frame("a", 0, 0.0, (640, 360), np.zeros((360, 640, 3), np.uint8))
    person = TrajectoryRow("a", 1, 0, 0.0, "person", (100, 50, 300, 300), 0.9)
    car = person._replace(track_id=2, class_name="car", xyxy=(400, 50, 600, 300))
    for rows in ([person], [person, car], [person]):
        window.put(frame, np.zeros((0, 4), np.float32), [LinkedRow(row, Link(row.track_id, 1.0)) for row in rows])
        window.refresh()
    # The label of the person is longer once there are cars.
    label = (slice(0, 80), slice(90, 390))
    assert (images[0][label].max(axis=2) > 60).sum() < (images[2][label].max(axis=2) > 60).sum()
    window.close()
