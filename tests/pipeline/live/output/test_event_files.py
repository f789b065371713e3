"""Events at zones and lines on the disk: with the rows, after a kill, and until they are too old."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.output_settings import RetentionSettings
from pipeline.counting.events import Event, Kind
from pipeline.counting.events_file import COLUMNS, csv_text, event_of, readable_events
from pipeline.live.host_clock import HostClock
from pipeline.live.output.event_segments import EventSegments, event_segments, live_event_line
from pipeline.live.output.killed_runs import finish_killed_runs
from pipeline.live.output.retention import Retention, last_row_s
from pipeline.live.output.row_writer import RowWriter
from pipeline.live.output.segments import SegmentWriter
from tests.helpers.live.examples import NOW_S, make_row

DAY_S = 86_400.0
RUN = "20260501T100000Z-3f2a"


def event(time_s: float = NOW_S, person: int = 1) -> Event:
    return Event(time_s, Kind.ENTER, zone="shop", cameras=("hall",), global_id=person, occupancy=1)


def events_file(folder: Path, name: str, *events: Event, end: str = "") -> Path:
    path = folder / name
    path.write_text(csv_text([COLUMNS]) + "".join(map(live_event_line, events)) + end)
    return path


def read(folder: Path) -> list[Event]:
    return [event_of(fields) for path in event_segments(folder) for fields in readable_events(path)]


def test_events_are_written_with_their_rows(tmp_path: Path) -> None:
    clock = HostClock()
    limits = {"segment_s": 60.0, "segment_max_bytes": 10**6, "fsync_interval_s": 0.01}
    files = EventSegments(tmp_path, RUN, clock, **limits)  # type: ignore[arg-type]
    segments = SegmentWriter(tmp_path, RUN, clock, **limits)  # type: ignore[arg-type]
    writer = RowWriter(segments, RUN, clock, 100, files)
    writer.submit([make_row()], [], [event()])
    writer.submit([], [], [event(NOW_S + 1, 2)])
    writer.close(2.0)
    assert read(tmp_path) == [event(), event(NOW_S + 1, 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"events-{RUN}-0001.csv", f"traj-{RUN}-0001.csv"]
    assert files.finished == [f"events-{RUN}-0001.csv"]


def test_a_kill_leaves_whole_lines_under_the_final_name(tmp_path: Path) -> None:
    events_file(tmp_path, f"events-{RUN}-0001.csv.part", event(), event(NOW_S + 1, 2), end="1777,half a li")
    finish_killed_runs(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"events-{RUN}-0001.csv"]
    assert read(tmp_path) == [event(), event(NOW_S + 1, 2)]


def test_damaged_lines_are_set_aside(tmp_path: Path) -> None:
    path = events_file(tmp_path, f"events-{RUN}-0001.csv.part", event())
    path.write_text(path.read_text() + "not an event\n" + live_event_line(event(NOW_S + 1, 2)))
    finish_killed_runs(tmp_path)
    assert read(tmp_path) == [event(), event(NOW_S + 1, 2)]
    assert any(".damaged" in path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(("age_days", "left"), [(6.0, 1), (8.0, 0)])
def test_old_events_are_deleted(tmp_path: Path, age_days: float, left: int) -> None:
    path = events_file(tmp_path, f"events-{RUN}-0001.csv", event(NOW_S - age_days * DAY_S))
    events_file(tmp_path, f"events-{RUN}-0002.csv.part", event(NOW_S - 9 * DAY_S))
    assert last_row_s(path) == NOW_S - age_days * DAY_S
    settings = RetentionSettings(max_age_days=7.0, max_bytes=None, check_interval_s=1.0)
    Retention(tmp_path, RUN, settings, lambda: NOW_S).enforce()
    assert len(event_segments(tmp_path)) == left + 1


@pytest.mark.parametrize(("age_days", "kept"), [(6.0, True), (8.0, False)])
def test_the_events_of_mtmc_count_go_with_their_first_event(tmp_path: Path, age_days: float, kept: bool) -> None:
    path = events_file(tmp_path, "events.csv", event(NOW_S - age_days * DAY_S), event(NOW_S))
    settings = RetentionSettings(max_age_days=7.0, max_bytes=None, check_interval_s=1.0)
    Retention(tmp_path, RUN, settings, lambda: NOW_S).enforce()
    assert path.exists() == kept
