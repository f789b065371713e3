"""Unlabelled crops of a site's tracks: the input of adaptation and of the calibration of match limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, IntArray, check_array


@dataclass(frozen=True, eq=False)
class SiteCrops:
    """N crops of T tracks in C cameras.

    Attributes:
        camera_names: C names.
        images: (N, 3, H, W) uint8, RGB, of the model's input size.
        track: (N,) int64, 0 .. T - 1: the track of each crop.
        camera: (T,) int64, 0 .. C - 1: the camera of each track.
        start_s, end_s: (T,) float64, times of the first and last box of each track in seconds, on the site's clock.
    """

    camera_names: tuple[str, ...]
    images: NDArray[np.uint8]
    track: IntArray
    camera: IntArray
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_array("SiteCrops", "images", self.images, (None, 3, None, None), np.uint8)
        check_array("SiteCrops", "track", self.track, (len(self.images),), np.int64)
        check_array("SiteCrops", "camera", self.camera, (None,), np.int64)
        check_array("SiteCrops", "start_s", self.start_s, (len(self.camera),), np.float64)
        check_array("SiteCrops", "end_s", self.end_s, (len(self.camera),), np.float64)

    @property
    def tracks(self) -> int:
        """T, the number of tracks."""
        return len(self.camera)

    @property
    def exclusive(self) -> BoolArray:
        """(T, T) pairs of tracks that are certainly two people: both were in one camera at the same time."""
        together = (self.start_s[:, None] <= self.end_s[None]) & (self.start_s[None] <= self.end_s[:, None])
        result: BoolArray = together & (self.camera[:, None] == self.camera[None])
        np.fill_diagonal(result, False)
        return result
