"""Writes and reads events.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.core.errors import RunError
from pipeline.counting.events import Direction, Event, How, Kind
from pipeline.files.readable_rows import LARGEST_ID, ReadableRows
from pipeline.files.track_boxes import is_number
from pipeline.files.whole_files import replacing

COLUMNS = (
    "time_s",
    "utc",
    "event",
    "zone",
    "line",
    "cameras",
    "global_id",
    "class_name",
    "direction",
    "how",
    "dwell_s",
    "occupancy",
    "link_state",
)


def event_fields(event: Event, epoch_utc: datetime | None) -> list[str]:
    """Return an event as texts in the order of `COLUMNS`; without `epoch_utc` the column utc is empty."""
    utc = ""
    if epoch_utc is not None:
        moment = (epoch_utc + timedelta(seconds=round(event.time_s, 3))).astimezone(UTC)
        utc = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [
        f"{event.time_s:.3f}",
        utc,
        event.kind.value,
        event.zone,
        event.line,
        " ".join(event.cameras),
        str(event.global_id),
        event.class_name,
        event.direction.value,
        event.how.value,
        "" if event.dwell_s is None else f"{event.dwell_s:.3f}",
        "" if event.occupancy is None else str(event.occupancy),
        "final" if event.final else "provisional",
    ]


def event_line(event: Event, epoch_utc: datetime | None) -> str:
    """Return an event as a line of the file, with its line end."""
    return csv_text([event_fields(event, epoch_utc)])


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as lines of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_events(path: Path, events: Iterable[Event], epoch_utc: datetime | None, *, mode: int) -> None:
    """Replace the file by these events.

    Raises:
        RunError: it cannot be written; the previous file stays.
    """
    try:
        with replacing(path, mode=mode) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_text([COLUMNS]))
            file.writelines(event_line(event, epoch_utc) for event in events)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror}. Free space or choose another --output"
        ) from error


def event_of(fields: Sequence[str]) -> Event:
    """Return a line of the file as an event; ValueError if no run writes such a line."""
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} columns instead of {len(COLUMNS)}")
    text = dict(zip(COLUMNS, fields, strict=True))
    for name in ("time_s", "dwell_s"):
        if (text[name] or name == "time_s") and not is_number(text[name], float):
            raise ValueError(f"{name} is no number")
    if text["utc"] and datetime.fromisoformat(text["utc"]).tzinfo is None:
        raise ValueError("the date has no time zone")
    global_id, occupancy = int(text["global_id"]), text["occupancy"]
    if not 0 <= global_id <= LARGEST_ID or bool(text["zone"]) == bool(text["line"]):
        raise ValueError("the id is out of range, or the event belongs to no zone or line")
    if bool(text["zone"]) != bool(occupancy):
        raise ValueError("an event of a zone has an occupancy, and no other")
    if text["link_state"] not in ("provisional", "final"):
        raise ValueError("the last column is damaged")
    return Event(
        time_s=float(text["time_s"]),
        kind=Kind(text["event"]),
        zone=text["zone"],
        line=text["line"],
        cameras=tuple(text["cameras"].split()),
        global_id=global_id,
        class_name=text["class_name"],
        direction=Direction(text["direction"]),
        how=How(text["how"]),
        dwell_s=float(text["dwell_s"]) if text["dwell_s"] else None,
        occupancy=int(occupancy) if occupancy else None,
        final=text["link_state"] == "final",
    )


def readable_events(path: Path) -> ReadableRows:
    """Return the rows of the file that can be read, as texts; see `ReadableRows`."""
    return ReadableRows(path, COLUMNS, event_of)
