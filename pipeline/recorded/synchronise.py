"""Puts frames of cameras with different rates and starts in one order of time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence

from pipeline.core.datatypes import Frame
from pipeline.sources.base import BrokenSource

Tick = list[Frame]


def synchronise(
    cameras: Sequence[Iterator[Frame]],
    window_s: float,
    on_broken: Callable[[BrokenSource], None],
) -> Iterator[Tick]:
    """Group frames of several cameras that are close in time, so that they share one batch.

    A tick holds at most one frame of a camera, in order of time and then of the cameras. No frame of a later tick is
    earlier than the first frame of this one. A camera that has ended, or has not begun, is not in the tick.

    Args:
        cameras: each in order of time.
        window_s: maximum time span of a tick; at most the shortest time between two frames of a camera, so that no
            tick has to wait.
        on_broken: called with the error of a camera whose recording breaks; the others continue.
    """
    waiting: list[tuple[float, int, Frame]] = []

    def pull(row: int) -> None:
        try:
            frame = next(cameras[row])
        except StopIteration:
            return
        except BrokenSource as broken:
            on_broken(broken)
            return
        heapq.heappush(waiting, (frame.time_s, row, frame))

    for row in range(len(cameras)):
        pull(row)
    while waiting:
        end_s = waiting[0][0] + window_s
        tick: Tick = []
        rows: list[int] = []
        while waiting and waiting[0][0] <= end_s and waiting[0][1] not in rows:
            _, row, frame = heapq.heappop(waiting)
            tick.append(frame)
            rows.append(row)
        # The next frames are read only after the tick is used, so that it need not wait for them.
        yield tick
        for row in rows:
            pull(row)
