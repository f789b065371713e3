from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.core.stage_clock import StageClock
from pipeline.recorded.prefetch import prefetch


class TurnedTime:
    """In place of the module `time`: it stands still until it is turned."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> TurnedTime:
    """The time of all stage clocks."""
    turned = TurnedTime()
    monkeypatch.setattr("pipeline.core.stage_clock.time", turned)
    return turned


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_items_come_in_order_and_the_thread_ends(depth: int) -> None:
    assert list(prefetch(range(50), depth, "ordered")) == list(range(50))
    assert _threads("ordered") == []


def test_nothing_to_do() -> None:
    assert list(prefetch([], 2, "nothing")) == []


def test_an_error_comes_after_the_items_before_it_with_its_own_type() -> None:
    def work() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("third")

    items = prefetch(work(), 8, "failing")
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(items)
    assert _threads("failing") == []


def test_work_is_done_ahead_up_to_the_depth_in_another_thread() -> None:
    done: list[int] = []
    threads = set()

    def work() -> Iterator[int]:
        for item in range(100):
            done.append(item)
            threads.add(threading.current_thread().name)
            yield item

    items = prefetch(work(), 3, "ahead")
    assert done == []
    assert next(items) == 0
    deadline_s = time.monotonic() + 5
    while len(done) < 5 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    time.sleep(0.05)
    # One was taken, three wait, and one is in hand.
    assert done == [0, 1, 2, 3, 4]
    assert threads == {"ahead"}
    items.close()
    assert _threads("ahead") == []


def test_closing_early_stops_the_thread_and_cleans_up_there() -> None:
    cleaned_in: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            cleaned_in.append(threading.current_thread().name)

    items = prefetch(endless(), 2, "endless")
    assert next(items) == 1
    items.close()
    assert _threads("endless") == []
    assert cleaned_in == ["endless"]


def test_an_error_thrown_in_by_the_reader_stops_the_thread_too() -> None:
    items = prefetch(iter(range(10**9)), 2, "abandoned")
    assert next(items) == 0
    with pytest.raises(RuntimeError, match="reader"):
        items.throw(RuntimeError("reader"))
    assert _threads("abandoned") == []


def test_one_that_was_never_read_has_no_thread() -> None:
    items = prefetch(range(3), 1, "unread")
    items.close()
    assert _threads("unread") == []


def test_stages_add_up_over_threads(turned: TurnedTime) -> None:
    clock = StageClock()
    begun, done = threading.Barrier(4), threading.Event()

    def work() -> None:
        with clock.measure("work"):
            begun.wait(10)
            done.wait(10)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    turned.now_s += 5.0
    done.set()
    for thread in threads:
        thread.join()
    assert clock.seconds["work"] == 15.0


def test_a_stage_that_fails_is_counted() -> None:
    clock = StageClock()
    with pytest.raises(ValueError, match="x"), clock.measure("work"):
        raise ValueError("x")
    assert clock.seconds["work"] >= 0


def test_measuring_each_item_counts_the_work_and_not_the_reader(turned: TurnedTime) -> None:
    clock = StageClock()

    def slow() -> Iterator[int]:
        for item in range(3):
            turned.now_s += 2.0
            yield item

    got = []
    for item in clock.measure_each("slow", slow()):
        turned.now_s += 10.0
        got.append(item)
    assert got == [0, 1, 2]
    assert clock.seconds["slow"] == 6.0
