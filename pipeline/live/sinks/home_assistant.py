"""Tells Home Assistant by MQTT which cameras there are, and how many people each has in view.

The messages follow its MQTT discovery: a retained configuration for each entity, from which Home Assistant makes one
device for each camera. Format: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Protocol

from pipeline.core.datatypes import LinkedRow
from pipeline.live.sinks.json_sink import JsonSink
from pipeline.live.sinks.transport import DeliveryError, Transport

# Home Assistant takes no other characters in the ids of nodes and objects.
_NO_ID = re.compile(r"[^A-Za-z0-9_-]")
_log = logging.getLogger(__name__)


class RetainingTransport(Transport, Protocol):
    """A transport whose receiver can keep messages."""

    def retain(self, texts: Sequence[tuple[str, str]]) -> None:
        """Send (topic, text) pairs that are kept for later subscribers; DeliveryError as in `send`."""


class Occupancy:
    """Counts the tracks that each camera has in view.

    Args:
        hold_s: seconds after its last row for which a track counts.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._seen_s: dict[str, dict[int, float]] = {}

    def see(self, rows: Sequence[LinkedRow]) -> None:
        """Note rows; times are Unix seconds."""
        for linked in rows:
            row = linked.row
            tracks = self._seen_s.setdefault(row.camera_id, {})
            tracks[row.track_id] = max(row.time_s, tracks.get(row.track_id, row.time_s))

    def in_view(self, now_s: float) -> dict[str, int]:
        """Return the number of tracks in view, by camera; cameras stay with 0."""
        for camera_id, tracks in self._seen_s.items():
            self._seen_s[camera_id] = {
                track_id: seen_s for track_id, seen_s in tracks.items() if now_s - seen_s <= self._hold_s
            }
        return {camera_id: len(tracks) for camera_id, tracks in self._seen_s.items()}


def discovery(camera_id: str, topic: str, prefix: str) -> list[tuple[str, str]]:
    """Return the (topic, text) pairs from which Home Assistant makes the entities of a camera.

    Args:
        topic: of the sink; its state tells whether the camera is available.
        prefix: what Home Assistant listens to, homeassistant by default.
    """
    node = _id(f"{topic}_{camera_id}")
    shared: dict[str, Any] = {
        "state_topic": occupancy_topic(camera_id, topic),
        "availability_topic": f"{topic}/state",
        "device": {"identifiers": [node], "name": f"{topic} {camera_id}", "model": "camera of mtmc"},
        "origin": {"name": "mtmc"},
    }
    in_view = {
        **shared,
        "name": "In view",
        "unique_id": f"{node}_in_view",
        "value_template": "{{ value_json.in_view }}",
        "state_class": "measurement",
        "icon": "mdi:account-group",
    }
    occupied = {
        **shared,
        "name": "Occupancy",
        "unique_id": f"{node}_occupancy",
        "device_class": "occupancy",
        "value_template": "{{ 'ON' if value_json.in_view > 0 else 'OFF' }}",
    }
    return [
        (f"{prefix}/sensor/{node}/in_view/config", json.dumps(in_view)),
        (f"{prefix}/binary_sensor/{node}/occupancy/config", json.dumps(occupied)),
    ]


def occupancy_topic(camera_id: str, topic: str) -> str:
    """Return the topic of the number of people in view of a camera."""
    return f"{topic}/occupancy/{camera_id}"


def _id(text: str) -> str:
    """Return a text as Home Assistant takes it in an id; different texts have different ids."""
    plain = _NO_ID.sub("_", text)
    return plain if plain == text else f"{plain}_{sha256(text.encode()).hexdigest()[:8]}"


class HomeAssistantSink(JsonSink):
    """Sends rows and corrections like a `JsonSink`, and keeps Home Assistant up to date.

    Args:
        name, transport, run_id: as for `JsonSink`.
        topic: of the transport.
        discovery_prefix: see `discovery`.
        camera_ids: cameras that are announced at once; others are announced with their first row.
        hold_s: see `Occupancy`.
        now_s: returns Unix seconds on the clock of the rows.
    """

    def __init__(
        self,
        name: str,
        transport: RetainingTransport,
        run_id: str,
        *,
        topic: str,
        discovery_prefix: str,
        camera_ids: Sequence[str],
        hold_s: float,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name, transport, run_id)
        self._retaining = transport
        self._topic = topic
        self._prefix = discovery_prefix
        self._cameras = dict.fromkeys(camera_ids)
        self._occupancy = Occupancy(hold_s)
        self._now_s = now_s
        self._announced: set[str] = set()
        self._told: dict[str, int] = {}
        self._failed = False

    def write(self, rows: Sequence[LinkedRow]) -> None:
        """Send rows, then what they change; errors as in `JsonSink.write`."""
        super().write(rows)
        self._occupancy.see(rows)
        self._cameras |= dict.fromkeys(linked.row.camera_id for linked in rows)
        try:
            self._tell()
        except DeliveryError as error:
            # The rows are delivered, and must not be sent again; the next call tells what this one could not.
            if not self._failed:
                _log.warning("%s has the rows, but not the number of people in view: %s", self.name, error)
            self._failed = True

    def flush(self) -> None:
        """Tell who has left since the last rows; errors as in `write`."""
        self._tell()

    def _on_connect(self) -> None:
        # A broker may have lost what it retained.
        self._announced.clear()
        self._told.clear()

    def _tell(self) -> None:
        self._send([])  # connects if needed
        in_view = dict.fromkeys(self._cameras, 0) | self._occupancy.in_view(self._now_s())
        new = [camera_id for camera_id in self._cameras if camera_id not in self._announced]
        texts = [text for camera_id in new for text in discovery(camera_id, self._topic, self._prefix)]
        changed = {camera_id: count for camera_id, count in in_view.items() if self._told.get(camera_id) != count}
        for camera_id, count in changed.items():
            texts.append((occupancy_topic(camera_id, self._topic), json.dumps({"in_view": count})))
        if not texts:
            return
        try:
            self._retaining.retain(texts)
        except BaseException:
            self.close()
            raise
        self._failed = False
        self._announced |= set(new)
        self._told |= changed
