"""Light on the floor of the hall."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.hall import CEILING_M, FLOOR_MAX_M, FLOOR_MIN_M, Hall, solid_boxes
from demo.rays import blocked

Array = NDArray[np.float32]

LIGHT_CELL_M = 0.125
AMBIENT = 0.30
LAMP_POWER = 1.15


@dataclass(frozen=True, eq=False)
class LightMap:
    """Light on the floor: (rows, columns) float32, cells of LIGHT_CELL_M, first cell at FLOOR_MIN_M."""

    light: Array

    def at(self, x_m: Array, y_m: Array) -> Array:
        """Interpolate bilinearly at floor positions; `x_m` and `y_m` have the same shape."""
        map_x = ((np.asarray(x_m) - FLOOR_MIN_M[0]) / LIGHT_CELL_M - 0.5).astype(np.float32)
        map_y = ((np.asarray(y_m) - FLOOR_MIN_M[1]) / LIGHT_CELL_M - 0.5).astype(np.float32)
        flat_x, flat_y = map_x.reshape(-1), map_y.reshape(-1)
        columns = np.clip(flat_x, 0, self.light.shape[1] - 1.001)
        rows = np.clip(flat_y, 0, self.light.shape[0] - 1.001)
        c, r = columns.astype(np.int64), rows.astype(np.int64)
        fc, fr = columns - c, rows - r
        light = self.light
        value = (light[r, c] * (1 - fc) + light[r, c + 1] * fc) * (1 - fr) + (
            light[r + 1, c] * (1 - fc) + light[r + 1, c + 1] * fc
        ) * fr
        looked_up: Array = value.reshape(map_x.shape).astype(np.float32)
        return looked_up


def light_map(hall: Hall) -> LightMap:
    """Compute the light of lamps and surroundings on the floor, with soft shadows of walls and furniture."""
    columns = round((FLOOR_MAX_M[0] - FLOOR_MIN_M[0]) / LIGHT_CELL_M)
    rows = round((FLOOR_MAX_M[1] - FLOOR_MIN_M[1]) / LIGHT_CELL_M)
    x = FLOOR_MIN_M[0] + (np.arange(columns) + 0.5) * LIGHT_CELL_M
    y = FLOOR_MIN_M[1] + (np.arange(rows) + 0.5) * LIGHT_CELL_M
    points = np.stack([*np.meshgrid(x, y), np.full((rows, columns), 0.02)], axis=-1).reshape(-1, 3)
    points = points.astype(np.float32)
    low, high = solid_boxes(hall)
    total = np.full(len(points), AMBIENT, np.float32)
    reach_m = 6.0
    for lamp in hall.lamps:
        for share in (0.17, 0.5, 0.83):
            source = np.array(lamp.low_m) * (1 - share) + np.array(lamp.high_m) * share
            source[2] = CEILING_M
            near = np.hypot(points[:, 0] - source[0], points[:, 1] - source[1]) < reach_m
            gap = np.maximum(low[:, :2] - source[:2], source[:2] - high[:, :2]).clip(0)
            within = np.hypot(gap[:, 0], gap[:, 1]) < reach_m
            towards = (source - points[near]).astype(np.float32)
            length = np.linalg.norm(towards, axis=1)
            open_sky = ~blocked(points[near], towards, low[within], high[within])
            cosine = towards[:, 2] / length
            total[near] += open_sky * LAMP_POWER * cosine**2 / length**2
    light = cv2.GaussianBlur(total.reshape(rows, columns), (0, 0), 1.2)
    return LightMap(light.astype(np.float32))
