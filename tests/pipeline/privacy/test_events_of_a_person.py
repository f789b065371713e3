"""A person's events are handed out and deleted, and others count without the person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.core.datatypes import Link, LinkedRow
from pipeline.counting.events import Event, How, Kind
from pipeline.counting.events_file import COLUMNS, csv_text, event_of, readable_events, write_events
from pipeline.files.results_csv import COLUMNS as ROW_COLUMNS
from pipeline.files.results_csv import TrajectoryWriter
from pipeline.live.output.event_segments import live_event_line
from pipeline.live.output.segments import REMAP_COLUMNS, remap_line, row_line
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_before, purge_person
from pipeline.privacy.run_folder import RunFolder
from tests.helpers.live.examples import NOW_S, make_remap, make_row

RUN = "20260501T100000Z-bb"


def stay(begin_s: float, end_s: float, person: int, inside: tuple[int, int]) -> list[Event]:
    shared = {"zone": "shop", "cameras": ("hall",), "global_id": person, "class_name": "person"}
    return [
        Event(begin_s, Kind.ENTER, how=How.CROSSED, occupancy=inside[0], **shared),  # type: ignore[arg-type]
        Event(end_s, Kind.LEAVE, how=How.CROSSED, dwell_s=end_s - begin_s, occupancy=inside[1], **shared),  # type: ignore[arg-type]
    ]


# Person 1 from 0 to 3 s, person 2 from 1 to 2 s.
EVENTS = [
    one
    for _, one in sorted(
        (event.time_s, event) for event in [*stay(0.0, 3.0, 1, (1, 0)), *stay(1.0, 2.0, 2, (2, 1))]
    )
]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    with TrajectoryWriter(folder, ["hall"], datetime(2026, 5, 1, tzinfo=UTC)) as writer:
        for second in range(4):
            for person in (1, 2):
                made = make_row(person, "hall", person, float(second), frame_index=second)
                writer.write(LinkedRow(made.row, Link(person, 1.0, True)))
    write_events(folder / "events.csv", EVENTS, datetime(2026, 5, 1, tzinfo=UTC), mode=0o600)
    (folder / "heat").mkdir()
    (folder / "heat" / "heat_map-hall.png").write_bytes(b"")
    (folder / "floor_heat_map.png").write_bytes(b"")
    return folder


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """The events of a live run in two segments; person 1 entered under the provisional id 5."""
    folder = tmp_path / "live"
    folder.mkdir(mode=0o700)
    rows = [make_row(5, "hall", 1, NOW_S), make_row(1, "hall", 1, NOW_S + 3), make_row(2, "hall", 2, NOW_S + 2)]
    (folder / f"traj-{RUN}-0001.csv").write_text(csv_text([ROW_COLUMNS]) + "".join(map(row_line, rows)))
    remap = remap_line(make_remap(5, 1, "hall", 1), RUN)
    (folder / "remap.csv").write_text(csv_text([REMAP_COLUMNS]) + remap)
    first = [Event(NOW_S, Kind.ENTER, zone="shop", global_id=5, occupancy=1)]
    then = [
        Event(NOW_S + 1, Kind.ENTER, zone="shop", global_id=2, occupancy=2),
        Event(NOW_S + 3, Kind.LEAVE, zone="shop", global_id=1, occupancy=1, dwell_s=3.0),
    ]
    for number, events in ((1, first), (2, then)):
        text = csv_text([COLUMNS]) + "".join(map(live_event_line, events))
        (folder / f"events-{RUN}-000{number}.csv").write_text(text)
    return folder


def events_in(folder: Path) -> list[tuple[str, int, int | None]]:
    found = [event_of(fields) for path in RunFolder(folder).event_files for fields in readable_events(path)]
    return [(str(one.kind), one.global_id, one.occupancy) for one in found]


def test_purge_takes_the_person_out_of_the_events_and_the_numbers(recorded: Path) -> None:
    purged = purge_person(RunFolder(recorded), 1, delete_shared=False)
    assert purged.events == 2
    assert events_in(recorded) == [("enter", 2, 1), ("leave", 2, 0)]
    assert set(purged.files) == {"heat_map-hall.png", "floor_heat_map.png"}
    assert not (recorded / "floor_heat_map.png").exists()


def test_purge_of_live_events_under_every_id(live: Path) -> None:
    purged = purge_person(RunFolder(live), 1, delete_shared=False)
    assert purged.events == 2
    assert events_in(live) == [("enter", 2, 1)]


def test_purge_before_keeps_the_numbers_of_later_events(recorded: Path) -> None:
    purged = purge_before(RunFolder(recorded), datetime(2026, 5, 1, 0, 0, 2, tzinfo=UTC), delete_shared=False)
    assert purged.events == 2
    assert events_in(recorded) == [("leave", 2, 1), ("leave", 1, 0)]


def test_damaged_lines_are_deleted_and_counted(recorded: Path) -> None:
    path = recorded / "events.csv"
    path.write_text(path.read_text() + "what is this\n" + "half a li")
    purged = purge_person(RunFolder(recorded), 2, delete_shared=False)
    assert (purged.events, purged.damaged) == (2, 1)
    assert events_in(recorded) == [("enter", 1, 1), ("leave", 1, 0)]


def test_the_command_tells_of_events(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["person", "purge", str(recorded), "--id", "1"])
    assert stop.value.code in (None, 0)
    assert "2 events" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "person"), [("recorded", 1), ("live", 5)])
def test_export(name: str, person: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = request.getfixturevalue(name)
    content = export_person(RunFolder(folder), person, tmp_path / "out")
    assert [(one["event"], one["zone"]) for one in content["events"]] == [("enter", "shop"), ("leave", "shop")]
    assert (tmp_path / "out" / "person-1.json").is_file()
