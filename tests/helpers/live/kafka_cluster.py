"""The mock cluster of librdkafka: brokers in this process that speak Kafka's protocol on ports of 127.0.0.1."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path
from types import TracebackType

import pytest

_PRODUCER = 0
PRODUCE = 0  # API key of the protocol
NOT_ENOUGH_REPLICAS, TOPIC_AUTHORIZATION_FAILED = 19, 29  # errors of the protocol


class KafkaCluster:
    """Brokers that can be stopped, slowed down, and made to refuse messages; a topic has four partitions.

    The setting `test.mock.num.brokers` of a client makes the same cluster, but only functions in C control it.
    """

    def __init__(self, brokers: int = 1) -> None:
        self._brokers = brokers
        self._lib = lib = ctypes.CDLL(_library())
        for name in ("rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        text = ctypes.create_string_buffer(512)
        self._handle = ctypes.c_void_p(lib.rd_kafka_new(_PRODUCER, None, text, ctypes.c_size_t(512)))
        assert self._handle, text.value
        self._cluster = ctypes.c_void_p(lib.rd_kafka_mock_cluster_new(self._handle, brokers))
        assert self._cluster
        self.servers = lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode().split(",")

    def __enter__(self) -> KafkaCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._handle)

    def stop(self) -> None:
        """Close all connections, and accept none."""
        for broker in range(1, self._brokers + 1):
            assert self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker) == 0

    def start(self) -> None:
        """Accept connections again, on the same ports and with the messages of before."""
        for broker in range(1, self._brokers + 1):
            assert self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker) == 0

    def answer_after(self, ms: int) -> None:
        """Answer each request so many milliseconds later."""
        for broker in range(1, self._brokers + 1):
            assert self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, broker, ms) == 0

    def fail_next(self, api: int, *errors: int) -> None:
        """Answer the next requests of this API with these errors, one each."""
        codes = [ctypes.c_int(code) for code in errors]
        self._lib.rd_kafka_mock_push_request_errors(
            self._cluster, ctypes.c_int16(api), ctypes.c_size_t(len(codes)), *codes
        )

    def refuse_topic(self, topic: str, error: int) -> None:
        """Give this error whenever a client asks for the topic."""
        self._lib.rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), error)


def _library() -> str:
    """The path of librdkafka, or a skipped test."""
    package = Path(pytest.importorskip("confluent_kafka").__file__).parent
    bundled = sorted(package.with_name("confluent_kafka.libs").glob("librdkafka*.so*"))
    path = str(bundled[0]) if bundled else ctypes.util.find_library("rdkafka")
    if path is None:
        pytest.skip("librdkafka is not a file of its own here")
    return path
