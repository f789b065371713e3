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
    return Message("row", linked.row.camera_id, _line(row_content(linked, run_id, utc_text(linked.row.time_s))))


def remap_message(remap: Correction, run_id: str) -> Message:
    """Return the message for a correction: all rows of `provisional_id` belong to `global_id`."""
    return Message("remap", remap.camera_id, _line(remap_content(remap, run_id)))


def row_content(linked: LinkedRow, run_id: str, utc: str | None) -> dict[str, Any]:
    """Return a row as the schema describes it.

    Args:
        run_id: "" for a recording.
        utc: the time as text; None if a recording has no date.
    """
    row, link = linked.row, linked.link
    return {
        **_head("row", run_id, row.time_s, utc),
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


def remap_content(remap: Correction, run_id: str) -> dict[str, Any]:
    """Return a correction as the schema describes it."""
    return {
        **_head("remap", remap.run_id or run_id, remap.time_s, utc_text(remap.time_s)),
        "provisional_id": remap.provisional_id,
        "global_id": remap.global_id,
        "camera_id": remap.camera_id,
        "track_id": remap.track_id,
        "link_confidence": round(remap.confidence, 3),
    }


def event_message(event: Event, run_id: str) -> Message:
    """Return the message for an event at a zone or a line; its time is in Unix seconds."""
    content = {
        **_head("event", run_id, event.time_s, utc_text(event.time_s)),
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
    return Message("event", event.zone or event.line, _line(content))


def utc_text(unix_s: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC, rounded to milliseconds."""
    millis = round(unix_s * 1000)
    return f"{datetime.fromtimestamp(millis // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"


def _head(kind: str, run_id: str, time_s: float, utc: str | None) -> dict[str, Any]:
    return {
        "version": SCHEMA_VERSION,
        "kind": kind,
        "run_id": run_id,
        "time_s": round(time_s, 3),
        "utc": utc,
    }


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
