"""Measures the time that each stage of a run takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


class StageClock:
    """Adds up seconds by stage name, from any thread. Stages overlap, so their sum can exceed the wall time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def measure(self, stage: str) -> Generator[None, None, None]:
        """Add the time of the `with` block to `stage`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + took

    def measure_each(self, stage: str, items: Iterable[Item]) -> Generator[Item, None, None]:
        """Yield `items`, and add the time that it takes to get each one to `stage`."""
        iterator = iter(items)
        while True:
            with self.measure(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item
