"""Kalman filter for boxes, for all tracks of a camera at once, with time in seconds.

The four box values (centre x, centre y, width, height) move independently with nearly constant velocity and
white-noise acceleration (Bar-Shalom, Li & Kirubarajan 2001, section 6.2.2). The noise of the continuous model
grows with the elapsed time, so 1 and 30 frames per second behave alike. Every standard deviation is in box
heights, because a near person moves by more pixels than a far one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Width and height of a walking person change less than the position does.
_SIZE_TO_POSITION_NOISE = 0.3
_INITIAL_VELOCITY_STD_HEIGHTS_PER_S = 1.0


class KalmanFilter:
    """Predicts and corrects the states of T boxes.

    A state has a `mean` (T, 4, 2), the value and velocity of each of cx, cy, w, h in px and px/s, and a `covariance`
    (T, 4, 3), the variance of the value, the covariance of both, and the variance of the velocity.

    Args:
        process_noise: square root of the spectral density of the acceleration, box heights / s^1.5.
        measurement_noise: standard deviation of a measured value, box heights.
    """

    def __init__(self, *, process_noise: float, measurement_noise: float) -> None:
        self._process = process_noise * np.array([1.0, 1.0, _SIZE_TO_POSITION_NOISE, _SIZE_TO_POSITION_NOISE])
        self._measurement = measurement_noise

    def start(self, cxcywh: Array) -> tuple[Array, Array]:
        """Return the states of T newly measured boxes (T, 4), at rest."""
        mean = np.stack([cxcywh, np.zeros_like(cxcywh)], axis=-1)
        height = cxcywh[:, 3:4]
        covariance = np.zeros((*cxcywh.shape, 3))
        covariance[..., 0] = (self._measurement * height) ** 2
        covariance[..., 2] = (_INITIAL_VELOCITY_STD_HEIGHTS_PER_S * height) ** 2
        return mean, covariance

    def predict(self, mean: Array, covariance: Array, elapsed_s: Array) -> tuple[Array, Array]:
        """Return the states after `elapsed_s` (T,) seconds."""
        dt = elapsed_s[:, None]
        moved = mean.copy()
        moved[..., 0] += dt * mean[..., 1]
        # A shrinking box must keep a positive size.
        moved[:, 2:, 0] = np.maximum(moved[:, 2:, 0], 1.0)
        density = (self._process * np.maximum(mean[:, 3:4, 0], 1.0)) ** 2
        value, cross, velocity = covariance[..., 0], covariance[..., 1], covariance[..., 2]
        grown = np.empty_like(covariance)
        grown[..., 0] = value + 2 * dt * cross + dt**2 * velocity + density * dt**3 / 3
        grown[..., 1] = cross + dt * velocity + density * dt**2 / 2
        grown[..., 2] = velocity + density * dt
        return moved, grown

    def update(self, mean: Array, covariance: Array, cxcywh: Array) -> tuple[Array, Array]:
        """Return the states after measuring the boxes (T, 4)."""
        value, cross, velocity = covariance[..., 0], covariance[..., 1], covariance[..., 2]
        noise = (self._measurement * np.maximum(cxcywh[:, 3:4], 1.0)) ** 2
        gain_value = value / (value + noise)
        gain_velocity = cross / (value + noise)
        innovation = cxcywh - mean[..., 0]
        corrected = mean.copy()
        corrected[..., 0] += gain_value * innovation
        corrected[..., 1] += gain_velocity * innovation
        remaining = np.empty_like(covariance)
        remaining[..., 0] = (1 - gain_value) * value
        remaining[..., 1] = (1 - gain_value) * cross
        remaining[..., 2] = velocity - gain_velocity * cross
        return corrected, remaining
