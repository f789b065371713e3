from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.core.redaction import Redactor
from pipeline.counting.events import Event, Kind
from pipeline.live.sinks.base import Sink
from pipeline.live.sinks.feed import SinkFeed
from tests.helpers.live.rows import correction, row
from tests.helpers.live.waiting import eventually


class Broker:
    """Takes rows, unless it is down."""

    name = "broker"

    def __init__(self) -> None:
        self.down = False
        self.taken: list[LinkedRow | Correction | Event] = []
        self.opened = self.closed = 0

    def open(self) -> Sink:
        if self.down:
            raise ConnectionError("rtsp://user:secret@broker is down")
        self.opened += 1
        return self

    def write(self, rows: Sequence[LinkedRow]) -> None:
        if self.down:
            raise ConnectionError("lost: password hunter22")
        self.taken += rows

    def remap(self, corrections: Sequence[Correction]) -> None:
        if self.down:
            raise ConnectionError("lost")
        self.taken += corrections

    def events(self, events: Sequence[Event]) -> None:
        if self.down:
            raise ConnectionError("lost")
        self.taken += events

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def feed_of(broker: Broker, max_waiting_rows: int = 1000) -> SinkFeed:
    return SinkFeed("broker", broker.open, Redactor(["hunter22"]), max_waiting_rows, retry_s=0.02)


def test_events_come_after_their_rows_and_survive_a_failure() -> None:
    broker = Broker()
    broker.down = True
    feed = feed_of(broker, max_waiting_rows=3)
    events = [Event(float(number), Kind.ENTER, zone="shop", global_id=1) for number in range(4)]
    for number in range(4):
        feed.submit([row(number)], [correction(number)], [events[number]])
    eventually(lambda: feed.status().errors >= 2, 5)
    broker.down = False
    feed.close(5)
    # The oldest row was discarded, its event was not (the last three events are kept with it).
    assert [one for one in broker.taken if isinstance(one, Event)] == events
    assert broker.taken.index(events[1]) > broker.taken.index(row(1))


def test_a_sink_that_is_down_gets_everything_in_order_when_it_is_back() -> None:
    broker = Broker()
    broker.down = True
    feed = feed_of(broker)
    sent = [row(index) for index in range(20)]
    for one in sent[:10]:
        feed.submit([one], [])
    eventually(lambda: feed.status().errors >= 2, 5)
    assert "secret" not in feed.status().problem
    assert feed.status().waiting == 10
    broker.down = False
    eventually(lambda: len(broker.taken) == 10, 5)
    eventually(lambda: feed.status().waiting == 0, 5)
    broker.down = True
    feed.submit(sent[10:], [correction()])
    eventually(lambda: "***" in feed.status().problem, 5)
    broker.down = False
    eventually(lambda: len(broker.taken) == 21, 5)
    feed.close(5)
    assert broker.taken == [*sent, correction()]
    status = feed.status()
    assert (status.rows, status.lost, status.problem) == (20, 0, "")
    assert broker.opened == broker.closed == 1


def test_a_broker_far_away_keeps_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits goes in one send: ten batches a second to a broker that answers after 0.15 s."""
    broker = Broker()
    write, all_wait = broker.write, threading.Event()
    calls = []

    def slowly(rows: Sequence[LinkedRow]) -> None:
        all_wait.wait(30)
        time.sleep(0.15)
        calls.append(len(rows))
        write(rows)

    monkeypatch.setattr(broker, "write", slowly)
    feed = feed_of(broker, max_waiting_rows=10_000)
    sent = [row(index) for index in range(3000)]
    for index in range(0, 3000, 3):  # a thousand batches
        feed.submit(sent[index : index + 3], [correction(index)] if index % 30 == 0 else [])
    all_wait.set()
    feed.close(10)
    assert [one for one in broker.taken if isinstance(one, LinkedRow)] == sent
    assert [one for one in broker.taken if isinstance(one, Correction)] == [
        correction(index) for index in range(0, 3000, 30)
    ]
    assert len(calls) <= 10
    assert max(calls) <= 500


@pytest.mark.parametrize("kind", ["write", "remap"])
def test_after_a_failure_less_goes_at_once(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A link that cannot carry many rows, or corrections, within the time of a send would else never carry any; each is
    delivered once."""
    broker = Broker()
    carry = getattr(broker, kind)

    def narrow(some: Sequence[LinkedRow | Correction]) -> None:
        if len(some) > 20:
            raise TimeoutError("does not acknowledge")
        carry(some)

    monkeypatch.setattr(broker, kind, narrow)
    feed = SinkFeed("broker", broker.open, Redactor(), 1000, retry_s=0.001)
    feed.submit([], [correction(index) for index in range(300)])  # as after a long outage
    for index in range(100):
        feed.submit([row(index)], [])
    feed.close(5)
    assert [one for one in broker.taken if isinstance(one, Correction)] == [
        correction(index) for index in range(300)
    ]
    assert [one for one in broker.taken if isinstance(one, LinkedRow)] == [row(index) for index in range(100)]


def test_corrections_do_not_grow_without_bound() -> None:
    broker = Broker()
    broker.down = True
    feed = feed_of(broker, max_waiting_rows=5)
    for index in range(20):
        feed.submit([row(index)], [correction(index)])
    # 15 rows; their corrections move on, and of these the oldest beyond five go, too.
    eventually(lambda: feed.status().lost >= 15, 5)
    broker.down = False
    feed.close(5)
    numbers = [one for one in broker.taken if isinstance(one, Correction)]
    assert numbers == [correction(index) for index in range(20 - len(numbers), 20)]
    assert 5 <= len(numbers) <= 10


def test_rows_that_are_lost_at_the_end_are_told(caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker()
    broker.down = True
    feed = feed_of(broker)
    feed.submit([row(0), row(1)], [])
    feed.close(0.05)
    assert "sink broker: 2 rows were not delivered, 2 of them at the end" in caplog.text
    assert feed.status().lost == 2


def test_what_a_dead_sink_cannot_take_is_given_up_and_counted() -> None:
    broker = Broker()
    broker.down = True
    feed = feed_of(broker, max_waiting_rows=5)
    for index in range(20):
        feed.submit([row(index)], [])
    eventually(lambda: feed.status().lost == 15, 5)
    feed.close(0.2)
    assert feed.status().lost == 20


def test_corrections_are_not_given_up_with_the_rows() -> None:
    """They may concern rows that the sink has had for long."""
    broker = Broker()
    broker.down = True
    feed = feed_of(broker, max_waiting_rows=5)
    feed.submit([row(0)], [correction()])
    for index in range(1, 20):
        feed.submit([row(index)], [])
    eventually(lambda: feed.status().lost == 15, 5)
    broker.down = False
    eventually(lambda: len(broker.taken) >= 6, 5)
    feed.close(5)
    assert [one for one in broker.taken if isinstance(one, Correction)] == [correction()]
    assert len(broker.taken) == 6
