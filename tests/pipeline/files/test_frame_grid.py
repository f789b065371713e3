from __future__ import annotations

import numpy as np
import pytest

from pipeline.files.frame_grid import FrameGrid


@pytest.mark.parametrize(
    ("frames", "stride", "first"),
    [
        pytest.param(range(10), 1, 0, id="every frame"),
        pytest.param(range(0, 50, 5), 5, 0, id="every 5th"),
        pytest.param(range(300, 400, 5), 5, 0, id="every 5th from 300 on"),
        pytest.param(range(302, 400, 5), 5, 2, id="every 5th from 302 on"),
        pytest.param([0, 5, 10, 30, 35], 5, 0, id="every 5th, with a gap"),
        pytest.param([10, 0, 5, 5, 10], 5, 0, id="in any order and repeated"),
        pytest.param([0, 5, 10, 11, 15], 1, 0, id="one frame between"),
        pytest.param([0, 40], 1, 0, id="two frames"),
        pytest.param([0, 20, 60, 90], 1, 0, id="on a grid by chance"),
        pytest.param([], 1, 0, id="no frame"),
    ],
)
def test_frames_lie_on_a_grid(frames: range | list[int], stride: int, first: int) -> None:
    index = np.array(list(frames), np.int64)
    grid = FrameGrid.of(index)
    assert grid == (stride, first)
    assert grid.holds(index).all()


def test_a_grid_is_told_in_words() -> None:
    assert [str(FrameGrid(stride, 0)) for stride in (1, 2, 3, 4, 5)] == [
        "every frame",
        "every 2nd frame",
        "every 3rd frame",
        "every 4th frame",
        "every 5th frame",
    ]
