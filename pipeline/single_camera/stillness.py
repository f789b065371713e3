"""Whether a track has ever moved. Pictures of people, mannequins and things never do.

A person who stands still moves a little: the edges of the boxes follow the arms, the head and the weight on the legs.
The boxes of a picture stay within the noise of the detector. Boxes that others cover say nothing, because an occluder
changes them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray
from pipeline.single_camera.settings import TrackerSettings

# Interval between two boxes that are kept, before their number is halved for the first time.
_INTERVAL_S = 0.1
_MOST_BOXES = 64
# With fewer boxes, nothing is concluded.
_FEWEST_BOXES = 10
# The range of an edge leaves out this share of the boxes on either side.
_OUTLIERS = 0.1
# A track has moved if the range of an edge, or the distance of the newest boxes from the others, is larger than this
# number of times `still_range`.
_MOVED = 2.0
_NEWEST = 5
# Frame times are rounded binary fractions.
_TIME_ROUNDING_S = 1e-6


class Stillness:
    """Follows the uncovered boxes of one track, at most 64 of them, spread over its life.

    Attributes:
        still: whether the track has never moved, and is taken for a thing.
        moved: whether it has moved; then it is never called still again.
    """

    __slots__ = ("_boxes", "_due_s", "_interval_s", "_times_s", "moved", "still")

    def __init__(self) -> None:
        self.still = False
        self.moved = False
        # (left, top, right, bottom, confidence)
        self._boxes: list[tuple[float, ...]] = []
        self._times_s: list[float] = []
        self._interval_s = _INTERVAL_S
        self._due_s = -np.inf

    def observe(self, time_s: float, xyxy: FloatArray, confidence: float, settings: TrackerSettings) -> None:
        """Take in an uncovered box (4,), later than the previous one."""
        if self.moved or time_s < self._due_s - _TIME_ROUNDING_S:
            return
        self._due_s = time_s + self._interval_s
        self._boxes.append((*xyxy.tolist(), confidence))
        self._times_s.append(time_s)
        if len(self._boxes) < _FEWEST_BOXES or time_s - self._times_s[0] < settings.still_after_s:
            return
        self._judge(settings)
        if len(self._boxes) >= _MOST_BOXES:
            del self._boxes[1::2], self._times_s[1::2]
            self._interval_s *= 2
        if self.moved:
            self._boxes, self._times_s = [], []

    def _judge(self, settings: TrackerSettings) -> None:
        boxes = np.array(self._boxes)
        ordered = np.sort(boxes[:, :4], axis=0)
        last = len(ordered) - 1
        low, high = ordered[round(_OUTLIERS * last)], ordered[last - round(_OUTLIERS * last)]
        usual = ordered[last // 2]
        largest = settings.still_range * max(float(usual[3] - usual[1]), 1.0)
        range_px = float((high - low).max())
        if range_px > _MOVED * largest or _left(boxes[-_NEWEST:, :4], usual, _MOVED * largest):
            self.moved, self.still = True, False
            return
        if range_px > largest:  # maybe a person who hardly moves, maybe the unsteady first boxes of a thing
            self.still = False
            return
        confident_s = settings.confident_still_after_s
        weak = bool(boxes[:, 4].mean() < settings.still_confidence)
        long = confident_s is not None and self._times_s[-1] - self._times_s[0] >= confident_s
        self.still |= weak or long


def _left(newest: NDArray[np.float64], usual: NDArray[np.float64], distance_px: float) -> bool:
    """Return whether all of the newest boxes (K, 4) have an edge this far from the usual box (4,)."""
    return bool((np.abs(newest - usual).max(axis=1) > distance_px).all())
