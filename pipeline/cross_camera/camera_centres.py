"""What the people of a camera have in common in their embeddings, so that it can be taken away.

Light, height and background of a camera make all of its crops alike, and those of two cameras unlike. Subtracting the
mean embedding of each camera leaves more of what tells people apart (docs/site.md has the figures). The mean of a few
people is more of those people than of the camera, so that a camera counts the less the fewer tracks it has shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, Tracklet
from pipeline.core.vectors import centred

# A camera's mean counts half when it comes from so many tracks.
_HALF_TRACKS = 10
# Beyond so many tracks the mean follows the newest: light changes over the day.
_MEMORY_TRACKS = 500
# A centre in use is replaced when what has been learned since moved it this far; embeddings have length 1.
_NOTICEABLE = 0.03


@dataclass(frozen=True, eq=False)
class CentreState:
    """What `CameraCentres` has learned of C cameras (D values an embedding).

    Attributes:
        mean: (C, D) float32 mean embeddings; D is 0 before the first.
        embeddings, tracks: (C,) float64, how many the mean comes from.
    """

    mean: FloatArray
    embeddings: NDArray[np.float64]
    tracks: NDArray[np.float64]


class CameraCentres:
    """Learns the centre of each camera, cameras being numbered from 0.

    Args:
        enabled: else nothing is learned and nothing is ever subtracted.
        borrow: what a camera has not shown itself yet is taken from the mean of all of them, so that the people of a
            camera that has just been added can be compared with those of cameras that are long known.
    """

    def __init__(self, cameras: int, *, enabled: bool = True, borrow: bool = False) -> None:
        self._enabled = enabled
        self._borrow = borrow
        self._mean: NDArray[np.float64] = np.zeros((cameras, 0))
        self._embeddings = np.zeros(cameras)
        self._tracks = np.zeros(cameras)
        self._used: FloatArray = np.zeros((cameras, 0), np.float32)
        self._used_weight = np.zeros(cameras)

    @classmethod
    def of(
        cls, tracklets: Iterable[Tracklet], camera_row: Mapping[str, int], *, enabled: bool = True
    ) -> CameraCentres:
        """The centres of finished tracklets, in use."""
        centres = cls(len(camera_row), enabled=enabled)
        for tracklet in tracklets:
            for number, embedding in enumerate(tracklet.embeddings):
                centres.add(camera_row[tracklet.camera_id], embedding, new_track=number == 0)
        centres.refresh()
        return centres

    def add_camera(self) -> None:
        """Another camera, after all others."""
        self._mean = np.concatenate([self._mean, np.zeros((1, self._mean.shape[1]))])
        self._used = np.concatenate([self._used, np.zeros((1, self._used.shape[1]), np.float32)])
        self._embeddings = np.append(self._embeddings, 0.0)
        self._tracks = np.append(self._tracks, 0.0)
        self._used_weight = np.append(self._used_weight, 0.0)

    def add(self, camera: int, embedding: FloatArray, *, new_track: bool) -> None:
        """Learn from an embedding (D,); `new_track`: it is the first of its track."""
        if not self._enabled:
            return
        if self._mean.shape[1] == 0:
            self._mean = np.zeros((len(self._mean), len(embedding)))
            self._used = np.zeros(self._mean.shape, np.float32)
        if new_track:
            if self._tracks[camera] >= _MEMORY_TRACKS:
                keep = 1 - 1 / _MEMORY_TRACKS
                self._tracks[camera] *= keep
                self._embeddings[camera] *= keep
            self._tracks[camera] += 1
        self._embeddings[camera] += 1
        self._mean[camera] += (embedding - self._mean[camera]) / self._embeddings[camera]

    def refresh(self) -> bool:
        """Use what has been learned so far; whether that changes any camera's centre noticeably."""
        own, all_tracks = self._tracks / (self._tracks + _HALF_TRACKS), self._tracks.sum()
        borrowed = (1 - own) * (all_tracks / (all_tracks + _HALF_TRACKS) if self._borrow else 0.0)
        grand = (self._tracks @ self._mean) / max(all_tracks, 1.0)
        centre = own[:, None] * self._mean + borrowed[:, None] * grand
        weight = own + borrowed
        moved = np.linalg.norm(centre - self._used, axis=1) > _NOTICEABLE
        if not moved.any():
            return False
        self._used[moved] = centre[moved]
        self._used_weight[moved] = weight[moved]
        return True

    def weight(self, camera: int) -> float:
        """Which share of the camera's mean, borrowed or its own, is subtracted, in [0, 1)."""
        return float(self._used_weight[camera])

    def centred(self, embeddings: FloatArray, camera: int | NDArray[np.int64]) -> FloatArray:
        """(..., D) embeddings without what is common to their camera, of length 1 again.

        Args:
            embeddings: (..., D), L2-normalised.
            camera: one for all, or (...,) one for each.
        """
        if not self._used.size or not embeddings.size:
            return embeddings
        return centred(embeddings, self._used[camera])

    def state(self) -> CentreState:
        """A copy of what has been learned."""
        return CentreState(self._mean.astype(np.float32), self._embeddings.copy(), self._tracks.copy())

    def restore(self, state: CentreState, cameras: list[int]) -> None:
        """Go on from `state`, whose cameras have the numbers `cameras` here."""
        if not self._enabled or not state.mean.size:
            return
        self._mean = np.zeros((len(self._mean), state.mean.shape[1]))
        self._used = np.zeros(self._mean.shape, np.float32)
        self._mean[cameras] = state.mean
        self._embeddings[cameras] = state.embeddings
        self._tracks[cameras] = state.tracks
        self.refresh()
