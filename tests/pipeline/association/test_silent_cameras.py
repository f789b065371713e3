"""Cameras that pause, stop, or give a frame now and then."""

from __future__ import annotations

import pytest

from pipeline.core.datatypes import Detections
from tests.helpers.associating import BOX, associator, run
from tests.helpers.factories import (
    make_detections,
    make_frame,
)


def test_a_camera_that_falls_silent_lets_its_tracks_end_and_its_rows_go() -> None:
    parts = associator("cam1", "cam2")
    ended = []
    for index in range(60):
        tick = [(make_frame(index, camera_id="cam2"), Detections.empty())]
        if index < 20:
            tick.insert(0, (make_frame(index), make_detections([BOX])))
        ended += [(index, tracklet.key) for tracklet in parts.process(tick).ended]
        # Until then the person counts as in view.
        assert parts.people["cam1"] == (1 if 1 <= index < 40 else 0)
    # Its last frame is at 1.9 s; more than 2.0 s later is the frame at 4.0 s.
    assert ended == [(40, ("cam1", 1))]
    assert parts.finish().rows == []


def test_a_slow_camera_is_not_a_silent_one() -> None:
    parts = associator("cam1", "cam2")
    ended = []
    for index in range(200):
        tick = [(make_frame(index, camera_id="cam2"), Detections.empty())]
        if index % 15 == 0:
            tick.insert(0, (make_frame(index // 15, index / 10), make_detections([BOX])))
        ended += parts.process(tick).ended
    # A frame every 1.5 s, with the person in each.
    assert ended == []
    assert len(parts.finish().ended) == 1


@pytest.mark.parametrize("period_s", [1.0, 2.0, 10.0])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside a faster camera"])
def test_tracks_go_on_at_low_frame_rates(period_s: float, alone: bool) -> None:
    slow = [(make_frame(index, index * period_s), make_detections([BOX])) for index in range(8)]
    fast = [
        (make_frame(index, index * 0.5, camera_id="cam2"), Detections.empty())
        for index in range(0 if alone else round(14 * period_s))
    ]
    rows, ended = run(
        associator("cam1", "cam2"), iter([[item] for item in sorted(slow + fast, key=lambda item: item[0].time_s)])
    )
    assert [x.row.frame_index for x in rows] == list(range(8))
    assert [tracklet.observations for tracklet in ended] == [8]


@pytest.mark.parametrize("earlier_frames", [1, 2, 20])
def test_a_camera_that_stops_twice_holds_nobody_up(earlier_frames: int) -> None:
    """One long gap is not its pace: the frame after it starts tracks that nothing will ever confirm."""
    parts = associator("cam1", "cam2")
    for index in range(earlier_frames):
        parts.process([(make_frame(index), Detections.empty())])
    parts.process([(make_frame(earlier_frames, 300.0), make_detections([BOX]))])
    waiting = []
    for index in range(3001, 3600):
        done = parts.process([(make_frame(index, camera_id="cam2"), make_detections([BOX]))])
        waiting.append((waiting[-1] if waiting else 0) + 1 - len(done.rows))
    # Two seconds of rows, or 40 s (20 times max_silence_s) where its pace cannot be known.
    assert max(waiting) <= (25 if earlier_frames > 1 else 405)
    assert waiting[-1] < 10


@pytest.mark.parametrize("gaps", [1, 9])
def test_no_camera_holds_rows_for_minutes_however_often_it_stops(gaps: int) -> None:
    parts = associator("cam1", "cam2")
    for index in range(gaps + 1):
        parts.process([(make_frame(index, 300.0 * index), make_detections([BOX]))])
    released = 0
    for index in range(450):
        tick = [(make_frame(index, 300.0 * gaps + 0.1 + index / 10, camera_id="cam2"), make_detections([BOX]))]
        released += sum(x.row.camera_id == "cam2" for x in parts.process(tick).rows)
    assert released > 430


def test_nobody_is_followed_through_a_gap_of_minutes_alone_in_a_run() -> None:
    """Whoever sits there now may be somebody else."""
    parts = associator("cam1")
    times_s = [*(index / 10 for index in range(10)), *(300 + index / 10 for index in range(10))]
    rows, ended = run(parts, ([(make_frame(i, t), make_detections([BOX]))] for i, t in enumerate(times_s)))
    assert len(rows) == 20
    assert [(tracklet.track_id, tracklet.observations) for tracklet in ended] == [(1, 10), (2, 10)]
