"""A simulated world with any number of people and cameras, for tests and benchmarks without models.

People enter one after the other at a constant rate and walk through all cameras in turn; between two cameras they are
unseen. Everything is a function of time, so a world of any length takes no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Detections, FloatArray, Frame
from pipeline.core.fake_models import FakeDetector, FakeEmbedder
from pipeline.core.vectors import unit
from pipeline.sources.base import FrameSource

_BOX_WH = (40.0, 100.0)
# Distance from the upper and lower border: a crop that is cut off there is not a good crop.
_MARGIN_PX = 10.0
_LANE_PX = 35.0


@dataclass(frozen=True)
class SimulatedWorld:
    """Simulated cameras and people.

    Attributes:
        cameras: number of cameras; their names are cam1, cam2, ...
        people: number of people in the world at a time, once it is full.
        frame_rate: frames per second of every camera.
        view_s, blind_s: seconds that a person is in a view, and between two views.
        size_wh: (width, height) of the pictures in px.
        embedding_dim: length of the appearance vectors.
        embedding_noise: length of the random part of an embedding, added to the person's own vector of length 1.
        seed: seed of the embeddings.
    """

    cameras: int = 4
    people: int = 20
    frame_rate: float = 10.0
    view_s: float = 8.0
    blind_s: float = 3.0
    size_wh: tuple[int, int] = (640, 480)
    embedding_dim: int = 64
    embedding_noise: float = 0.3
    seed: int = 0

    @property
    def camera_ids(self) -> list[str]:
        """Names of the cameras: cam1, cam2, ..."""
        return [f"cam{number}" for number in range(1, self.cameras + 1)]

    @property
    def _spacing_s(self) -> float:
        return self.cameras * (self.view_s + self.blind_s) / self.people

    def people_in(self, camera_id: str, time_s: float) -> list[tuple[int, FloatArray]]:
        """Return (person, xyxy) of everybody in a view: numbers from 1, and boxes (4,) float32 in px."""
        leg = self.camera_ids.index(camera_id)
        enter_s = leg * (self.view_s + self.blind_s)
        last = int(np.floor((time_s - enter_s) / self._spacing_s))
        first = int(np.floor((time_s - enter_s - self.view_s) / self._spacing_s)) + 1
        return [
            (person + 1, self._box(person, (time_s - enter_s - person * self._spacing_s) / self.view_s))
            for person in range(max(first, 0), last + 1)
        ]

    def _box(self, person: int, progress: float) -> FloatArray:
        """Return the box of a person who crosses the picture in one of several lanes. Every second person walks in
        the opposite direction."""
        width, height = self.size_wh
        box_width, box_height = _BOX_WH
        share = progress if person % 2 == 0 else 1 - progress
        x = share * (width - box_width)
        lanes = max(int((height - box_height - 2 * _MARGIN_PX) // _LANE_PX), 1)
        y = _MARGIN_PX + (person * 7 % lanes) * _LANE_PX
        return np.array([x, y, x + box_width, y + box_height], np.float32)

    def appearance(self, person: int) -> FloatArray:
        """Return (D,) float32, the person's own vector of length 1."""
        vector = np.random.default_rng((self.seed, person)).standard_normal(self.embedding_dim)
        return unit(vector).astype(np.float32)

    def sources(self, frames: int) -> list[FrameSource]:
        """Return one source per camera, each of `frames` black pictures."""
        return [_SimulatedSource(self, camera_id, frames) for camera_id in self.camera_ids]

    def detector(self) -> FakeDetector:
        """Return a detector that finds everybody in every frame."""

        def boxes_of(frame: Frame) -> Detections:
            boxes = [xyxy for _, xyxy in self.people_in(frame.camera_id, frame.time_s)]
            if not boxes:
                return Detections.empty()
            return Detections(
                xyxy=np.stack(boxes),
                confidence=np.full(len(boxes), 0.9, np.float32),
                class_id=np.zeros(len(boxes), np.int64),
            )

        return FakeDetector(boxes_of)

    def embedder(self) -> FakeEmbedder:
        """Return an embedder: the person's vector plus noise that depends only on person, camera and frame."""

        def vectors_of(frame: Frame, xyxy: FloatArray) -> FloatArray:
            present = self.people_in(frame.camera_id, frame.time_s)
            centres = np.array([box for _, box in present])
            rows: list[NDArray[np.float32]] = []
            for box in xyxy:
                person = present[int(np.abs(centres - box).sum(axis=1).argmin())][0]
                noise_of = (self.seed, person, self.camera_ids.index(frame.camera_id), frame.frame_index)
                noise = np.random.default_rng(noise_of).standard_normal(self.embedding_dim)
                noise *= self.embedding_noise / np.linalg.norm(noise)
                rows.append((self.appearance(person) + noise).astype(np.float32))
            return np.stack(rows) if rows else np.zeros((0, self.embedding_dim), np.float32)

        return FakeEmbedder(vectors_of, self.embedding_dim)


class _SimulatedSource(FrameSource):
    """One camera of the world. Its picture is one black pixel broadcast to the full size, which takes no memory."""

    def __init__(self, world: SimulatedWorld, camera_id: str, frames: int) -> None:
        super().__init__(
            camera_id,
            f"simulated {camera_id}",
            frame_count=frames,
            frame_rate=world.frame_rate,
            size_wh=world.size_wh,
        )
        self._image = np.broadcast_to(np.uint8(0), (world.size_wh[1], world.size_wh[0], 3))

    def _frames(self) -> Iterator[Frame]:
        assert self.frame_count is not None
        for index in range(self.frame_count):
            yield self._frame(index, index / self.frame_rate, self._image)
