"""From the list `live.sinks` of the configuration to sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.live.settings import SinkSettings
from pipeline.live.sinks.base import Sink
from pipeline.live.sinks.json_lines import JsonLinesSink


def sink_makers(settings: Sequence[SinkSettings]) -> list[tuple[str, Callable[[], Sink]]]:
    """A name and a function for each sink. The function opens it, and is called again after a moment when that
    fails: a broker that is down at the start is no reason not to start."""
    return [_maker(one) for one in settings]


def _maker(settings: SinkSettings) -> tuple[str, Callable[[], Sink]]:
    return f"{settings.type} {settings.path}", lambda: JsonLinesSink(settings.path)
