"""The protocol of sinks, the corrections that they are given, and the hook for a preview.

The CSV never waits for a sink: every sink has a thread and a bounded queue of its own (`pipeline.live.sinks.feed`).
A call that raises is counted, told once in the status, and repeated with the same rows after a moment; when too many
rows wait, the oldest are given up and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import Correction, Frame, LinkedRow


class Sink(Protocol):
    """Takes rows besides the CSV. All calls come from one thread, in the order in which rows are written.

    Every method may raise any exception and may block; both hold up this sink alone.
    """

    @property
    def name(self) -> str:
        """Its type and place for logs and status, without secrets: 'mqtt broker:1883'."""

    def write(self, rows: Sequence[LinkedRow]) -> None:
        """Take rows, at least one. `row.time_s` are Unix seconds; `link.final` says whether the id is firm. After
        an exception the same rows come again."""

    def remap(self, corrections: Sequence[Correction]) -> None:
        """Take corrections, at least one; never before the rows that they correct."""

    def flush(self) -> None:
        """Send what is waiting inside; called about once a second and before `close`."""

    def close(self) -> None:
        """Let go of everything; called once, also after failures."""


# Called with a frame (with its image) of a camera, all boxes that the detector found in it ((N, 4) float32, pixels),
# and its rows, which are those of the boxes that belong to a track; at most `live.preview_fps` times a second for each
# camera. It runs in the thread of the association, so it must be quick and must keep nothing of the image longer
# than it needs; an exception is logged and ends the preview, nothing else.
PreviewHook = Callable[[Frame, Boxes, Sequence[LinkedRow]], None]
