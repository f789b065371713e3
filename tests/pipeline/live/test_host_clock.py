"""A machine whose clock is set while a run goes on, or was wrong in an earlier run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.output_settings import RetentionSettings
from pipeline.cross_camera.camera_centres import CentreState
from pipeline.cross_camera.gallery import Gallery
from pipeline.live.cameras.capture_clock import CaptureClock
from pipeline.live.host_clock import HostClock
from pipeline.live.output.gallery_file import without_forgotten
from pipeline.live.output.retention import Retention
from pipeline.live.output.segments import row_line
from pipeline.live.telling.status import TimestampSource
from tests.helpers.live.rows import START_S, row

HOUR_S = 3600.0
DAY_S = 86_400.0


@dataclass
class Machine:
    utc_s: float = START_S
    monotonic_s: float = 1000.0

    def wait(self, seconds: float) -> None:
        self.utc_s += seconds
        self.monotonic_s += seconds

    def clock(self) -> HostClock:
        return HostClock(lambda: self.utc_s, lambda: self.monotonic_s)


def test_a_clock_that_is_set_forward_is_followed_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wait(10)
    clock.follow()
    assert (clock.utc_s(), clock.set_by_s) == (START_S + 10, 0.0)
    machine.utc_s += HOUR_S
    for _ in range(5):
        machine.wait(2)
        clock.follow()
    assert clock.utc_s() == pytest.approx(machine.utc_s)
    assert clock.set_by_s == pytest.approx(HOUR_S)
    assert caplog.text.count("was set forward by 3600.0 s") == 1


def test_a_clock_that_is_set_back_does_not_make_times_fall_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.utc_s -= HOUR_S
    for _ in range(5):
        machine.wait(2)
        clock.follow()
    assert clock.utc_s() == START_S + 10
    assert clock.ahead_s == pytest.approx(HOUR_S)
    assert caplog.text.count("was set back by 3600.0 s") == 1
    machine.utc_s += HOUR_S / 2
    machine.wait(2)
    clock.follow()
    assert caplog.text.count("was set back by 1800.0 s since the start") == 1
    machine.utc_s += HOUR_S / 2
    machine.wait(2)
    clock.follow()
    assert (clock.ahead_s, clock.set_by_s) == (0.0, 0.0)


def test_small_corrections_are_ignored() -> None:
    machine = Machine()
    clock = machine.clock()
    for step_s in (0.4, -0.8, 0.9):
        machine.utc_s += step_s
        machine.wait(2)
        clock.follow()
    assert (clock.utc_s(), clock.set_by_s, clock.ahead_s) == (START_S + 6, 0.0, 0.0)


def test_a_clock_before_2020_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Machine(utc_s=100.0).clock()
    assert "before 2020" in caplog.text


@pytest.mark.parametrize("wall_offset_s", [None, 0.0])
def test_frames_are_not_late_by_the_step_and_a_right_camera_is_no_longer_corrected(
    wall_offset_s: float | None,
) -> None:
    """The machine starts an hour slow; the camera knows the time all along."""
    machine = Machine(utc_s=START_S - HOUR_S)
    clock, camera = machine.clock(), CaptureClock(0.5)
    true_s = START_S
    sources, late_s, errors_s = [], [], []
    for index in range(200):
        machine.wait(0.1)
        true_s += 0.1
        if index == 100:
            machine.utc_s = true_s
            machine.monotonic_s += 1e-6
        clock.follow()
        wall_s = None if wall_offset_s is None else true_s + wall_offset_s
        captured = camera.stamp(index / 10, wall_s, clock.utc_s(), clock.set_by_s)
        sources.append(captured.source)
        late_s.append(captured.late_s)
        errors_s.append(captured.time_s - true_s)
    assert max(late_s) < 0.2
    assert np.abs(np.array(errors_s[:100]) + HOUR_S).max() < 0.2
    assert np.abs(errors_s[120:]).max() < 0.2
    if wall_offset_s is not None:
        assert sources[50] is TimestampSource.RTCP_CORRECTED
        assert set(sources[120:]) == {TimestampSource.RTCP}


def retention(folder: Path, now_s: float) -> Retention:
    settings = RetentionSettings(max_age_days=30.0, max_bytes=None, check_interval_s=60.0)
    return Retention(folder, "run", settings, lambda: now_s)


def segment(folder: Path, time_s: float, written_s: float) -> Path:
    path = folder / "traj-old-0001.csv"
    one = row(0)
    line = row_line(one._replace(row=one.row._replace(time_s=time_s)))
    path.write_text("header\n" + line)
    os.utime(path, (written_s, written_s))
    return path


@pytest.mark.parametrize(
    ("rows_s", "written_s"),
    [(1000.0, 1000.0), (1000.0, START_S - DAY_S), (START_S + 3000 * DAY_S, START_S + 3000 * DAY_S)],
    ids=["1970", "1970, written later", "future"],
)
def test_rows_of_a_wrong_clock_stay_for_the_retention_time_and_then_go(
    tmp_path: Path, rows_s: float, written_s: float
) -> None:
    path = segment(tmp_path, rows_s, written_s)
    retention(tmp_path, START_S).enforce()
    assert path.exists()
    retention(tmp_path, START_S + 28 * DAY_S).enforce()
    assert path.exists()
    retention(tmp_path, START_S + 31 * DAY_S).enforce()
    assert not path.exists()


def test_a_machine_without_a_clock_deletes_nothing(tmp_path: Path) -> None:
    path = segment(tmp_path, START_S, START_S)
    retention(tmp_path, 1000.0).enforce()
    assert path.exists()
    retention(tmp_path, START_S + DAY_S).enforce()
    assert path.exists()


def test_people_seen_in_the_future_are_forgotten_in_time() -> None:
    gallery = Gallery(
        camera_ids=("a",),
        next_id=3,
        global_id=np.array([1, 2]),
        class_id=np.zeros(2, np.int64),
        last_seen_s=np.array([[START_S + 3000 * DAY_S], [START_S - DAY_S]]),
        features=np.zeros((2, 1, 4), np.float32),
        has_feature=np.zeros((2, 1), np.bool_),
        feature_camera=np.zeros((2, 1), np.int64),
        centres=CentreState(np.zeros((1, 4), np.float32), np.zeros(1)),
        last_floor_s=np.zeros(2),
        last_floor_xy_m=np.zeros((2, 2)),
    )
    left = without_forgotten(gallery, START_S, HOUR_S)
    assert left.global_id.tolist() == [1]
    assert left.last_seen_s.max() == START_S
