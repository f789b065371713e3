"""Live events: given out at once, corrected afterwards, in files and messages and metrics."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import jsonschema
import pytest

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.counting.events import Event, Kind
from pipeline.counting.events_file import event_of, readable_events
from pipeline.counting.positions import unscaled
from pipeline.live.live_counter import LiveCounter
from pipeline.live.output.event_segments import EventSegments, event_run_of, event_segments, live_event_line
from pipeline.live.picture_scales import PictureScales
from pipeline.live.sinks.messages import SCHEMA_FILE, event_message
from pipeline.live.telling.status import Dwells
from tests.helpers.counting import EXACT, LINE, SQUARE, counting_config, row, walk
from tests.helpers.live.examples import make_row

IN, OUT = 5.0, -5.0


def counter() -> LiveCounter:
    return LiveCounter(counting_config([SQUARE], [LINE], **EXACT), unscaled)


def by_second(rows: list[LinkedRow]) -> list[list[LinkedRow]]:
    return [
        [one for one in rows if one.row.time_s == second] for second in sorted({one.row.time_s for one in rows})
    ]


def correction(time_s: float, provisional_id: int, global_id: int) -> Correction:
    return Correction(time_s, "cam1", 1, provisional_id, global_id, 0.9)


def kinds(events: list[Event]) -> list[tuple[str, int, int | None]]:
    return [(str(one.kind), one.global_id, one.occupancy) for one in events]


def test_events_come_as_soon_as_they_are_certain() -> None:
    live = counter()
    given = [kinds(live.take(rows, [], rows[0].row.time_s)) for rows in by_second(walk([OUT, IN, IN, OUT]))]
    assert given == [[], [("enter", 1, 1)], [], [("leave", 1, 0)]]
    assert (live.counts.inside, live.counts.entered, live.counts.left) == (
        {"square": 0},
        {"square": 1},
        {"square": 1},
    )


def test_the_lengths_of_stays_that_ended_are_counted_by_class() -> None:
    live = counter()
    assert live.counts.dwells == {"square": Dwells()}
    live.take(walk([OUT, IN, IN, OUT]), [], 3.0)
    assert live.counts.dwells["square"] == Dwells((1, *[0] * 10), 2.0)
    assert Dwells().with_stay(5.0).numbers[0] == 1  # a limit belongs to its class, as in Prometheus
    assert Dwells().with_stay(5.001).numbers[1] == 1
    assert Dwells().with_stay(1e6).numbers[-1] == 1


def test_who_vanishes_leaves_when_the_time_goes_on() -> None:
    live = counter()
    live.take(walk([IN]), [], 0.0)
    assert live.take([], [], 5.0) == []
    assert kinds(live.take([], [], 5.1)) == [("leave", 1, 0)]


def test_who_is_inside_at_the_end_of_the_run_stays() -> None:
    live = counter()
    live.take(walk([IN]), [], 0.0)
    assert live.take([], [], inf) == []
    assert live.counts.inside == {"square": 1}


def test_a_person_inside_under_two_ids_is_corrected_with_an_event() -> None:
    live = counter()
    live.take([*walk([IN]), *walk([IN], person=2)], [], 0.0)
    assert live.counts.inside == {"square": 2}
    assert kinds(live.take([], [correction(0.5, 2, 1)], 0.0)) == [("merge", 2, 1)]
    assert kinds(live.take(walk([OUT], start_s=1.0), [], 1.0)) == [("leave", 1, 0)]
    assert (live.counts.entered, live.counts.left, live.counts.merged) == (
        {"square": 2},
        {"square": 1},
        {"square": 1},
    )


def test_a_stay_goes_on_under_the_corrected_id() -> None:
    live = counter()
    live.take(walk([OUT, IN], person=7), [], 1.0)
    assert live.take([], [correction(1.5, 7, 1)], 1.0) == []
    (event,) = live.take(walk([OUT], start_s=2.0), [], 2.0)
    assert (event.kind, event.global_id, event.dwell_s) == (Kind.LEAVE, 1, 1.0)


def test_a_stay_ends_if_the_person_was_seen_outside_later_under_the_other_id() -> None:
    live = counter()
    live.take(sorted([*walk([OUT, OUT, OUT]), *walk([IN], person=7)], key=lambda one: one.row.time_s), [], 0.0)
    assert kinds(live.take([], [correction(2.5, 7, 1)], 2.0)) == [("leave", 1, 0)]
    assert live.counts.inside == {"square": 0}


def test_a_confirmed_id_changes_nothing() -> None:
    live = counter()
    live.take(walk([OUT, IN]), [], 1.0)
    assert live.take([], [correction(1.5, 1, 1)], 1.0) == []
    assert live.counts.inside == {"square": 1}


def test_an_entry_that_was_not_given_out_yet_is_not_one_too_many() -> None:
    live = LiveCounter(counting_config([SQUARE], **{**EXACT, "min_seen_s": 1.0}), unscaled)
    live.take(walk([IN, IN]), [], 1.0)
    live.take(walk([IN], person=2, start_s=1.0), [], 1.0)
    assert live.take([], [correction(1.5, 2, 1)], 1.0) == []
    live.take(walk([IN, IN], start_s=2.0), [], 3.0)
    assert (live.counts.inside, live.counts.entered) == ({"square": 1}, {"square": 1})


@pytest.mark.parametrize("kind", list(Kind))
def test_messages_fit_the_schema(kind: Kind) -> None:
    place = {"line": "door"} if kind is Kind.CROSS else {"zone": "shop", "occupancy": 3}
    event = Event(1_777_630_000.0, kind, cameras=("a",), global_id=7, class_name="person", dwell_s=1.0, **place)  # type: ignore[arg-type]
    content = json.loads(event_message(event, "run").text)
    jsonschema.validate(content, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert content["event"] == kind


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s


def test_segments_are_rotated_and_read_in_order(tmp_path: Path) -> None:
    clock = Clock()
    files = EventSegments(
        tmp_path,
        "20260501T100000Z-3f2a",
        clock,  # type: ignore[arg-type]
        segment_s=10.0,
        segment_max_bytes=10**6,
        fsync_interval_s=1.0,
    )
    events = [Event(float(one), Kind.ENTER, zone="shop", global_id=one, occupancy=one) for one in range(1, 4)]
    for event in events:
        files.write([live_event_line(event)])
        clock.now_s += 6.0
    assert [path.name for path in event_segments(tmp_path)] == [
        "events-20260501T100000Z-3f2a-0001.csv",
        "events-20260501T100000Z-3f2a-0002.csv.part",
    ]
    files.close()
    found = event_segments(tmp_path)
    assert files.finished == [path.name for path in found]
    assert {event_run_of(path) for path in found} == {"20260501T100000Z-3f2a"}
    assert [event_of(fields) for path in found for fields in readable_events(path)] == events
    assert found[0].stat().st_mode & 0o777 == 0o600


def test_a_camera_that_comes_back_with_another_size() -> None:
    config = counting_config(
        **{"zones": [{"name": "a", "polygons_px": {"entrance": [[0, 0], [90, 0], [90, 90]]}}]}
    )
    scales = PictureScales(config.zones, config.lines)
    camera = counting_config().model_copy(update={"name": "entrance", "calibrated_size_wh": None})
    scales.took(camera, (640, 360), (640, 360), 0)  # type: ignore[arg-type]
    scales.took(camera, (640, 360), (1280, 720), 100)  # type: ignore[arg-type]
    assert scales.of(make_row(frame_index=99).row) == (1.0, 1.0)
    assert scales.of(make_row(frame_index=100).row) == (2.0, 2.0)
    assert scales.of(row(0.0, camera="hall").row) == (1.0, 1.0)
