"""The JSON format of rows, corrections and events; `message.schema.json` beside this file describes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.counting.events import Event
from pipeline.live.sinks.transport import Message

SCHEMA_VERSION = 1
SCHEMA_FILE = Path(__file__).with_name("message.schema.json")


def row_message(linked: LinkedRow, run_id: str) -> Message:
    """Return the message for a row of the CSV; `row.time_s` is in Unix seconds. Numbers are rounded as in the CSV."""
    row, link = linked.row, linked.link
    content = {
        **_head("row", run_id, row.time_s),
        "global_id": link.global_id,
        "camera_id": row.camera_id,
        "track_id": row.track_id,
        "frame_index": row.frame_index,
        "class_name": row.class_name,
        "xyxy_px": [round(value, 2) for value in row.xyxy],
        "confidence": round(row.confidence, 4),
        "link_confidence": round(link.confidence, 3),
        "link_state": "final" if link.final else "provisional",
        "world_xy_m": None if row.world_xy_m is None else [round(value, 3) for value in row.world_xy_m],
    }
    return Message("row", row.camera_id, _line(content))


def remap_message(remap: Correction, run_id: str) -> Message:
    """Return the message for a correction: all rows of `provisional_id` belong to `global_id`."""
    content = {
        **_head("remap", remap.run_id or run_id, remap.time_s),
        "provisional_id": remap.provisional_id,
        "global_id": remap.global_id,
        "camera_id": remap.camera_id,
        "track_id": remap.track_id,
        "link_confidence": round(remap.confidence, 3),
    }
    return Message("remap", None, _line(content))


def event_message(event: Event, run_id: str) -> Message:
    """Return the message for an event at a zone or a line; its time is in Unix seconds."""
    content = {
        **_head("event", run_id, event.time_s),
        "event": event.kind.value,
        "zone": event.zone or None,
        "line": event.line or None,
        "camera_ids": list(event.cameras),
        "global_id": event.global_id,
        "class_name": event.class_name,
        "direction": event.direction.value or None,
        "how": event.how.value or None,
        "dwell_s": None if event.dwell_s is None else round(event.dwell_s, 3),
        "occupancy": event.occupancy,
        "link_state": "final" if event.final else "provisional",
    }
    return Message("event", None, _line(content))


def utc_text(unix_s: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC, rounded to milliseconds."""
    millis = round(unix_s * 1000)
    return f"{datetime.fromtimestamp(millis // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"


def _head(kind: str, run_id: str, unix_s: float) -> dict[str, Any]:
    return {
        "version": SCHEMA_VERSION,
        "kind": kind,
        "run_id": run_id,
        "time_s": round(unix_s, 3),
        "utc": utc_text(unix_s),
    }


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
