"""Matrices of cameras and lamps in OpenGL's conventions; y points up."""

from __future__ import annotations

import numpy as np

from demo.reid_crops.rasteriser import Floats


def look_at(eye: Floats, target: Floats) -> Floats:
    """Return the matrix (4, 4) from world to camera: x right, y up, z towards the viewer."""
    back = eye - target
    back = back / np.linalg.norm(back)
    up = np.array([0.0, 1.0, 0.0]) if abs(back[1]) < 0.999 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, back)
    right = right / np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(back, right), back])
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return matrix.astype(np.float32)


def window(left: float, right: float, bottom: float, top: float, near: float, far: float) -> Floats:
    """Return the perspective matrix of a part of the picture; edges are slopes, x / distance and y / distance."""
    return np.array(
        [
            [2 / (right - left), 0, (right + left) / (right - left), 0],
            [0, 2 / (top - bottom), (top + bottom) / (top - bottom), 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ],
        np.float32,
    )


def lamp(centre: Floats, to_sun: Floats, radius_m: float) -> Floats:
    """Return the matrix (4, 4) from world to the shadow texture, 0..1, for parallel light around `centre`."""
    view = look_at(centre + 20 * to_sun, centre)
    scale = np.diag([0.5 / radius_m, 0.5 / radius_m, -1 / 40, 1]).astype(np.float32)
    scale[:2, 3] = 0.5
    return np.asarray(scale @ view, np.float32)
