"""The time of each frame of a recording, from the time stamps of its file where they are plausible."""

from __future__ import annotations

from collections.abc import Callable

# A step of more than this time and more than this many frame periods is a gap in the recording or a wrong stamp.
_FAR_S, _FAR_PERIODS = 1.0, 10
# A longer step never counts as a gap in the recording.
_LONGEST_GAP_S = 86_400.0


class PresentationTimes:
    """Times that rise from frame to frame, taken from the file wherever possible.

    A stamp that is missing or does not rise is replaced by one frame period after the previous frame. So is a stamp
    that is far ahead while the next stamp is not; after a real gap in the recording, the next stamp is far ahead too.
    If all stamps from some frame on are earlier, or more than a day later, the clock was set there, and time continues
    without that step.

    Args:
        period_s: the mean time between two frames.

    Attributes:
        repaired: number of implausible stamps, without those that are missing or only slightly off.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._far_s = max(_FAR_S, _FAR_PERIODS * period_s)
        self._time_s = -period_s
        self._offset_s = 0.0
        self.repaired = 0

    def begin_at(self, time_s: float) -> None:
        """Let the next frame be expected at a time, in seconds after the first frame."""
        self._time_s = time_s - self._period_s

    def time_s(self, stamp_s: float | None, following_s: Callable[[], float | None]) -> float:
        """Return the time of the next frame in seconds; the first frame's is 0.

        Args:
            stamp_s: its time stamp in seconds, relative to the first frame's; None if it has none.
            following_s: called if needed; returns the time stamp of the following frame, None at the end.
        """
        even_s = self._time_s + self._period_s
        self._time_s = even_s if stamp_s is None else self._believed_s(stamp_s, even_s, following_s)
        return self._time_s

    def _believed_s(self, stamp_s: float, even_s: float, following_s: Callable[[], float | None]) -> float:
        time_s = stamp_s + self._offset_s
        step_s = time_s - self._time_s
        if abs(step_s) <= self._far_s:
            return time_s if step_s > 0 else even_s
        following = following_s()
        # The next frame lies between the previous one and this one only if this stamp is wrong.
        between = following is not None and self._time_s < following + self._offset_s < time_s
        if 0 < step_s <= _LONGEST_GAP_S and not between:
            return time_s
        self.repaired += 1
        if following is not None:
            # If the next stamp does not stay with this one, only this stamp is wrong.
            stays = following >= stamp_s if step_s > 0 else following + self._offset_s <= self._time_s
            if stays:
                self._offset_s = even_s - stamp_s
        return even_s
