"""Sends messages by MQTT; the broker acknowledges each of them (QoS 1)."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pipeline.live.sinks.transport import DeliveryError, Message

_KEEPALIVE_S = 15
_AT_LEAST_ONCE = 1
_TOPICS = {"remap": "remap", "event": "events"}


class MqttTransport:
    """Publishes rows to TOPIC/rows/CAMERA, corrections to TOPIC/remap and events to TOPIC/events. The retained message
    of TOPIC/state is online or offline; the broker sets it to offline if this program dies.

    Args:
        password: None or '' for none; it appears in no error.
        tls: whether to encrypt. The certificates are those of `ca_file` or, without it, of the system.
        timeout_s: limit in s for connecting, and for the acknowledgement of one batch.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        topic: str,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self._host, self._port, self._topic = host, port, topic
        self._username, self._password = username, password
        self._tls, self._ca_file = tls, ca_file
        self._timeout_s = timeout_s
        self._client: paho.Client | None = None

    def connect(self) -> None:
        """Connect with a new session each time, because unacknowledged messages are sent again anyway."""
        client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.connect_timeout = self._timeout_s
        client.max_inflight_messages_set(0)  # the batch size is the limit
        if self._username is not None:
            client.username_pw_set(self._username, self._password or None)
        client.will_set(f"{self._topic}/state", "offline", _AT_LEAST_ONCE, retain=True)
        answered = threading.Event()
        answer: list[ReasonCode] = []

        def on_connect(
            client: paho.Client, data: Any, flags: paho.ConnectFlags, code: ReasonCode, more: Properties | None
        ) -> None:
            answer.append(code)
            answered.set()

        client.on_connect = on_connect
        self._client = client
        try:
            if self._tls:
                client.tls_set_context(ssl.create_default_context(cafile=self._ca_file))
            client.connect(self._host, self._port, _KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self.close()
            raise DeliveryError(f"{self._broker} cannot be reached: {error}") from error
        client.loop_start()
        if not answered.wait(self._timeout_s):
            self.close()
            raise DeliveryError(f"{self._broker} does not answer within {self._timeout_s:g} s")
        if answer[0].is_failure:
            self.close()
            raise DeliveryError(f"{self._broker} refuses the connection: {answer[0]}")
        client.publish(f"{self._topic}/state", "online", _AT_LEAST_ONCE, retain=True)

    def send(self, messages: Sequence[Message]) -> None:
        """Publish all messages, then wait until the broker has acknowledged each."""
        topics = (
            f"rows/{message.key}" if message.kind == "row" else _TOPICS[message.kind] for message in messages
        )
        self._publish(
            [(f"{self._topic}/{topic}", message.text) for topic, message in zip(topics, messages, strict=True)],
            retain=False,
        )

    def retain(self, texts: Sequence[tuple[str, str]]) -> None:
        """Publish (topic, text) pairs that the broker keeps for later subscribers, and wait until it has acknowledged
        each; errors as in `send`."""
        self._publish(texts, retain=True)

    def _publish(self, texts: Sequence[tuple[str, str]], *, retain: bool) -> None:
        assert self._client is not None, "connect first"
        deadline = time.monotonic() + self._timeout_s
        sent = [self._client.publish(topic, text, _AT_LEAST_ONCE, retain=retain) for topic, text in texts]
        for info in sent:
            try:
                while not info.is_published() and time.monotonic() < deadline and self._client.is_connected():
                    info.wait_for_publish(0.1)
                published = info.is_published()
            except (RuntimeError, ValueError) as error:
                raise DeliveryError(f"{self._broker} lost the connection: {error}") from error
            if not published:
                state = "does not acknowledge" if self._client.is_connected() else "lost the connection"
                raise DeliveryError(f"{self._broker} {state}")

    def close(self) -> None:
        """Publish offline and disconnect."""
        client, self._client = self._client, None
        if client is None:
            return
        if client.is_connected():
            client.publish(f"{self._topic}/state", "offline", _AT_LEAST_ONCE, retain=True)
        client.disconnect()
        client.loop_stop()

    @property
    def _broker(self) -> str:
        return f"MQTT broker {self._host}:{self._port}"
