from __future__ import annotations

import itertools

import pytest

from pipeline.live.cameras.capture_clock import CaptureClock
from pipeline.live.telling.status import TimestampSource

NOW_S = 1_800_000_000.0


def test_a_wall_clock_that_is_right_is_believed() -> None:
    clock = CaptureClock(max_offset_s=0.5)
    stamps = [clock.stamp(k / 10, NOW_S + k / 10, NOW_S + k / 10 + 0.07) for k in range(5)]
    assert [stamp.time_s for stamp in stamps] == pytest.approx([NOW_S + k / 10 for k in range(5)])
    assert {stamp.source for stamp in stamps} == {TimestampSource.RTCP}
    assert [stamp.age_s for stamp in stamps] == pytest.approx([0.07] * 5)
    assert clock.offset_s == pytest.approx(0.07)


@pytest.mark.parametrize("wrong_by_s", [-3600.0, -2.0, 2.0, 1e9])
def test_a_wall_clock_that_is_wrong_is_corrected_by_its_offset(wrong_by_s: float) -> None:
    clock = CaptureClock(max_offset_s=0.5)
    for k in range(20):
        stamp = clock.stamp(k / 10, NOW_S + wrong_by_s + k / 10, NOW_S + k / 10 + 0.05)
        assert stamp.time_s == pytest.approx(NOW_S + k / 10 + 0.05, abs=0.001)
        assert stamp.age_s == pytest.approx(0.0, abs=0.001)
        assert stamp.source is TimestampSource.RTCP_CORRECTED
    assert clock.offset_s == pytest.approx(0.05 - wrong_by_s, abs=0.001)


def test_delay_on_the_way_is_age_and_not_an_offset() -> None:
    """Six frames come in time, then one a second late, with and without a camera clock."""
    for wall in (True, False):
        clock = CaptureClock(max_offset_s=0.5)
        for k in range(6):
            clock.stamp(k / 10, NOW_S + k / 10 if wall else None, NOW_S + k / 10)
        late = clock.stamp(0.6, NOW_S + 0.6 if wall else None, NOW_S + 1.6)
        assert late.age_s == pytest.approx(1.0, abs=0.01)
        assert late.time_s == pytest.approx(NOW_S + 0.6, abs=0.01)
        assert not late.jumped


@pytest.mark.parametrize("jump_s", [-3600.0, -1.5, 1.5, 86400.0])
@pytest.mark.parametrize("wall", [True, False])
def test_times_rise_evenly_over_a_jump_of_the_stream(jump_s: float, wall: bool) -> None:
    clock = CaptureClock(max_offset_s=0.5)
    stamps = []
    for k in range(40):
        shift_s = jump_s if k >= 20 else 0.0
        camera_s = NOW_S + k / 10 + shift_s
        stamps.append(clock.stamp(camera_s - NOW_S, camera_s if wall else None, NOW_S + k / 10))
    assert [k for k, stamp in enumerate(stamps) if stamp.jumped] == [20]
    gaps = [b.time_s - a.time_s for a, b in itertools.pairwise(stamps)]
    assert gaps == pytest.approx([0.1] * 39, abs=0.01)
    assert max(stamp.age_s for stamp in stamps) < 0.1


def test_times_rise_over_a_small_step_back_of_the_camera_clock() -> None:
    clock = CaptureClock(max_offset_s=0.5)
    times_s = []
    for k in range(30):
        step_s = -0.3 if k >= 15 else 0.0
        times_s.append(clock.stamp(None, NOW_S + k / 10 + step_s, NOW_S + k / 10).time_s)
    assert all(b > a for a, b in itertools.pairwise(times_s))


def test_a_clock_that_is_a_little_behind_makes_frames_old_but_not_late() -> None:
    """Half a second is believed; the third frame is held up by .2 s."""
    clock = CaptureClock(max_offset_s=0.5)
    stamps = [clock.stamp(None, NOW_S + k - 0.45, NOW_S + k + held_s) for k, held_s in enumerate([0, 0, 0.2, 0])]
    assert [stamp.source for stamp in stamps] == [TimestampSource.RTCP] * 4
    assert [stamp.age_s for stamp in stamps] == pytest.approx([0.45, 0.45, 0.65, 0.45])
    assert [stamp.late_s for stamp in stamps] == pytest.approx([0, 0, 0.2, 0], abs=1e-3)


def test_a_stream_without_any_times_is_stamped_at_arrival() -> None:
    clock = CaptureClock(max_offset_s=0.5)
    stamp = clock.stamp(None, None, NOW_S)
    assert (stamp.time_s, stamp.source, stamp.age_s) == (NOW_S, TimestampSource.HOST, 0.0)
    assert clock.offset_s is None


def test_a_new_connection_begins_anew_but_times_still_rise() -> None:
    clock = CaptureClock(max_offset_s=0.5)
    first = clock.stamp(500.0, None, NOW_S)
    clock.reconnected()
    second = clock.stamp(0.0, None, NOW_S + 3)
    assert second.time_s == pytest.approx(NOW_S + 3)
    assert second.time_s > first.time_s
    assert not second.jumped


def test_a_drifting_clock_is_followed_for_a_day() -> None:
    """50 parts in a million are 4.3 s a day; no frame may look late because of them."""
    clock = CaptureClock(max_offset_s=0.5)
    for second in range(0, 86400, 10):
        stamp = clock.stamp(second * (1 - 50e-6), None, NOW_S + second)
        assert stamp.age_s < 0.01
        assert not stamp.jumped
    assert stamp.time_s == pytest.approx(NOW_S + second, abs=0.01)
