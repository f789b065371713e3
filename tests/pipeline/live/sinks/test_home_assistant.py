"""Discovery messages for Home Assistant, and the number of people in view."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence

import pytest

from pipeline.live.sinks.home_assistant import HomeAssistantSink, Occupancy, discovery
from pipeline.live.sinks.transport import DeliveryError, Message
from tests.helpers.live.examples import NOW_S, make_row
from tests.helpers.live.servers import Server, wait_until
from tests.pipeline.live.sinks.test_broker_sinks import PASSWORD, Subscriber, build, mosquitto

__all__ = ["mosquitto"]


class Broker:
    """Keeps what is retained; can fail."""

    def __init__(self) -> None:
        self.retained: dict[str, str] = {}
        self.told: list[tuple[str, int]] = []
        self.rows = 0
        self.fails = False

    def connect(self) -> None:
        self.retained.clear()

    def send(self, messages: Sequence[Message]) -> None:
        self.rows += len(messages)

    def retain(self, texts: Sequence[tuple[str, str]]) -> None:
        if self.fails:
            raise DeliveryError("lost the connection")
        self.retained |= dict(texts)
        self.told += [
            (topic, json.loads(text)["in_view"])
            for topic, text in texts
            if "/occupancy/" in topic and "config" not in topic
        ]

    def close(self) -> None:
        pass


class Clock:
    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def sink_of(broker: Broker, clock: Clock, cameras: Sequence[str] = ("hall",)) -> HomeAssistantSink:
    sink = HomeAssistantSink(
        "mqtt",
        broker,
        "run1",
        topic="mtmc",
        discovery_prefix="homeassistant",
        camera_ids=cameras,
        hold_s=5,
        now_s=clock,
    )
    sink.open()
    return sink


def test_a_camera_is_a_device_with_two_entities() -> None:
    (sensor_topic, sensor), (binary_topic, binary) = discovery("hall", "mtmc", "homeassistant")
    assert sensor_topic == "homeassistant/sensor/mtmc_hall/in_view/config"
    assert binary_topic == "homeassistant/binary_sensor/mtmc_hall/occupancy/config"
    device = {"identifiers": ["mtmc_hall"], "name": "mtmc hall", "model": "camera of mtmc"}
    assert json.loads(sensor) == {
        "state_topic": "mtmc/occupancy/hall",
        "availability_topic": "mtmc/state",
        "device": device,
        "origin": {"name": "mtmc"},
        "name": "In view",
        "unique_id": "mtmc_hall_in_view",
        "value_template": "{{ value_json.in_view }}",
        "state_class": "measurement",
        "icon": "mdi:account-group",
    }
    assert json.loads(binary)["device_class"] == "occupancy"
    assert json.loads(binary)["device"] == device


def test_ids_hold_only_what_home_assistant_takes_and_differ() -> None:
    names = ["hall.1", "hall-1", "hall_1", "Flur_ä", "Flur_ö"]
    topics = [topic for name in names for topic, _ in discovery(name, "site/mtmc", "homeassistant")]
    assert len(set(topics)) == 10
    for topic in topics:
        assert re.fullmatch(r"homeassistant/(binary_)?sensor/[A-Za-z0-9_-]+/[a-z_]+/config", topic), topic


def test_tracks_count_until_some_seconds_after_their_last_row() -> None:
    occupancy = Occupancy(hold_s=5)
    occupancy.see([make_row(1, "hall", 1, 100), make_row(2, "hall", 2, 103), make_row(1, "hall", 1, 99)])
    assert [occupancy.in_view(now_s) for now_s in (104, 105, 106, 108, 109)] == [
        {"hall": 2},
        {"hall": 2},
        {"hall": 1},
        {"hall": 1},
        {"hall": 0},
    ]


def test_cameras_are_announced_at_once_and_changes_are_told_once() -> None:
    broker, clock = Broker(), Clock()
    sink = sink_of(broker, clock)
    sink.flush()
    assert broker.told == [("mtmc/occupancy/hall", 0)]
    assert len(broker.retained) == 3
    sink.write([make_row(1, "hall", 1), make_row(2, "hall", 2), make_row(3, "yard", 1)])
    sink.flush()
    assert broker.told[1:] == [("mtmc/occupancy/hall", 2), ("mtmc/occupancy/yard", 1)]
    assert len(broker.retained) == 6
    clock.now_s += 6
    sink.flush()
    sink.flush()
    assert broker.told[3:] == [("mtmc/occupancy/hall", 0), ("mtmc/occupancy/yard", 0)]
    assert broker.rows == 3


def test_rows_that_waited_for_the_broker_are_nobody_in_view() -> None:
    broker, clock = Broker(), Clock()
    sink = sink_of(broker, clock)
    sink.write([make_row(1, "hall", 1, NOW_S - 60)])
    assert broker.told == [("mtmc/occupancy/hall", 0)]


def test_everything_is_told_again_after_a_failure() -> None:
    broker, clock = Broker(), Clock()
    sink = sink_of(broker, clock)
    sink.write([make_row(1, "hall", 1)])
    broker.fails = True
    clock.now_s += 6
    with pytest.raises(DeliveryError):
        sink.flush()
    broker.fails = False
    sink.flush()
    assert len(broker.retained) == 3
    assert json.loads(broker.retained["mtmc/occupancy/hall"]) == {"in_view": 0}


def test_rows_that_were_delivered_are_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    broker, clock = Broker(), Clock()
    sink = sink_of(broker, clock)
    broker.fails = True
    sink.write([make_row(1, "hall", 1)])
    sink.write([make_row(1, "hall", 1)])
    assert broker.rows == 2
    assert len(caplog.records) == 1
    assert "mqtt has the rows, but not the number of people in view: lost the connection" in caplog.text
    broker.fails = False
    sink.write([make_row(1, "hall", 1)])
    assert broker.told == [("mtmc/occupancy/hall", 1)]


def test_a_real_broker_retains_the_entities(mosquitto: Server) -> None:
    settings = {"type": "mqtt", "port": mosquitto.port, "username": "tracker", "password": PASSWORD}
    sink = build(**settings, home_assistant="mtmc/discovery", occupancy_hold_s=60.0)
    sink.write([make_row(1, "hall", 1, time.time())])
    late = Subscriber(mosquitto.port)
    wait_until(lambda: late.of("mtmc/occupancy/hall"), 10, "the retained number")
    assert json.loads(late.of("mtmc/occupancy/hall")[0]) == {"in_view": 1}
    wait_until(lambda: late.of("mtmc/discovery/sensor/mtmc_hall/in_view/config"), 10, "the retained entity")
    assert late.of("mtmc/rows/hall") == []  # rows are not retained
    sink.close()
    wait_until(lambda: "offline" in late.of("mtmc/state"), 10, "the state")
    late.close()
