"""Pinhole cameras without lens distortion, and the homography between an image and the floor.

World frame: metres, right-handed; the floor is the plane z = 0 with axes x and y, z points up.
Image frame: pixels, u to the right, v down; (0, 0) is the top left corner of the top left pixel, whose centre is
(0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Position, direction and image properties of a camera.

    Attributes:
        name: also the base name of its files.
        position_m, look_at_m: (x, y, z) in metres; the camera is not rolled.
        horizontal_fov_deg: full horizontal field of view.
        exposure: factor on the linear light.
        white_balance: gains of red, green, blue; the colour cast.
        saturation: 1 does not change the colours.
        noise: standard deviation of sensor noise in grey levels of 0..255, at mid grey.
        blur_px: standard deviation of the lens blur at a width of 640 pixels.
        vignette: darkening in the corners, 0..1.
    """

    name: str
    position_m: tuple[float, float, float]
    look_at_m: tuple[float, float, float]
    horizontal_fov_deg: float = 62.0
    exposure: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    noise: float = 2.0
    blur_px: float = 0.5
    vignette: float = 0.25

    def focal_px(self, size_wh: tuple[int, int]) -> float:
        """Return the focal length in pixels for an image of `size_wh`."""
        return size_wh[0] / 2 / math.tan(math.radians(self.horizontal_fov_deg) / 2)

    def rotation(self) -> Array:
        """Return the (3, 3) rotation, whose rows are the camera's right, down and forward axes in the world."""
        position, target = np.array(self.position_m), np.array(self.look_at_m)
        forward = (target - position) / np.linalg.norm(target - position)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    def intrinsics(self, size_wh: tuple[int, int]) -> Array:
        """Return the (3, 3) camera matrix with the principal point in the middle of the image."""
        focal = self.focal_px(size_wh)
        return np.array([[focal, 0, size_wh[0] / 2], [0, focal, size_wh[1] / 2], [0, 0, 1]])

    def project(self, points_m: Array, size_wh: tuple[int, int]) -> tuple[Array, Array]:
        """Project world points (N, 3) in metres to pixels (N, 2) and depth along the optical axis (N,) in metres.

        A point with depth <= 0 is behind the camera, and its pixel has no meaning.
        """
        in_camera = (np.asarray(points_m, np.float64) - np.array(self.position_m)) @ self.rotation().T
        depth = in_camera[:, 2]
        homogeneous = in_camera @ self.intrinsics(size_wh).T
        return homogeneous[:, :2] / np.where(depth == 0, np.finfo(float).tiny, depth)[:, None], depth

    def floor_to_image(self, size_wh: tuple[int, int]) -> Array:
        """Return the (3, 3) homography from floor (x, y, 1) in metres to image (u, v, 1) in pixels.

        Its third output before division is the depth along the optical axis in metres, positive in front.
        """
        rotation = self.rotation()
        translation = -rotation @ np.array(self.position_m)
        extrinsics = np.column_stack([rotation[:, 0], rotation[:, 1], translation])
        return np.asarray(self.intrinsics(size_wh) @ extrinsics)

    def image_to_floor(self, size_wh: tuple[int, int]) -> Array:
        """Return the (3, 3) homography from image (u, v, 1) in pixels to floor (x, y, 1) in metres; valid below the
        horizon only."""
        homography = np.linalg.inv(self.floor_to_image(size_wh))
        return np.asarray(homography / np.abs(homography).max())

    def pixel_rays(self, size_wh: tuple[int, int], supersampling: int = 1) -> Array:
        """Return unit directions (H * s, W * s, 3) in the world, through the centres of s x s parts of each pixel."""
        width, height = size_wh
        u = (np.arange(width * supersampling) + 0.5) / supersampling
        v = (np.arange(height * supersampling) + 0.5) / supersampling
        focal = self.focal_px(size_wh)
        in_camera = np.empty((len(v), len(u), 3))
        in_camera[..., 0] = (u[None, :] - width / 2) / focal
        in_camera[..., 1] = (v[:, None] - height / 2) / focal
        in_camera[..., 2] = 1
        rays = in_camera @ self.rotation()
        return np.asarray(rays / np.linalg.norm(rays, axis=2, keepdims=True), np.float64)


def apply_homography(homography: Array, points: Array) -> Array:
    """Map points (N, 2) with a (3, 3) homography, to (N, 2)."""
    points = np.asarray(points, np.float64)
    mapped = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:])
