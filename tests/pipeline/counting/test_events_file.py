"""events.csv is read as it was written, and other lines are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.counting.events import Direction, Event, How, Kind, WithoutPeople
from pipeline.counting.events_file import COLUMNS, event_fields, event_of, readable_events, write_events

EVENTS = [
    Event(
        1.0,
        Kind.ENTER,
        zone="shop",
        cameras=("a", "b"),
        global_id=7,
        class_name="person",
        how=How.CROSSED,
        occupancy=1,
    ),
    Event(2.5, Kind.LEAVE, zone="shop", cameras=("a",), global_id=7, how=How.VANISHED, dwell_s=1.5, occupancy=0),
    Event(3.125, Kind.CROSS, line="door", cameras=("a",), global_id=7, direction=Direction.OUT, final=False),
]


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    write_events(path, EVENTS, datetime(2026, 5, 1, 10, tzinfo=UTC), mode=0o600)
    lines = path.read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == "1.000,2026-05-01T10:00:01.000Z,enter,shop,,a b,7,person,,crossed,,1,final"
    assert lines[3] == "3.125,2026-05-01T10:00:03.125Z,cross,,door,a,7,,out,,,,provisional"
    assert [event_of(fields) for fields in readable_events(path)] == EVENTS
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("time_s", "soon"),
        ("event", "fly"),
        ("global_id", "-1"),
        ("zone", ""),
        ("occupancy", ""),
        ("utc", "2026-05-01"),
        ("how", "x"),
        ("link_state", ""),
    ],
)
def test_damaged(column: str, text: str) -> None:
    fields = event_fields(EVENTS[0], None)
    event_of(fields)
    fields[COLUMNS.index(column)] = text
    with pytest.raises(ValueError, match=r"."):
        event_of(fields)


def zone_event(kind: Kind, person: int, occupancy: int) -> Event:
    return Event(0.0, kind, zone="shop", global_id=person, occupancy=occupancy)


def test_without_a_person_the_zone_has_one_less() -> None:
    events = [
        zone_event(Kind.ENTER, 1, 1),
        zone_event(Kind.ENTER, 2, 2),
        zone_event(Kind.OCCUPANCY, 2, 2),
        zone_event(Kind.ENTER, 3, 3),
        zone_event(Kind.LEAVE, 2, 2),
        zone_event(Kind.LEAVE, 1, 1),
    ]
    without = WithoutPeople()
    left = [kept for one in events if (kept := without.kept(one, one.global_id == 1)) is not None]
    assert [(one.kind, one.global_id, one.occupancy) for one in left] == [
        (Kind.ENTER, 2, 1),
        (Kind.ENTER, 3, 2),
        (Kind.LEAVE, 2, 1),
    ]


def test_without_a_person_whose_entry_is_already_deleted() -> None:
    without = WithoutPeople()
    assert without.kept(zone_event(Kind.LEAVE, 1, 1), True) is None
    assert without.kept(zone_event(Kind.ENTER, 2, 2), False) == zone_event(Kind.ENTER, 2, 2)
