"""Passes a frame of each camera to the preview from time to time, with the rows of that frame."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import Frame, LinkedRow
from pipeline.live.sinks.base import PreviewHook

_log = logging.getLogger(__name__)


@dataclass
class _Waiting:
    frame: Frame
    xyxy: Boxes
    rows: list[LinkedRow] = field(default_factory=list)


class PreviewFeed:
    """Holds one frame of each camera until its rows have ids.

    Args:
        fps: largest number of previews per second of each camera.
        wait_s: longest time in s from capture until the rows of a frame arrive.
    """

    def __init__(self, hook: PreviewHook | None, fps: float, wait_s: float) -> None:
        self._hook = hook
        self._period_s = 1 / fps
        self._wait_s = wait_s
        self._waiting: dict[str, _Waiting] = {}
        self._next_s: dict[str, float] = {}

    def offer(self, frame: Frame, xyxy: Boxes) -> None:
        """Keep a frame with its detected boxes (N, 4), if the next preview of its camera is due."""
        if self._hook is None or frame.image is None or frame.camera_id in self._waiting:
            return
        if frame.time_s >= self._next_s.get(frame.camera_id, float("-inf")):
            self._next_s[frame.camera_id] = frame.time_s + self._period_s
            self._waiting[frame.camera_id] = _Waiting(frame, xyxy)

    def rows(self, rows: Sequence[LinkedRow], now_s: float) -> None:
        """Add rows as they are written, and show frames that have waited long enough; `now_s` is in Unix seconds."""
        if self._hook is None:
            return
        for linked in rows:
            waiting = self._waiting.get(linked.row.camera_id)
            if waiting is not None and waiting.frame.frame_index == linked.row.frame_index:
                waiting.rows.append(linked)
        for camera_id, waiting in list(self._waiting.items()):
            if now_s - waiting.frame.time_s >= self._wait_s:
                del self._waiting[camera_id]
                self._show(waiting)

    def _show(self, waiting: _Waiting) -> None:
        if self._hook is None:
            return
        try:
            self._hook(waiting.frame, waiting.xyxy, waiting.rows)
        except Exception:
            _log.exception("the preview failed and is off now")
            self._hook = None
