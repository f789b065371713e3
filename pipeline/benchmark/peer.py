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
        """Return the tracks, from anything that numpy takes for arrays."""
        return cls(np.asarray(ids, np.int64).reshape(-1), np.asarray(xyxy, np.float64).reshape(-1, 4))


class PeerTracker(Protocol):
    """Tracks the people of one camera."""

    def update(self, frame: Frame, detections: Detections) -> PeerTracks:
        """Advance by one frame. Frames come in order, none is left out."""

    def close(self) -> None:
        """Release everything; no more frames follow."""


@dataclass(frozen=True)
class Peer:
    """A tracker to compare with.

    Attributes:
        name: in tables.
        start: returns a new tracker for a camera with this frame rate.
        needs_pictures: whether it uses the pictures of the frames.
    """

    name: str
    start: Callable[[float], PeerTracker]
    needs_pictures: bool = False
