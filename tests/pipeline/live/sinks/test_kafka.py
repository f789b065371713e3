"""The Kafka sink against brokers in this process that stop, are slow, refuse messages and return."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import confluent_kafka
import jsonschema
import pytest

from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.redaction import Redactor
from pipeline.counting.events import Event, Kind
from pipeline.live.sinks.base import Sink
from pipeline.live.sinks.build import credentials_of, secrets_of, sink_makers
from pipeline.live.sinks.feed import SinkFeed
from pipeline.live.sinks.kafka import KafkaTransport
from pipeline.live.sinks.messages import SCHEMA_FILE
from pipeline.live.sinks.transport import DeliveryError
from tests.helpers.live.examples import make_remap, make_row
from tests.helpers.live.kafka_cluster import (
    NOT_ENOUGH_REPLICAS,
    PRODUCE,
    TOPIC_AUTHORIZATION_FAILED,
    KafkaCluster,
)
from tests.helpers.live.servers import free_port, make_certificate, wait_until
from tests.helpers.live.waiting import HICCUP_S

SCHEMA = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
PASSWORD = "p@ss/w#rd:%41"


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster(brokers=2) as running:
        yield running


def build(servers: list[str], **settings: Any) -> Sink:
    """The one sink of a configuration, opened."""
    sink = {"type": "kafka", "servers": servers, "timeout_s": 5.0, **settings}
    ((_, make),) = sink_makers(load_config(None, {"live": {"sinks": [sink]}}).live.sinks, "run1")
    return make()


def consume(cluster: KafkaCluster, number: int) -> list[Any]:
    """So many messages of the topic, in the order of each partition."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": ",".join(cluster.servers),
            "group.id": "test",
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    partitions = consumer.list_topics("mtmc", timeout=10).topics["mtmc"].partitions
    consumer.assign([confluent_kafka.TopicPartition("mtmc", number, 0) for number in partitions])
    found: list[Any] = []
    deadline = time.monotonic() + 20
    while len(found) < number and time.monotonic() < deadline:
        found += [message for message in consumer.consume(number - len(found), 0.2) if message.error() is None]
    consumer.close()
    assert len(found) == number
    return found


def ids_of(messages: list[Any]) -> list[int]:
    return [json.loads(message.value())["global_id"] for message in messages]


def test_messages_have_their_camera_or_zone_as_key_and_stay_in_order(cluster: KafkaCluster) -> None:
    sink = build(cluster.servers)
    sink.write([make_row(number, ("entrance", "hall")[number % 2]) for number in range(1, 601)])
    sink.remap([make_remap(600, 1, "entrance")])
    sink.events([make_event()])
    sink.close()
    messages = consume(cluster, 602)
    by_key: dict[str, list[Any]] = {}
    for message in messages:
        content = json.loads(message.value())
        SCHEMA.validate(content)
        assert message.headers() == [("kind", content["kind"].encode())]
        by_key.setdefault(message.key().decode(), []).append(message)
    assert by_key.keys() == {"entrance", "hall", "shop"}
    assert all(len({message.partition() for message in group}) == 1 for group in by_key.values())
    assert ids_of(by_key["hall"]) == list(range(1, 601, 2))
    # The correction comes after the rows of its track.
    assert ids_of(by_key["entrance"]) == [*range(2, 601, 2), 1]


def make_event() -> Event:
    return Event(1_777_629_601.5, Kind.ENTER, global_id=17, zone="shop", cameras=("hall",), occupancy=3)


def test_the_partition_of_a_key_is_the_one_that_clients_in_java_choose(cluster: KafkaCluster) -> None:
    sink = build(cluster.servers)
    # Known values of murmur2 as Kafka's clients compute it: 21 -> -973932308, foobar -> -790332482.
    sink.write([make_row(1, "21"), make_row(2, "foobar")])
    sink.close()
    partitions = {message.key().decode(): message.partition() for message in consume(cluster, 2)}
    assert partitions == {"21": (-973932308 & 0x7FFFFFFF) % 4, "foobar": (-790332482 & 0x7FFFFFFF) % 4}


def test_a_cluster_that_is_away_is_named_with_the_cause_and_nothing_is_lost_when_it_returns(
    cluster: KafkaCluster, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = build(cluster.servers, timeout_s=2.0)
    sink.write([make_row(1)])
    cluster.stop()
    with pytest.raises(DeliveryError, match=r"^Kafka 127.*accepted 0 of 2 messages: .*Connection refused"):
        sink.write([make_row(2), make_row(3)])
    began = time.monotonic()
    with pytest.raises(DeliveryError, match=r"^Kafka 127.*cannot be used: .*Connection refused"):
        sink.write([make_row(2), make_row(3)])
    assert time.monotonic() - began < 2.0 + 0.5 + HICCUP_S
    cluster.start()
    sink.write([make_row(2), make_row(3)])
    sink.close()
    assert ids_of(consume(cluster, 3)) == [1, 2, 3]
    assert capfd.readouterr().err == ""  # librdkafka writes nothing itself


def test_messages_that_the_brokers_refuse_are_counted(cluster: KafkaCluster) -> None:
    sink = build(cluster.servers)
    cluster.fail_next(PRODUCE, TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(DeliveryError, match=r"accepted \d of 2 messages: .*[Aa]uthorization failed"):
        sink.write([make_row(1, "a"), make_row(2, "b")])
    sink.close()


def test_a_refusal_that_passes_is_repeated_inside_the_batch(cluster: KafkaCluster) -> None:
    sink = build(cluster.servers)
    cluster.fail_next(PRODUCE, NOT_ENOUGH_REPLICAS)
    sink.write([make_row(1)])
    sink.close()
    assert ids_of(consume(cluster, 1)) == [1]


def test_a_topic_that_may_not_be_used_is_said(cluster: KafkaCluster) -> None:
    cluster.refuse_topic("mtmc", TOPIC_AUTHORIZATION_FAILED)
    sink = build(cluster.servers)
    with pytest.raises(DeliveryError, match=r"^Kafka .* does not accept messages: .*Topic authorization failed$"):
        sink.write([make_row(1)])
    sink.close()


def test_a_run_never_waits_for_a_slow_cluster_and_every_row_is_delivered_or_counted(cluster: KafkaCluster) -> None:
    sink = {"type": "kafka", "servers": cluster.servers, "timeout_s": 1.0}
    ((name, make),) = sink_makers(load_config(None, {"live": {"sinks": [sink]}}).live.sinks, "run1")
    feed = SinkFeed(name, make, Redactor(), max_waiting_rows=50, retry_s=0.1)
    feed.submit([make_row(1)], [])
    wait_until(lambda: feed.status().rows == 1, 20, "the first row is there")
    cluster.answer_after(3000)  # longer than the limit
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
    assert "accepted 0 of" in feed.status().problem or "cannot be used" in feed.status().problem
    cluster.answer_after(0)
    wait_until(lambda: feed.status().problem == "" and feed.status().rows + feed.status().lost >= 201, 20, "back")
    feed.close(5)
    status = feed.status()
    assert status.rows + status.lost == 201
    # What the brokers accepted too late to say so is sent a second time.
    found = set(ids_of(consume(cluster, status.rows)))
    assert 1 in found


def test_a_python_program_is_not_held_up_while_the_sink_waits(cluster: KafkaCluster) -> None:
    """librdkafka must wait without the lock of the interpreter, also when it connects and closes."""
    cluster.stop()
    gaps: list[float] = []
    stopped = threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not stopped.is_set():
            time.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    thread = threading.Thread(target=tick)
    thread.start()
    with pytest.raises(DeliveryError):
        build(cluster.servers, timeout_s=1.0)
    stopped.set()
    thread.join()
    assert max(gaps) < 0.3 + HICCUP_S
    assert sorted(gaps)[-2] < 0.5


def test_failures_leave_no_threads(cluster: KafkaCluster) -> None:
    cluster.stop()

    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    before = threads()
    for _ in range(3):
        with pytest.raises(DeliveryError):
            build(cluster.servers, timeout_s=1.0)
    wait_until(lambda: threads() <= before, 10, "the threads of librdkafka end")


# -- login and TLS --------------------------------------------------------------------------------------------------


def test_a_password_file_is_used_and_no_password_is_noted_or_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    server = f"127.0.0.1:{free_port()}"
    login = {"username": "tracker", "password_file": str(file), "timeout_s": 1.0}
    sink = {"type": "kafka", "servers": [server], "sasl_mechanism": "PLAIN", **login}
    config = load_config(None, {"live": {"sinks": [sink]}})
    assert secrets_of(config.live.sinks) == [PASSWORD]
    assert credentials_of(config.live.sinks) == [(PASSWORD, b"")]
    ((name, make),) = sink_makers(config.live.sinks, "run1")
    assert name == f"kafka {server}"
    with pytest.raises(DeliveryError, match="Connection refused") as failure:
        make()
    shown = str(failure.value) + caplog.text + str(capfd.readouterr()) + repr(config)
    assert PASSWORD not in shown + json.dumps(config.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("tls", "username", "expected"),
    [
        (False, None, {"security.protocol": "PLAINTEXT"}),
        (True, None, {"security.protocol": "SSL", "ssl.ca.location": "ca.pem"}),
        (
            False,
            "tracker",
            {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "tracker"},
        ),
        (True, "tracker", {"security.protocol": "SASL_SSL", "sasl.password": PASSWORD}),
    ],
)
def test_librdkafka_receives_login_and_encryption(
    monkeypatch: pytest.MonkeyPatch, tls: bool, username: str | None, expected: dict[str, str]
) -> None:
    given: dict[str, Any] = {}

    def producer(settings: dict[str, Any]) -> None:
        given.update(settings)
        raise confluent_kafka.KafkaException(confluent_kafka.KafkaError(confluent_kafka.KafkaError._FAIL))

    monkeypatch.setattr("pipeline.live.sinks.kafka.Producer", producer)
    transport = KafkaTransport(
        servers=["a:9092", "b:9092"], topic="mtmc", sasl_mechanism="SCRAM-SHA-256", username=username,
        password=PASSWORD if username else None, tls=tls, ca_file="ca.pem",
    )  # fmt: skip
    with pytest.raises(DeliveryError, match=r"^Kafka a:9092,b:9092 cannot be used"):
        transport.connect()
    assert expected.items() <= given.items()
    assert given["bootstrap.servers"] == "a:9092,b:9092"
    assert ("sasl.password" in given) == (username is not None)
    assert ("ssl.ca.location" in given) == tls


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_librdkafka_of_the_package_has_every_login_that_the_configuration_takes(mechanism: str) -> None:
    with pytest.raises(DeliveryError, match="Connection refused"):
        build(
            [f"127.0.0.1:{free_port()}"],
            sasl_mechanism=mechanism, username="tracker", password=PASSWORD, tls=True, timeout_s=1.0,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"servers": []}, "servers"),
        ({"servers": ["kafka.example"]}, "servers"),
        ({"servers": ["http://kafka.example:9092"]}, "servers"),
        ({"servers": ["a:9092,b:9092"]}, "servers"),
        ({"servers": ["kafka.example:70000"]}, "the port of kafka.example:70000 must be 1 to 65535"),
        ({"username": "tracker"}, "go together"),
        ({"password": PASSWORD}, "go together"),
        ({"username": "a", "password": PASSWORD, "password_file": "b"}, "not both"),
        ({"topic": "a b"}, "topic"),
        ({"sasl_mechanism": "GSSAPI"}, "sasl_mechanism"),
    ],
)
def test_wrong_settings_are_said_before_the_start(settings: dict[str, Any], message: str) -> None:
    sink = {"type": "kafka", "servers": ["[::1]:9092"], **settings}
    with pytest.raises(InputError, match=message) as failure:
        load_config(None, {"live": {"sinks": [sink]}})
    assert PASSWORD not in str(failure.value)


class TlsFront:
    """Decrypts connections and passes them on to the broker of a cluster, whose port it replaces in answers."""

    def __init__(self, cluster: KafkaCluster, certificate: tuple[str, str]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._broker_port = int(cluster.servers[0].rpartition(":")[2])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with (
            suppress(OSError),
            connection,
            self._context.wrap_socket(connection, server_side=True) as client,
            socket.create_connection(("127.0.0.1", self._broker_port)) as broker,
        ):
            threading.Thread(target=_copy, args=(client, broker), daemon=True).start()
            _copy(broker, client, *(struct.pack(">i", port) for port in (self._broker_port, self.port)))


def _copy(source: socket.socket, target: socket.socket, old: bytes = b"", new: bytes = b"") -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data.replace(old, new) if old else data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def test_rows_travel_encrypted_to_brokers_whose_certificate_is_known_and_to_no_other(tmp_path: Path) -> None:
    made = {}
    for name, address in (("known", "127.0.0.1"), ("other", "127.0.0.1"), ("elsewhere", "192.0.2.1")):
        (tmp_path / name).mkdir()
        made[name] = make_certificate(tmp_path / name, "kafka", f"IP:{address}")
    known, other, elsewhere = made.values()
    with KafkaCluster() as cluster:
        front = TlsFront(cluster, known)
        servers = [f"127.0.0.1:{front.port}"]
        sink = build(servers, tls=True, ca_file=known[0])
        sink.write([make_row(1)])
        sink.close()
        assert ids_of(consume(cluster, 1)) == [1]
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            build(servers, tls=True, ca_file=other[0], timeout_s=2.0)
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            build(servers, tls=True, timeout_s=2.0)
        with pytest.raises(DeliveryError, match=r"ssl\.ca\.location failed"):
            build(servers, tls=True, ca_file=str(tmp_path / "none.pem"))
        front.close()
        front = TlsFront(cluster, elsewhere)  # a certificate that is trusted, but of another address
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            build([f"127.0.0.1:{front.port}"], tls=True, ca_file=elsewhere[0], timeout_s=2.0)
        front.close()
