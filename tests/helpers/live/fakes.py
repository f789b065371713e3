"""Cameras, clocks and models that do what a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Detections, FloatArray, Frame
from pipeline.core.fake_models import FakeDetector, FakeEmbedder
from pipeline.live.cameras.stream import Picture, Received

SIZE_WH = (320, 240)


class FakeClock:
    """Stands still until it is turned."""

    set_by_s = ahead_s = 0.0

    def __init__(self, utc_s: float = 1_800_000_000.0) -> None:
        self.now_s = 1000.0
        self._offset_s = utc_s - self.now_s

    def turn(self, seconds: float) -> None:
        self.now_s += seconds

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self, monotonic_s: float | None = None) -> float:
        return self._offset_s + (self.now_s if monotonic_s is None else monotonic_s)

    def follow(self) -> None:
        pass


def picture(
    stream_s: float | None = None,
    wall_s: float | None = None,
    *,
    size_wh: tuple[int, int] = SIZE_WH,
    corrupt: bool = False,
) -> Picture:
    def to_bgr() -> NDArray[np.uint8]:
        return np.full((size_wh[1], size_wh[0], 3), 128, np.uint8)

    return Picture(size_wh, stream_s, wall_s, corrupt, to_bgr)


@dataclass
class FakeStream:
    """Yields what `script` gives, then ends.

    Attributes:
        closed: set when the reader let go of it.
    """

    script: Iterator[Received]
    paced: bool = False
    closed: threading.Event = field(default_factory=threading.Event)

    def packets(self) -> Iterator[Received]:
        yield from self.script

    def close(self) -> None:
        self.closed.set()


def steady(
    fps: float = 10.0,
    *,
    wall_offset_s: float | None = None,
    size_wh: tuple[int, int] = SIZE_WH,
    frames: int = 10**9,
) -> Iterator[Received]:
    """Pictures at a steady pace in real time.

    Args:
        wall_offset_s: of the camera's clock; None for a camera that does not tell its time.
    """
    began_s = time.monotonic()
    for index in range(frames):
        time.sleep(max(began_s + index / fps - time.monotonic(), 0.0))
        wall_s = None if wall_offset_s is None else time.time() + wall_offset_s
        yield Received((picture(index / fps, wall_s, size_wh=size_wh),))


def one_person(confidence: float = 0.9) -> FakeDetector:
    """The same person stands in the middle of every picture."""

    def boxes_of(frame: Frame) -> Detections:
        width, height = frame.size_wh
        box = np.array([[0.4 * width, 0.3 * height, 0.6 * width, 0.8 * height]], np.float32)
        return Detections(box, np.array([confidence], np.float32), np.zeros(1, np.int64))

    return FakeDetector(boxes_of)


def one_look(person: int = 0, dim: int = 64) -> FakeEmbedder:
    """Every crop shows the same person, each time a little different: crops that are all alike count only once."""
    rng = np.random.default_rng(person)

    def vectors_of(frame: Frame, xyxy: FloatArray) -> FloatArray:
        vectors = rng.standard_normal((len(xyxy), dim)) * 0.35 / np.sqrt(dim)
        vectors[:, person] += 1.0
        return vectors.astype(np.float32)

    return FakeEmbedder(vectors_of, dim)
