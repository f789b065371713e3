"""Where a track was on the floor."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cross_camera.floor_path import FloorPath, slot_of


def test_a_path_averages_the_positions_of_a_slot() -> None:
    path = FloorPath(10)
    for time_s, x in ((0.0, 1.0), (0.1, 3.0), (0.25, 10.0), (1.0, 20.0)):
        path.add(time_s, (x, -x))
    assert path.slots.tolist() == [0, 1, 4]
    assert path.xy_m.tolist() == [[2, -2], [10, -10], [20, -20]]


def test_slots_before_second_zero() -> None:
    assert [slot_of(time_s) for time_s in (-0.3, -0.1, 0.0, 0.26)] == [-2, -1, 0, 1]


def test_an_empty_path() -> None:
    path = FloorPath(10)
    assert path.slots.shape == (0,)
    assert path.xy_m.shape == (0, 2)


@settings(max_examples=50)
@given(
    st.integers(0, 8),
    st.integers(0, 8),
    st.sampled_from([0.04, 0.25, 0.5, 1.0]),
    st.integers(130, 800),
)
def test_long_paths_keep_slots_in_common_whenever_they_began(
    first: int, second: int, period_s: float, count: int
) -> None:
    paths = []
    for start in (first, second):
        path = FloorPath(64)
        for index in range(start, count):
            path.add(index * period_s, (index * period_s, 0.0))
        paths.append(path)
        assert len(path) <= 64
        assert path.slots.tolist() == sorted(set(path.slots.tolist()))
        # It spans the whole time still, up to one gap of the thinned part.
        slots_in_all = slot_of((count - 1) * period_s) - slot_of(start * period_s)
        assert path.slots[-1] - path.slots[0] >= 0.9 * slots_in_all
    shared = set(paths[0].slots.tolist()) & set(paths[1].slots.tolist())
    assert len(shared) >= 0.6 * min(len(path) for path in paths)
