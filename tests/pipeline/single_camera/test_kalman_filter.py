from __future__ import annotations

import numpy as np
import pytest

from pipeline.single_camera.kalman_filter import KalmanFilter

VELOCITY_PX_S = 80.0


@pytest.fixture
def kalman() -> KalmanFilter:
    return KalmanFilter(process_noise=0.7, measurement_noise=0.05)


def walk(kalman: KalmanFilter, frame_rate: float, duration_s: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """The state after following a box of 40 x 100 px that moves 80 px/s to the right."""
    mean, covariance = kalman.start(np.array([[100.0, 200.0, 40.0, 100.0]]))
    for frame in range(1, round(duration_s * frame_rate) + 1):
        mean, covariance = kalman.predict(mean, covariance, np.array([1 / frame_rate]))
        x = 100 + VELOCITY_PX_S * frame / frame_rate
        mean, covariance = kalman.update(mean, covariance, np.array([[x, 200.0, 40.0, 100.0]]))
    return mean, covariance


def test_a_new_box_is_at_rest_and_as_sure_as_a_measurement(kalman: KalmanFilter) -> None:
    mean, covariance = kalman.start(np.array([[100.0, 200.0, 40.0, 100.0]]))
    assert mean.tolist() == [[[100, 0], [200, 0], [40, 0], [100, 0]]]
    # 0.05 and 1.0 of the height of 100 px, squared; no correlation.
    assert covariance == pytest.approx(np.tile([25.0, 0.0, 10_000.0], (1, 4, 1)))


def test_prediction_by_hand(kalman: KalmanFilter) -> None:
    mean = np.array([[[100.0, 10.0], [200.0, -4.0], [40.0, 0.0], [100.0, 0.0]]])
    covariance = np.tile([25.0, 3.0, 16.0], (1, 4, 1))
    moved, grown = kalman.predict(mean, covariance, np.array([0.5]))
    assert moved[0, :, 0].tolist() == [105, 198, 40, 100]
    density = (0.7 * 100) ** 2
    value = 25 + 2 * 0.5 * 3 + 0.25 * 16 + density * 0.125 / 3
    assert grown[0, 0] == pytest.approx([value, 3 + 0.5 * 16 + density * 0.125, 16 + density * 0.5])
    # Sizes change less: 0.3 of the noise, 0.09 of its square.
    assert grown[0, 3, 2] == pytest.approx(16 + 0.09 * density * 0.5)


def test_update_by_hand(kalman: KalmanFilter) -> None:
    mean = np.array([[[100.0, 10.0], [200.0, 0.0], [40.0, 0.0], [100.0, 0.0]]])
    covariance = np.tile([75.0, 30.0, 50.0], (1, 4, 1))
    # Measurement noise 5 px, so the gain is 75 / (75 + 25) for the value and 30 / 100 for the velocity.
    corrected, remaining = kalman.update(mean, covariance, np.array([[108.0, 200.0, 40.0, 100.0]]))
    assert corrected[0, 0] == pytest.approx([106.0, 12.4])
    assert remaining[0, 0] == pytest.approx([18.75, 7.5, 41.0])


@pytest.mark.parametrize("frame_rate", [1, 5, 30])
def test_the_velocity_of_a_steady_walk_is_found(kalman: KalmanFilter, frame_rate: float) -> None:
    mean, _ = walk(kalman, frame_rate)
    assert mean[0, 0, 0] == pytest.approx(100 + 20 * VELOCITY_PX_S, abs=0.5)
    assert mean[0, :, 1] == pytest.approx([VELOCITY_PX_S, 0, 0, 0], abs=0.5)


def test_1_and_30_frames_per_second_give_similar_states(kalman: KalmanFilter) -> None:
    slow, slow_covariance = walk(kalman, 1)
    fast, fast_covariance = walk(kalman, 30)
    assert fast[0] == pytest.approx(slow[0], abs=0.5)
    # Thirty times the measurements make the state surer, but not by an order of magnitude; counting frames in place
    # of seconds would change the variance of the velocity by a factor of 900.
    ratio = slow_covariance[0, 0] / fast_covariance[0, 0]
    assert ((ratio > 1 / 8) & (ratio < 8)).all()


def test_one_step_of_a_second_is_the_same_as_thirty_steps(kalman: KalmanFilter) -> None:
    mean = np.array([[[100.0, 30.0], [200.0, -10.0], [40.0, 0.0], [100.0, 0.0]]])
    covariance = np.tile([25.0, 3.0, 16.0], (1, 4, 1))
    once = kalman.predict(mean, covariance, np.array([1.0]))
    many = mean, covariance
    for _ in range(30):
        many = kalman.predict(*many, np.array([1 / 30]))
    assert many[0] == pytest.approx(once[0])
    assert many[1] == pytest.approx(once[1])


def test_tracks_do_not_touch_each_other(kalman: KalmanFilter) -> None:
    boxes = np.array([[100.0, 200.0, 40.0, 100.0], [500.0, 50.0, 10.0, 30.0]])
    elapsed_s = np.array([0.1, 2.0])
    together = kalman.predict(*kalman.start(boxes), elapsed_s)
    for row in range(2):
        alone = kalman.predict(*kalman.start(boxes[row : row + 1]), elapsed_s[row : row + 1])
        assert together[0][row] == pytest.approx(alone[0][0])
        assert together[1][row] == pytest.approx(alone[1][0])


def test_a_shrinking_box_keeps_a_size(kalman: KalmanFilter) -> None:
    mean = np.array([[[100.0, 0.0], [200.0, 0.0], [40.0, -60.0], [100.0, -300.0]]])
    moved, grown = kalman.predict(mean, np.tile([25.0, 3.0, 16.0], (1, 4, 1)), np.array([1.0]))
    assert moved[0, 2:, 0].tolist() == [1.0, 1.0]
    assert (grown > 0).all()


def test_no_tracks(kalman: KalmanFilter) -> None:
    mean, covariance = kalman.start(np.zeros((0, 4)))
    mean, covariance = kalman.predict(mean, covariance, np.zeros(0))
    mean, covariance = kalman.update(mean, covariance, np.zeros((0, 4)))
    assert mean.shape == (0, 4, 2)
    assert covariance.shape == (0, 4, 3)
