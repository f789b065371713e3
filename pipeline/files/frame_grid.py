"""The regular distance between the frames of a file that does not hold every frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.core.datatypes import IntArray

_FEWEST_FRAMES = 3


class FrameGrid(NamedTuple):
    """Frames first, first + stride, first + 2 stride ...; frame indices count from 0."""

    stride: int
    first: int

    @classmethod
    def of(cls, frame_index: IntArray) -> FrameGrid:
        """Return the widest grid that all frames (N,) lie on.

        The stride is 1 for fewer than three frames, and if most of them are not one stride apart: they then lie on a
        grid by chance.
        """
        frames = np.unique(frame_index)
        if len(frames) < _FEWEST_FRAMES:
            return cls(1, 0)
        steps = np.diff(frames)
        stride = int(np.gcd.reduce(steps))
        if np.mean(steps == stride) < 0.5:
            return cls(1, 0)
        return cls(stride, int(frames[0]) % stride)

    def holds(self, frame_index: IntArray) -> np.ndarray:
        """Return which of the frames (N,) lie on the grid."""
        return np.asarray(frame_index % self.stride == self.first)

    def __str__(self) -> str:
        ordinal = {1: "", 2: "2nd ", 3: "3rd "}.get(self.stride, f"{self.stride}th ")
        return f"every {ordinal}frame"
