"""Passes some frames of each camera to a preview, with the rows of these frames."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import Frame, LinkedRow

_log = logging.getLogger(__name__)

# Called with a frame (with its image), all boxes that the detector found in it ((N, 4) float32, pixels), and the rows
# of those boxes that belong to a track. It runs in the associating thread, so it must be fast and must not keep the
# image longer than needed. An exception is logged and ends the preview only.
PreviewHook = Callable[[Frame, Boxes, Sequence[LinkedRow]], None]

_EARLY_S = 0.01  # times of frames are not exact


@dataclass
class _Waiting:
    frame: Frame
    xyxy: Boxes
    rows: list[LinkedRow] = field(default_factory=list)


class PreviewFeed:
    """Holds frames until their rows have ids.

    Args:
        hook: receives the frames.
        fps: frames per second of each camera that are shown, at most.
    """

    def __init__(self, hook: PreviewHook, fps: float) -> None:
        self._hook: PreviewHook | None = hook  # None after it failed
        self._period_s = 1 / fps
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._next_s: dict[str, float] = {}

    def offer(self, frame: Frame, xyxy: Boxes) -> None:
        """Keep a frame with its detected boxes (N, 4), if the next preview of its camera is due."""
        if self._hook is None or frame.image is None:
            return
        due_s = self._next_s.get(frame.camera_id, float("-inf"))
        if frame.time_s >= due_s - _EARLY_S:
            # In steps of the period, because frames come at another rate.
            next_s = due_s + self._period_s
            self._next_s[frame.camera_id] = next_s if next_s > frame.time_s else frame.time_s + self._period_s
            self._waiting.setdefault(frame.camera_id, deque()).append(_Waiting(frame, xyxy))

    def rows(self, rows: Sequence[LinkedRow], complete_before_s: float) -> None:
        """Add rows as they are written, and show the frames whose rows are complete.

        Args:
            rows: in order of time.
            complete_before_s: frames taken before this moment get no more rows; on the clock of the frames' `time_s`.
        """
        if self._hook is None:
            return
        for linked in rows:
            for waiting in self._waiting.get(linked.row.camera_id, ()):
                if waiting.frame.frame_index == linked.row.frame_index:
                    waiting.rows.append(linked)
        for frames in list(self._waiting.values()):
            while frames and frames[0].frame.time_s < complete_before_s:
                self._show(frames.popleft())

    def _show(self, waiting: _Waiting) -> None:
        if self._hook is None:
            return
        try:
            self._hook(waiting.frame, waiting.xyxy, waiting.rows)
        except Exception:
            _log.exception("the preview failed and is off now")
            self._hook = None
            self._waiting.clear()
