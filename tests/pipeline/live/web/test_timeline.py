"""Who was where, in bounded memory."""

from __future__ import annotations

from pipeline.live.web.timeline import Timeline
from tests.helpers.live.examples import NOW_S, make_remap, make_row


def spans(timeline: Timeline, now_s: float) -> list[tuple[int, str, float, float]]:
    return [
        (visit.global_id, visit.camera_id, visit.start_s - NOW_S, visit.end_s - NOW_S)
        for visit in timeline.visits(now_s)
    ]


def test_rows_of_a_track_are_one_visit_from_first_to_last() -> None:
    timeline = Timeline(600, 100)
    timeline.write([make_row(1, "hall", 4, NOW_S + 5), make_row(1, "entrance", 1, NOW_S)])
    timeline.write([make_row(1, "entrance", 1, NOW_S + 2), make_row(2, "entrance", 2, NOW_S + 2)])
    assert spans(timeline, NOW_S + 5) == [(1, "entrance", 0, 2), (2, "entrance", 2, 2), (1, "hall", 5, 5)]
    assert [visit.camera_id for visit in timeline.of(1, NOW_S + 5)] == ["entrance", "hall"]


def test_a_correction_moves_all_visits_of_the_provisional_id() -> None:
    timeline = Timeline(600, 100)
    timeline.write([make_row(1, "entrance", 1), make_row(7, "hall", 4), make_row(3, "hall", 5)])
    timeline.remap([make_remap(7, 1)])
    assert [(visit.global_id, visit.track_id) for visit in timeline.visits(NOW_S)] == [(1, 1), (1, 4), (3, 5)]
    assert timeline.of(7, NOW_S) == []


def test_what_is_older_than_the_window_is_not_shown_and_then_forgotten() -> None:
    timeline = Timeline(60, 100)
    timeline.write([make_row(1, "hall", 1, NOW_S), make_row(2, "hall", 2, NOW_S + 50)])
    assert [visit.global_id for visit in timeline.visits(NOW_S + 61)] == [2]
    timeline.write([make_row(3, "hall", 3, NOW_S + 70)])
    assert len(timeline._visits) == 2


def test_a_day_of_people_does_not_grow_memory() -> None:
    """Ten thousand tracks, of which the newest fifty are kept, each with a bounded number of places."""
    timeline = Timeline(1e9, 50)
    for track in range(10_000):
        timeline.write([make_row(track + 1, "hall", track + 1, NOW_S + track, world_xy_m=(1.0, 2.0))])
    assert [visit.global_id for visit in timeline.visits(NOW_S)] == list(range(9951, 10_001))
    for second in range(2000):
        timeline.write([make_row(1, "yard", 1, NOW_S + 10_000 + second, world_xy_m=(float(second), 0.0))])
    (visit,) = timeline.of(1, NOW_S)
    assert len(visit.places) <= 241
    times = [time_s for time_s, _, _ in visit.places]
    assert times == sorted(times)
    assert times[0] == NOW_S + 10_000
    assert times[-1] == NOW_S + 11_999
