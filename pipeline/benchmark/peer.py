"""One interface for single-camera trackers of other projects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Detections, Frame, IntArray


@dataclass(frozen=True, eq=False)
class PeerTracks:
    """The tracks of a peer in one frame: (M,) int64 ids in its own numbering, and (M, 4) float64 xyxy in px."""

    ids: IntArray
    xyxy: NDArray[np.float64]

    @classmethod
    def of(cls, ids: Any, xyxy: Any) -> PeerTracks:
        """Return the tracks. Both arguments may be anything that numpy converts to an array."""
        return cls(np.asarray(ids, np.int64).reshape(-1), np.asarray(xyxy, np.float64).reshape(-1, 4))


class PeerTracker(Protocol):
    """Tracks the people of one camera."""

    def update(self, frame: Frame, detections: Detections) -> PeerTracks:
        """Advance by one frame and return its tracks. Frames come in order, without gaps."""

    def close(self) -> None:
        """Release everything; no more frames follow."""


@dataclass(frozen=True)
class Peer:
    """A tracker to compare with.

    Attributes:
        name: name in tables.
        start: called with a frame rate in frames per second; returns a new tracker for one camera.
        needs_pictures: whether it uses the pictures of the frames.
    """

    name: str
    start: Callable[[float], PeerTracker]
    needs_pictures: bool = False
