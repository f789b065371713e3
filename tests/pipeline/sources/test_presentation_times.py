from __future__ import annotations

import pytest

from pipeline.sources.presentation_times import PresentationTimes


def times_of(stamps_s: list[float | None], period_s: float = 0.1) -> tuple[list[float], int]:
    times = PresentationTimes(period_s)
    after = [*stamps_s[1:], None]
    found = [times.time_s(stamp, lambda i=i: after[i]) for i, stamp in enumerate(stamps_s)]  # type: ignore[misc]
    return found, times.repaired


@pytest.mark.parametrize(
    ("stamps_s", "times_s", "repaired"),
    [
        pytest.param([0, 0.1, 0.25, 0.3], [0, 0.1, 0.25, 0.3], 0, id="true ones"),
        pytest.param([None, None, None], [0, 0.1, 0.2], 0, id="none at all"),
        pytest.param([0, 0.1, None, 0.3], [0, 0.1, 0.2, 0.3], 0, id="one missing"),
        pytest.param([0, 0.1, 0.1, 0.3], [0, 0.1, 0.2, 0.3], 0, id="one twice"),
        pytest.param([0, 0.1, 300, 300.1], [0, 0.1, 300, 300.1], 0, id="a gap"),
        pytest.param([0, 0.1, 300, 600, 900], [0, 0.1, 300, 600, 900], 0, id="many gaps"),
        pytest.param([0, 0.1, 300], [0, 0.1, 300], 0, id="a gap before the last frame"),
        pytest.param([0, 0.1, 1e9, 0.3, 0.4], [0, 0.1, 0.2, 0.3, 0.4], 1, id="one far ahead"),
        pytest.param([0, 0.1, 30, 0.3, 0.4], [0, 0.1, 0.2, 0.3, 0.4], 1, id="one ahead"),
        pytest.param([0, 0.1, 1e9], [0, 0.1, 0.2], 1, id="the last far ahead"),
        pytest.param([0, 0.1, 1e9, 1e9 + 0.1, 1e9 + 0.3], [0, 0.1, 0.2, 0.3, 0.5], 1, id="set ahead by years"),
        pytest.param([0, 5, 10, 1, 1.1, 1.3], [0, 5, 10, 10.1, 10.2, 10.4], 1, id="set back"),
        pytest.param([0, 5, 10, 0, 10.2, 10.3], [0, 5, 10, 10.1, 10.2, 10.3], 1, id="one behind"),
        pytest.param([0, -1e9, -1e9 + 0.1], [0, 0.1, 0.2], 1, id="the first is wrong"),
        pytest.param([0, 0.1, 1e9, 2e9, 0.4, 0.5], [0, 0.1, 0.2, 0.3, 0.4, 0.5], 3, id="two far ahead"),
    ],
)
def test_times(stamps_s: list[float | None], times_s: list[float], repaired: int) -> None:
    found, count = times_of(stamps_s)
    assert found == pytest.approx(times_s, abs=1e-6)
    assert count == repaired


def test_gaps_of_a_slow_recording_are_ordinary() -> None:
    assert times_of([0, 60, 120, 600, 660], period_s=60) == ([0, 60, 120, 600, 660], 0)
