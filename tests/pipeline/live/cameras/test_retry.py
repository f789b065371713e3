from __future__ import annotations

import random

import pytest

from pipeline.live.cameras.problem import Reason
from pipeline.live.cameras.retry import RetrySchedule, RetryTimes

TIMES = RetryTimes(min_s=0.25, max_s=2.0, denied_s=60.0)


def schedule() -> RetrySchedule:
    return RetrySchedule(TIMES, random.Random(1))


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.DENIED])
@pytest.mark.parametrize("worked", [True, False])
def test_a_camera_is_tried_at_most_3_s_apart(reason: Reason, worked: bool) -> None:
    """Whatever the reason, whether it has worked before or not (after a restart of the program none has), and also if
    every attempt takes the 3 s that connecting may take."""
    for took_s in (0.0, 3.0):
        retry = schedule()
        if worked:
            retry.succeeded(0.5)
        gaps = [took_s + retry.wait_s(reason, took_s) for _ in range(100)]
        assert max(gaps) <= 3.25
        assert min(gaps) >= 0.2


def test_waits_grow_from_the_shortest_to_the_longest() -> None:
    retry = schedule()
    waits_s = [retry.wait_s(Reason.REFUSED, 0.0) for _ in range(20)]
    assert waits_s[0] == pytest.approx(0.25, abs=0.01)
    assert 1.6 <= waits_s[-1] <= 2.0


def test_a_wrong_password_is_tried_rarely() -> None:
    retry = schedule()
    retry.succeeded(100.0)
    waits_s = [retry.wait_s(Reason.DENIED, 0.0) for _ in range(10)]
    assert waits_s[0] >= 1.6
    assert waits_s[1] > 6
    assert 48 <= waits_s[-1] <= 60


def test_steps_start_over_only_after_a_stable_connection() -> None:
    retry = schedule()
    for _ in range(10):
        retry.wait_s(Reason.ENDED, 0.0)
    retry.succeeded(1.0)
    assert retry.wait_s(Reason.ENDED, 0.0) > 1.5
    retry.succeeded(11.0)
    assert retry.wait_s(Reason.ENDED, 0.0) <= 0.25
