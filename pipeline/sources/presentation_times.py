"""The time of each frame of a recording, from the time stamps of its file as far as they can be believed."""

from __future__ import annotations

from collections.abc import Callable

# A step of more than this, and of more than so many frame periods, is a gap in the recording or a wrong stamp.
_FAR_S, _FAR_PERIODS = 1.0, 10
# No gap inside a file is longer.
_LONGEST_GAP_S = 86_400.0


class PresentationTimes:
    """Times that rise from frame to frame; those of the file wherever that is possible.

    A stamp that is missing or does not rise counts as one frame period after the frame before. So does one that is
    far ahead while the next frame's is not: a recording with a gap goes on behind the gap. Where all stamps from some
    frame on are earlier, or later by more than a day, the clock was set there, and time goes on without that step.

    Args:
        period_s: the mean time between two frames.

    Attributes:
        repaired: stamps that were not believed, without those that are missing or only a little off.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._far_s = max(_FAR_S, _FAR_PERIODS * period_s)
        self._time_s = -period_s
        self._offset_s = 0.0
        self.repaired = 0

    def time_s(self, stamp_s: float | None, following_s: Callable[[], float | None]) -> float:
        """The time of the next frame in seconds; the first frame's is 0.

        Args:
            stamp_s: its time stamp after the first frame's, None if it has none.
            following_s: asked for the time stamp of the frame after it; None at the end.
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
        # Between the frame before and this one lies the next only if this one's stamp is wrong.
        between = following is not None and self._time_s < following + self._offset_s < time_s
        if 0 < step_s <= _LONGEST_GAP_S and not between:
            return time_s
        self.repaired += 1
        if following is not None:
            # Otherwise this stamp alone is wrong.
            stays = following >= stamp_s if step_s > 0 else following + self._offset_s <= self._time_s
            if stays:
                self._offset_s = even_s - stamp_s
        return even_s
