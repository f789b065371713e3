"""The MQTT and Redis sinks against real servers that are killed and come back."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import paho.mqtt.client as paho
import pytest
import redis
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.config.config import load_config
from pipeline.core.redaction import Redactor
from pipeline.live.sinks.base import Sink
from pipeline.live.sinks.build import secrets_of, sink_makers
from pipeline.live.sinks.feed import SinkFeed
from pipeline.live.sinks.messages import SCHEMA_FILE
from pipeline.live.sinks.transport import DeliveryError
from tests.helpers.live.examples import make_remap, make_row
from tests.helpers.live.servers import Server, free_port, program, wait_until
from tests.helpers.live.waiting import HICCUP_S

SCHEMA = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
PASSWORD = "p@ss/w#rd:%41"


def build(**settings: Any) -> Sink:
    """The one sink of a configuration, opened."""
    config = load_config(None, {"live": {"sinks": [{"host": "127.0.0.1", "timeout_s": 2.0, **settings}]}})
    ((_, make),) = sink_makers(config.live.sinks, "run1")
    return make()


def deliver(sink: Sink, global_id: int) -> None:
    """Write a row again and again, as the feed of a run does, until the server has it."""

    def written() -> bool:
        try:
            sink.write([make_row(global_id)])
        except DeliveryError:
            return False
        return True

    wait_until(written, 20, f"row of {global_id} delivered")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Server]:
    binary, passwd = program("mosquitto", "mosquitto"), program("mosquitto_passwd", "mosquitto")
    port = free_port()
    users = tmp_path / "users"
    subprocess.run([passwd, "-b", "-c", str(users), "tracker", PASSWORD], check=True)
    users.chmod(0o644)
    tmp_path.chmod(0o755)
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\nuser root\n")
    server = Server([binary, "-c", str(settings)], port, tmp_path / "mosquitto.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Server]:
    binary = program("redis-server", "redis-server")
    port = free_port()
    settings = tmp_path / "redis.conf"
    settings.write_text(
        f'port {port}\nbind 127.0.0.1\nsave ""\nappendonly yes\nappendfsync always\ndir {tmp_path}\n'
        f'requirepass "{PASSWORD}"\n'
    )
    server = Server([binary, str(settings)], port, tmp_path / "redis.log")
    server.start()
    yield server
    server.kill()


class Subscriber:
    """Collects everything under mtmc/."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, str]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("tracker", PASSWORD)
        self._client.on_connect = lambda *_: self._client.subscribe("mtmc/#", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda client, data, message: self.messages.append(
            (message.topic, message.payload.decode())
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def of(self, topic: str) -> list[str]:
        return [payload for name, payload in self.messages if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def mqtt_sink(server: Server, **changes: Any) -> Sink:
    return build(**{"type": "mqtt", "port": server.port, "username": "tracker", "password": PASSWORD, **changes})


def test_mqtt_delivers_rows_and_corrections_by_topic(mosquitto: Server) -> None:
    subscriber = Subscriber(mosquitto.port)
    sink = mqtt_sink(mosquitto)
    sink.write([make_row(1, "entrance"), make_row(2, "hall")] * 300)
    sink.remap([make_remap(2, 1)])
    sink.close()
    wait_until(lambda: "offline" in subscriber.of("mtmc/state"), 10, "the farewell")
    assert subscriber.of("mtmc/state") == ["online", "offline"]
    assert len(subscriber.of("mtmc/rows/entrance")) == len(subscriber.of("mtmc/rows/hall")) == 300
    for topic, payload in subscriber.messages:
        if topic != "mtmc/state":
            SCHEMA.validate(json.loads(payload))
    (correction,) = subscriber.of("mtmc/remap")
    assert json.loads(correction)["global_id"] == 1
    subscriber.close()


def test_mqtt_comes_back_after_the_broker_was_killed(mosquitto: Server) -> None:
    sink = mqtt_sink(mosquitto)
    sink.write([make_row(1)])
    mosquitto.kill()
    with pytest.raises(DeliveryError):
        sink.write([make_row(2)])
    began = time.monotonic()
    with pytest.raises(DeliveryError, match=r"MQTT broker 127\.0\.0\.1:\d+ cannot be reached"):
        sink.write([make_row(2)])
    assert time.monotonic() - began < 5
    mosquitto.start()
    subscriber = Subscriber(mosquitto.port)
    deliver(sink, 3)
    wait_until(lambda: subscriber.of("mtmc/rows/entrance"), 10, "the row")
    assert json.loads(subscriber.of("mtmc/rows/entrance")[0])["global_id"] == 3
    sink.close()
    subscriber.close()


def test_a_broker_that_does_not_let_us_in_says_why_and_no_password_is_shown(
    mosquitto: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DeliveryError, match="refuses the connection: Not authorized") as failure:
        mqtt_sink(mosquitto, password="wrong-" + PASSWORD)
    assert PASSWORD not in str(failure.value) + caplog.text


def test_redis_has_an_entry_a_message(redis_server: Server) -> None:
    sink = build(type="redis", port=redis_server.port, password=PASSWORD, max_entries=1000)
    sink.write([make_row(1), make_row(2)])
    sink.remap([make_remap(2, 1)])
    sink.close()
    with redis.Redis(port=redis_server.port, password=PASSWORD, decode_responses=True) as client:
        entries = [fields for _, fields in client.xrange("mtmc")]
    assert [entry["kind"] for entry in entries] == ["row", "row", "remap"]
    for entry in entries:
        SCHEMA.validate(json.loads(entry["json"]))


def test_redis_keeps_a_stream_bounded(redis_server: Server) -> None:
    sink = build(type="redis", port=redis_server.port, password=PASSWORD, max_entries=100)
    for _ in range(20):
        sink.write([make_row(1)] * 100)
    sink.close()
    with redis.Redis(port=redis_server.port, password=PASSWORD) as client:
        # Redis trims whole nodes of a hundred entries.
        assert client.xlen("mtmc") <= 300


def test_redis_comes_back_after_the_server_was_killed(redis_server: Server) -> None:
    sink = build(type="redis", port=redis_server.port, password=PASSWORD)
    sink.write([make_row(1)])
    redis_server.kill()
    with pytest.raises(DeliveryError):
        sink.write([make_row(2)])
    redis_server.start()
    deliver(sink, 2)
    sink.close()
    with redis.Redis(port=redis_server.port, password=PASSWORD, decode_responses=True) as client:
        ids = [json.loads(fields["json"])["global_id"] for _, fields in client.xrange("mtmc")]
    assert ids == [1, 2]


def test_a_run_never_waits_for_a_server_that_is_away_and_counts_what_it_gives_up(redis_server: Server) -> None:
    settings = {"type": "redis", "host": "127.0.0.1", "port": redis_server.port, "password": PASSWORD}
    config = load_config(None, {"live": {"sinks": [settings]}})
    ((name, make),) = sink_makers(config.live.sinks, "run1")
    feed = SinkFeed(name, make, Redactor([PASSWORD]), max_waiting_rows=50, retry_s=0.1)
    feed.submit([make_row(1)], [])
    wait_until(lambda: feed.status().rows == 1, 20, "the first row is there")
    redis_server.kill()
    took_s = []
    for number in range(2, 202):
        began = time.monotonic()
        feed.submit([make_row(number)], [])
        took_s.append(time.monotonic() - began)
    *_, second_s, slowest_s = sorted(took_s)
    assert second_s < 0.5
    assert slowest_s < 0.5 + HICCUP_S  # once, the machine may have been elsewhere
    wait_until(lambda: feed.status().errors > 1, 20, "attempts fail")
    assert feed.status().lost >= 150
    assert PASSWORD not in feed.status().problem
    redis_server.start()
    wait_until(lambda: feed.status().problem == "" and feed.status().rows + feed.status().lost >= 201, 20, "back")
    feed.close(5)
    with redis.Redis(port=redis_server.port, password=PASSWORD, decode_responses=True) as client:
        ids = [json.loads(fields["json"])["global_id"] for _, fields in client.xrange("mtmc")]
    status = feed.status()
    assert status.rows + status.lost == 201
    assert ids[0] == 1
    assert ids[-49:] == list(range(153, 202))
    assert sorted(set(ids)) == ids


def test_a_wrong_password_of_redis_is_said_without_showing_it(redis_server: Server) -> None:
    with pytest.raises(DeliveryError, match=r"Redis 127\.0\.0\.1:\d+ cannot be used") as failure:
        build(type="redis", port=redis_server.port, password="wrong-" + PASSWORD)
    assert PASSWORD not in str(failure.value)


def test_passwords_come_from_a_file_and_are_not_in_the_configuration_that_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    sinks = [
        {"type": "mqtt", "host": "broker", "username": "tracker", "password_file": str(file)},
        {"type": "redis", "host": "redis", "password": PASSWORD},
        {"type": "json_lines", "path": "-"},
    ]
    config = load_config(None, {"live": {"sinks": sinks}})
    assert secrets_of(config.live.sinks) == [PASSWORD, PASSWORD]
    assert PASSWORD not in repr(config) + json.dumps(config.model_dump(mode="json"))
    names = [name for name, _ in sink_makers(config.live.sinks, "run1")]
    assert names == ["mqtt broker:1883", "redis redis:6379", "json_lines -"]


# -- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Of a server at 127.0.0.1, signed by itself, and its key."""
    tmp_path.chmod(0o755)
    paths = tmp_path / "server.crt", tmp_path / "server.key"
    made = [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-out", str(paths[0]), "-keyout", str(paths[1])], check=True, capture_output=True)
    paths[1].chmod(0o644)
    return paths


@pytest.fixture
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("other") / "other.crt"
    made = [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other"]
    subprocess.run([*made, "-out", str(path), "-keyout", str(path) + ".key"], check=True, capture_output=True)
    return path


@pytest.fixture
def mosquitto_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Server]:
    port = free_port()
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\ncertfile {certificate[0]}\nkeyfile {certificate[1]}\n"
        "allow_anonymous true\nuser root\n"
    )
    server = Server([program("mosquitto", "mosquitto"), "-c", str(settings)], port, tmp_path / "mosquitto.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Server]:
    port = free_port()
    settings = tmp_path / "redis.conf"
    settings.write_text(
        f'port 0\ntls-port {port}\nbind 127.0.0.1\nsave ""\ntls-auth-clients no\n'
        f"tls-cert-file {certificate[0]}\ntls-key-file {certificate[1]}\ntls-ca-cert-file {certificate[0]}\n"
    )
    server = Server([program("redis-server", "redis-server"), str(settings)], port, tmp_path / "redis.log")
    server.start()
    yield server
    server.kill()


# paho-mqtt leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("broker", ["mqtt", "redis"])
def test_rows_travel_encrypted_to_a_server_whose_certificate_is_known_and_to_no_other(
    broker: str, certificate: tuple[Path, Path], other_certificate: Path, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue("mosquitto_tls" if broker == "mqtt" else "redis_tls")
    settings = {"type": broker, "port": server.port, "tls": True}
    sink = build(**settings, ca_file=str(certificate[0]))
    sink.write([make_row(1)])  # returns when the server has acknowledged it
    sink.close()
    for unknown in ({"ca_file": str(other_certificate)}, {}):
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            build(**settings, **unknown)
    with pytest.raises(DeliveryError):  # a server that wants TLS, asked without
        build(**{**settings, "tls": False})


def test_a_certificate_file_that_is_missing_is_a_problem_of_the_sink_alone(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"cannot be reached: .*No such file"):
        build(type="mqtt", port=free_port(), tls=True, ca_file=str(tmp_path / "none.pem"))
