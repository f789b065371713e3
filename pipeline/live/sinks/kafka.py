"""Sends messages to a topic of Kafka; all in-sync replicas acknowledge each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.live.sinks.transport import DeliveryError, Message

# The delivery reports of messages that have timed out arrive shortly after the time limit.
_REPORTS_S = 0.5
# It follows from others, which state the cause.
_CONSEQUENCES = (KafkaError._ALL_BROKERS_DOWN, KafkaError._MSG_TIMED_OUT)


class KafkaTransport:
    """Appends to one topic, with `Message.key` as the key and the kind in the header `kind`.

    Kafka keeps the order within a partition, and the key selects the partition. So the rows of a camera stay in order,
    and a correction follows the rows of its track. The number of keys does not grow with the number of people.

    Args:
        servers: HOST:PORT of one or several brokers; they name the others.
        sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; used if there is a user name.
        username: None for no login.
        password: appears in no error.
        tls: whether to encrypt. The certificates are those of `ca_file` or, without it, of the system.
        timeout_s: limit in s for connecting, and for the acknowledgement of one batch.
    """

    def __init__(
        self,
        *,
        servers: Sequence[str],
        topic: str,
        sasl_mechanism: str = "SCRAM-SHA-512",
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self._brokers = f"Kafka {','.join(servers)}"
        self._topic = topic
        self._timeout_s = timeout_s
        self._cause = ""
        self._producer: Producer | None = None
        limit_ms = max(1000, round(timeout_s * 1000))  # the smallest limit that librdkafka accepts
        self._settings: dict[str, Any] = {
            "bootstrap.servers": ",".join(servers),
            "client.id": "mtmc",
            "security.protocol": ("SASL_" if username else "") + ("SSL" if tls else "PLAINTEXT"),
            "acks": "all",
            # Repetitions inside librdkafka change neither order nor number of messages.
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # as producers in Java, so that keys can be joined with their topics
            "compression.type": "lz4",
            "message.timeout.ms": limit_ms,
            "socket.timeout.ms": limit_ms,
            "socket.connection.setup.timeout.ms": limit_ms,
            "enable.metrics.push": False,  # figures of this client that brokers may ask for
            "log_level": 0,  # errors arrive in `_note`; librdkafka would write each attempt to standard error
            "error_cb": self._note,
        }
        if username:
            self._settings |= {
                "sasl.mechanism": sasl_mechanism, "sasl.username": username, "sasl.password": password or "",
            }  # fmt: skip
        if tls and ca_file is not None:
            self._settings["ssl.ca.location"] = ca_file

    def connect(self) -> None:
        """Connect, and ask for the topic, which most clusters create if it does not exist."""
        self._cause = ""
        try:
            self._producer = Producer(self._settings)
            found = self._producer.list_topics(self._topic, self._timeout_s).topics[self._topic]
        except KafkaException as error:
            failure = self._failure("cannot be used", error.args[0])
            self.close()
            raise failure from error
        # A topic that is being created has an error for a moment; messages then fail or not.
        self._cause = "" if found.error is None else found.error.str()

    def send(self, messages: Sequence[Message]) -> None:
        """Send all messages, then wait until the brokers have acknowledged each."""
        assert self._producer is not None, "connect first"
        accepted = 0
        failed: list[KafkaError] = []

        def report(error: KafkaError | None, message: object) -> None:
            nonlocal accepted
            if error is None:
                accepted += 1
            else:
                failed.append(error)

        try:
            for message in messages:
                self._producer.produce(
                    self._topic,
                    message.text.encode(),
                    key=message.key.encode(),
                    headers={"kind": message.kind},
                    on_delivery=report,
                )
        except (KafkaException, BufferError) as error:
            cause = error.args[0] if isinstance(error, KafkaException) else error
            raise self._failure("does not accept messages", cause) from error
        self._producer.flush(self._timeout_s + _REPORTS_S)
        if accepted < len(messages):
            text = f"accepted {accepted} of {len(messages)} messages"
            raise self._failure(text, failed[0] if failed else "no answer")
        self._cause = ""

    def close(self) -> None:
        """Close the connection; messages that wait inside librdkafka are discarded, because the caller repeats them."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(_REPORTS_S)  # librdkafka frees a message when its report has arrived

    def _note(self, error: KafkaError) -> None:
        """Keep what librdkafka says about connections; called in `flush`, `poll` and `list_topics`."""
        if error.code() not in _CONSEQUENCES:
            self._cause = error.str()

    def _failure(self, what: str, error: KafkaError | BufferError | str) -> DeliveryError:
        if self._producer is not None:
            self._producer.poll(0)  # calls `_note`
        text = error.str() if isinstance(error, KafkaError) else str(error)
        cause = f"; {self._cause}" if self._cause and self._cause not in text else ""
        return DeliveryError(f"{self._brokers} {what}: {text}{cause}")
