"""Creates the sinks in `live.sinks` of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.output_settings import (
    JsonLinesSink,
    KafkaSink,
    MqttSink,
    RedisSink,
    SinkSettings,
    WebhookSink,
)
from pipeline.core.errors import InputError
from pipeline.core.small_file import read_small_file
from pipeline.live.sinks.base import Sink
from pipeline.live.sinks.json_lines import JsonLines
from pipeline.live.sinks.json_sink import JsonSink
from pipeline.live.sinks.transport import Transport
from pipeline.live.sinks.webhook import WebhookTransport

# The certificates of a system are some 200 kB.
_LARGEST_CA_BYTES = 10_000_000


def sink_makers(
    settings: Sequence[SinkSettings], run_id: str, camera_ids: Sequence[str] = ()
) -> list[tuple[str, Callable[[], Sink]]]:
    """Return a name and a factory for each sink.

    The factory opens the sink. It is called again after a pause if that fails, so that a run can start while a broker
    is down.

    Args:
        run_id: part of every message.
        camera_ids: of the run, for sinks that announce them; others are announced with their first row.

    Raises:
        InputError: a package or a password file is missing.
    """
    return [_maker(one, run_id, camera_ids) for one in settings]


def secrets_of(settings: Sequence[SinkSettings]) -> list[str]:
    """Return the passwords, tokens and secret addresses of the sinks, for redaction."""
    secrets: list[str] = []
    for one in settings:
        match one:
            case JsonLinesSink():
                pass
            case WebhookSink():
                secrets += one.secrets
            case _:
                secrets += [one.secret] if one.secret else []
    return secrets


def credentials_of(settings: Sequence[SinkSettings]) -> list[tuple[str | None, bytes]]:
    """Return the content of the files of each sink: its password, and the certificates that it trusts.

    Raises:
        InputError: a file cannot be read.
    """
    return [_credentials(one) for one in settings]


def _credentials(settings: SinkSettings) -> tuple[str | None, bytes]:
    if isinstance(settings, JsonLinesSink):
        return None, b""
    try:
        trusted = b"" if settings.ca_file is None else read_small_file(Path(settings.ca_file), _LARGEST_CA_BYTES)
    except OSError as error:
        raise InputError(f"{settings.ca_file}: cannot be read ({error.strerror})") from error
    return settings.secret, trusted


def _maker(settings: SinkSettings, run_id: str, camera_ids: Sequence[str]) -> tuple[str, Callable[[], Sink]]:
    name, _ = _transport(settings)  # reports a missing package or file now

    def make() -> Sink:
        _, transport = _transport(settings)  # with the password that the file holds now
        sink = JsonSink(name, transport, run_id)
        if isinstance(settings, MqttSink) and settings.home_assistant is not None:
            sink = _home_assistant(settings, name, transport, run_id, camera_ids)
        sink.open()
        return sink

    return name, make


def _transport(settings: SinkSettings) -> tuple[str, Transport]:
    match settings:
        case JsonLinesSink():
            path = None if settings.path == "-" else Path(settings.path)
            return f"json_lines {settings.path}", JsonLines(path)
        case MqttSink():
            return f"mqtt {settings.address}", _mqtt(settings)
        case RedisSink():
            return f"redis {settings.address}", _redis(settings)
        case KafkaSink():
            return f"kafka {settings.address}", _kafka(settings)
        case WebhookSink():
            return f"webhook {settings.address}", _webhook(settings)


def _mqtt(settings: MqttSink) -> Transport:
    try:
        from pipeline.live.sinks.mqtt import MqttTransport
    except ImportError as error:
        raise InputError("a sink of type mqtt needs the package paho-mqtt: pip install 'mtmc[mqtt]'") from error
    return MqttTransport(
        host=settings.host,
        port=settings.port,
        topic=settings.topic,
        username=settings.username,
        password=settings.secret,
        tls=settings.tls,
        ca_file=settings.ca_file,
        timeout_s=settings.timeout_s,
    )


def _home_assistant(
    settings: MqttSink, name: str, transport: Any, run_id: str, camera_ids: Sequence[str]
) -> JsonSink:
    from pipeline.live.sinks.home_assistant import HomeAssistantSink

    return HomeAssistantSink(
        name,
        transport,
        run_id,
        topic=settings.topic,
        discovery_prefix=str(settings.home_assistant),
        camera_ids=camera_ids,
        hold_s=settings.occupancy_hold_s,
    )


def _webhook(settings: WebhookSink) -> Transport:
    return WebhookTransport(
        url=settings.url.get_secret_value(),
        token=settings.secret,
        ca_file=settings.ca_file,
        timeout_s=settings.timeout_s,
    )


def _redis(settings: RedisSink) -> Transport:
    try:
        from pipeline.live.sinks.redis_streams import RedisTransport
    except ImportError as error:
        raise InputError("a sink of type redis needs the package redis: pip install 'mtmc[redis]'") from error
    return RedisTransport(
        host=settings.host,
        port=settings.port,
        stream=settings.stream,
        max_entries=settings.max_entries,
        database=settings.database,
        username=settings.username,
        password=settings.secret,
        tls=settings.tls,
        ca_file=settings.ca_file,
        timeout_s=settings.timeout_s,
    )


def _kafka(settings: KafkaSink) -> Transport:
    try:
        from pipeline.live.sinks.kafka import KafkaTransport
    except ImportError as error:
        raise InputError(
            "a sink of type kafka needs the package confluent-kafka: pip install 'mtmc[kafka]'"
        ) from error
    return KafkaTransport(
        servers=settings.servers,
        topic=settings.topic,
        sasl_mechanism=settings.sasl_mechanism,
        username=settings.username,
        password=settings.secret,
        tls=settings.tls,
        ca_file=settings.ca_file,
        timeout_s=settings.timeout_s,
    )
