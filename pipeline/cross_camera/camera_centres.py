"""Learns camera means: the mean over the tracks of each camera, which is subtracted from the embeddings of its people.

Light, height and background make all crops of a camera similar, and those of two cameras different. Subtracting the
camera mean leaves more of what distinguishes people (docs/site.md has the figures). The mean of a few people describes
them more than the camera. Therefore only a share of it is subtracted, which grows with the number of tracks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, Tracklet
from pipeline.core.vectors import centred, lengths

# Half of a camera mean is subtracted when it comes from this many tracks.
_HALF_TRACKS = 10
# Beyond this many tracks the mean follows the newest ones: light changes over the day.
_MEMORY_TRACKS = 500
# The mean in use is replaced when the learned one differs by more than this distance; embeddings have length 1.
_NOTICEABLE = 0.03


@dataclass(frozen=True, eq=False)
class CentreState:
    """What `CameraCentres` has learned about C cameras (D values per embedding).

    Attributes:
        mean: (C, D) float32 mean over the mean embeddings of tracks; D is 0 before the first embedding.
        tracks: (C,) float64, the number of tracks that the mean comes from.
    """

    mean: FloatArray
    tracks: NDArray[np.float64]


class CameraCentres:
    """Learns the mean of each camera; cameras are numbered from 0.

    The mean of a camera is that of the mean embeddings of its tracks, as in `pipeline.core.vectors.camera_means`: every
    track counts the same, so that a person who stays in view does not dominate.

    Args:
        enabled: if False, nothing is learned and nothing is subtracted.
        borrow: whether a camera with few tracks also uses the mean of all cameras. People of a new camera can then be
            compared with those of older cameras.

    Attributes:
        version: (C,) int32, counts how often the mean in use of each camera was replaced.
    """

    def __init__(self, cameras: int, *, enabled: bool = True, borrow: bool = False) -> None:
        self._enabled = enabled
        self._borrow = borrow
        self._mean: NDArray[np.float64] = np.zeros((cameras, 0))
        self._tracks = np.zeros(cameras)
        self._used: FloatArray = np.zeros((cameras, 0), np.float32)
        self._used_weight = np.zeros(cameras)
        self.version = np.zeros(cameras, np.int32)

    @classmethod
    def of(
        cls, tracklets: Iterable[Tracklet], camera_row: Mapping[str, int], *, enabled: bool = True
    ) -> CameraCentres:
        """Return the camera means of finished tracklets, ready for use."""
        centres = cls(len(camera_row), enabled=enabled)
        for tracklet in tracklets:
            if tracklet.good_crops:
                centres.learn(camera_row[tracklet.camera_id], tracklet.embeddings.mean(axis=0))
        centres.refresh()
        return centres

    def add_camera(self) -> None:
        """Add a camera, after all others."""
        self._mean = np.concatenate([self._mean, np.zeros((1, self._mean.shape[1]))])
        self._used = np.concatenate([self._used, np.zeros((1, self._used.shape[1]), np.float32)])
        self._tracks = np.append(self._tracks, 0.0)
        self._used_weight = np.append(self._used_weight, 0.0)
        self.version = np.append(self.version, np.int32(0))

    def learn(self, camera: int, mean: FloatArray, previous: FloatArray | None = None) -> None:
        """Learn from a track that is new or has changed.

        Args:
            mean: (D,) mean of the embeddings of the track.
            previous: (D,) the mean that was learned for the same track before; None for a new track.
        """
        if not self._enabled:
            return
        if self._mean.shape[1] == 0:
            self._mean = np.zeros((len(self._mean), len(mean)))
            self._used = np.zeros(self._mean.shape, np.float32)
        if previous is None:
            self._tracks[camera] = min(self._tracks[camera], _MEMORY_TRACKS - 1) + 1
            previous = self._mean[camera]
        self._mean[camera] += (mean - previous) / self._tracks[camera]

    def refresh(self) -> bool:
        """Apply what has been learned so far; return whether that changes the mean of any camera noticeably."""
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
        self.version[moved] += 1
        return True

    def weight(self, camera: int) -> float:
        """Return the share of the camera mean, its own or borrowed, that is subtracted, in [0, 1)."""
        return float(self._used_weight[camera])

    def centred(self, embeddings: FloatArray, camera: int | NDArray[np.int64]) -> FloatArray:
        """Subtract the camera mean from embeddings (..., D) and bring them to length 1 again.

        Args:
            embeddings: (..., D), L2-normalised.
            camera: number of the camera, one for all embeddings or (...,) one for each.
        """
        if not self._used.size or not embeddings.size:
            return embeddings
        return centred(embeddings, self._used[camera])

    def without_means(self, embeddings: FloatArray, camera: int | NDArray[np.int64]) -> FloatArray:
        """Subtract the camera mean from embeddings, as `centred` does, without bringing them to length 1."""
        return embeddings - self._used[camera] if self._used.size and embeddings.size else embeddings

    def lengths(self, embeddings: FloatArray, camera: int | NDArray[np.int64]) -> FloatArray:
        """Return the (...,) float32 lengths by which `centred` divides what `without_means` returns."""
        if not self._used.size or not embeddings.size:
            return np.ones(embeddings.shape[:-1], np.float32)
        return lengths(embeddings - self._used[camera])

    def state(self) -> CentreState:
        """Return a copy of what has been learned."""
        return CentreState(self._mean.astype(np.float32), self._tracks.copy())

    def restore(self, state: CentreState, cameras: list[int]) -> None:
        """Continue from `state`, whose cameras have the numbers `cameras` here."""
        if not self._enabled or not state.mean.size:
            return
        self._mean = np.zeros((len(self._mean), state.mean.shape[1]))
        self._used = np.zeros(self._mean.shape, np.float32)
        self._mean[cameras] = state.mean
        self._tracks[cameras] = state.tracks
        self.refresh()
