"""Recognises packets that a server sends again after a new connection.

An HLS server whose publisher has died offers its last segments for ever. Every new connection would play them as if
they were new.
"""

from __future__ import annotations

from collections import deque

# About ten minutes of video; a list of segments is shorter.
_KEPT = 20_000


class ReceivedPackets:
    """The packets of the last connections of one camera; used by one reader at a time."""

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._earlier: set[int] = set()
        self._current: list[int] = []

    def connected(self) -> None:
        """Begin a new connection: what the last one received is from now on recognised."""
        for mark in self._current:
            if mark not in self._earlier:
                self._earlier.add(mark)
                self._order.append(mark)
        self._current = []
        while len(self._order) > _KEPT:
            self._earlier.discard(self._order.popleft())

    def again(self, mark: int | None) -> bool:
        """Return whether an earlier connection received this packet.

        Args:
            mark: identifies the packet; None for one that cannot come again.
        """
        if mark is None:
            return False
        if mark in self._earlier:
            return True
        self._current.append(mark)
        if len(self._current) > _KEPT:
            del self._current[: len(self._current) // 2]
        return False
