import numpy as np
import pytest

from demo.hall import build_hall
from demo.paths import Trajectory, Walk, is_clear, random_walk


def test_a_straight_walk_by_hand() -> None:
    trajectory = Trajectory.of(Walk(((0.0, 0.0), (6.0, 8.0)), start_s=2.0, speed_m_s=2.5))
    assert trajectory.end_s == pytest.approx(6.0)  # 10 m at 2.5 m/s
    assert trajectory.walked_m(1.9) is None
    assert trajectory.walked_m(6.1) is None
    walked = trajectory.walked_m(4.0)
    assert walked == pytest.approx(5.0)
    assert trajectory.position_m(5.0) == pytest.approx((3.0, 4.0))
    assert trajectory.heading(5.0) == pytest.approx((0.6, 0.8))


def test_corners_are_rounded_inside_the_corner_and_ends_are_kept() -> None:
    trajectory = Trajectory.of(Walk(((0.0, 0.0), (4.0, 0.0), (4.0, 4.0)), 0.0, 1.0))
    assert trajectory.points_m[0] == pytest.approx((0, 0))
    assert trajectory.points_m[-1] == pytest.approx((4, 4))
    # shorter than the corner's 8 m, longer than the diagonal's 5.66 m
    assert 5.7 < trajectory.along_m[-1] < 7.9
    assert np.all(np.diff(trajectory.points_m, axis=0) >= 0)


def test_furniture_blocks_a_line() -> None:
    hall = build_hall(0)
    assert not is_clear(hall, (6.0, 1.2), (10.0, 1.2))  # through the reception desk
    assert is_clear(hall, (6.0, 4.0), (10.0, 4.0))


@pytest.mark.parametrize("seed", range(6))
def test_random_walks_are_on_foot_during_the_scene_and_repeatable(seed: int) -> None:
    hall = build_hall(0)
    first, again = (random_walk(np.random.default_rng(seed), hall, 20.0, (1.0, 1.5)) for _ in range(2))
    assert first == again
    trajectory = Trajectory.of(first)
    assert any(trajectory.walked_m(time_s) is not None for time_s in np.arange(0, 20, 0.5))
    assert 1.0 <= first.speed_m_s <= 1.5
