"""Rows and corrections as JSON lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.live.sinks.base import Remap
from pipeline.results_csv import LinkedRow


def row_message(linked: LinkedRow) -> dict[str, Any]:
    """A row as the sinks send it; the names are those of the CSV's columns."""
    row, link = linked.row, linked.link
    return {
        "type": "row",
        "utc": _utc(row.time_s),
        "time_s": round(row.time_s, 3),
        "camera_id": row.camera_id,
        "track_id": row.track_id,
        "frame_index": row.frame_index,
        "global_id": link.global_id,
        "link_confidence": round(link.confidence, 3),
        "link_state": "final" if link.final else "provisional",
        "class_name": row.class_name,
        "xyxy": [round(value, 2) for value in row.xyxy],
        "confidence": round(row.confidence, 4),
        "world_xy_m": None if row.world_xy_m is None else [round(value, 3) for value in row.world_xy_m],
    }


def remap_message(correction: Remap) -> dict[str, Any]:
    """A correction as the sinks send it."""
    return {
        "type": "remap",
        "utc": _utc(correction.time_s),
        "time_s": round(correction.time_s, 3),
        "camera_id": correction.camera_id,
        "track_id": correction.track_id,
        "provisional_id": correction.provisional_id,
        "global_id": correction.global_id,
        "link_confidence": round(correction.confidence, 3),
    }


class JsonLinesSink:
    """Appends to a file, created with mode 0600, or to standard output ('-').

    A file that is appended to gets whole lines only: what a failed write left of a line is cut off.
    """

    def __init__(self, path: str) -> None:
        self.name = f"json_lines {path}"
        self._descriptor = None
        if path != "-":
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._descriptor = os.open(Path(path), flags, 0o600)

    def write(self, rows: Sequence[LinkedRow]) -> None:
        self._append(row_message(row) for row in rows)

    def remap(self, corrections: Sequence[Remap]) -> None:
        self._append(remap_message(correction) for correction in corrections)

    def flush(self) -> None:
        if self._descriptor is None:
            sys.stdout.flush()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _append(self, messages: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(message) + "\n" for message in messages)
        if self._descriptor is None:
            sys.stdout.write(text)
            return
        end = os.fstat(self._descriptor).st_size
        data = text.encode()
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise


def _utc(time_s: float) -> str:
    moment = datetime.fromtimestamp(round(time_s, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
