"""Homographies of the CAMPUS views (Xu et al., CVPR 2016), from the positions of their cameras and the people in view.

The data set gives the positions and rough directions of its cameras, but calibrates only two of them. The others are
fitted to people that two views show at the same time. Both views must place their feet at the same floor position, and
their heights must be about that of a person.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from pipeline.core.errors import InputError
from pipeline.floor.fit_homography import apply_homography

Array = NDArray[np.float64]

PERSON_HEIGHT_M = 1.7
# Uncertainty of the first guess: focal length (log), azimuth and elevation (degrees).
_PRIOR_SIGMA = np.array([0.4, 8.0, 4.0])
_PRIOR_WEIGHT = 0.03
# First guesses of the focal length, in picture widths: horizontal angles of view of 90, 67 and 44 degrees.
_FOCAL_WIDTHS = (0.5, 0.75, 1.25)


@dataclass(frozen=True)
class CameraPose:
    """Position of a camera in metres (z up), and its direction in degrees: azimuth from the y axis towards -x, and
    elevation."""

    position_m: tuple[float, float, float]
    azimuth_deg: float
    elevation_deg: float


@dataclass(frozen=True, eq=False)
class Standing:
    """People in a view: (N, 2) float64 feet in px, and (N,) float64 heights of their boxes in px."""

    feet_px: Array
    height_px: Array


def read_poses(path: Path) -> dict[str, CameraPose]:
    """Read scene_metadata.xml: view -> pose.

    Raises:
        InputError: the file is missing, or has another format.
    """
    try:
        root = ElementTree.parse(path).getroot()
        poses = {}
        for view in root:
            x, y, z, azimuth, elevation = (
                float(view.findtext(key, "").strip())
                for key in (
                    "SensorPosition/CartesianMetricPoint/x",
                    "SensorPosition/CartesianMetricPoint/y",
                    "SensorPosition/CartesianMetricPoint/z",
                    "SensorOrientation/Azimuth",
                    "SensorOrientation/Elevation",
                )
            )
            poses[view.tag] = CameraPose((x, y, z), azimuth, elevation)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: cannot read positions and orientations of cameras ({error})") from error
    return poses


def projection(pose: CameraPose, focal_px: float, centre_px: tuple[float, float]) -> Array:
    """Return the projection (3, 4), from the world in metres to pixels, of a camera without roll and distortion."""
    azimuth, elevation = np.radians([pose.azimuth_deg, pose.elevation_deg])
    forward = np.array(
        [-np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    right = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    intrinsic = np.array([[focal_px, 0, centre_px[0]], [0, focal_px, centre_px[1]], [0, 0, 1]])
    return np.asarray(intrinsic @ np.column_stack([rotation, -rotation @ np.array(pose.position_m)]))


def to_floor(camera: Array) -> Array:
    """Return the homography (3, 3) from pixels to the floor z = 0 in metres, for a projection (3, 4)."""
    return np.asarray(np.linalg.inv(camera[:, [0, 1, 3]]))


def fit_pair(
    poses: tuple[CameraPose, CameraPose],
    size_wh: tuple[int, int],
    together: tuple[Standing, Standing],
    alone: tuple[Standing, Standing],
) -> tuple[Array, Array]:
    """Fit the homographies (3, 3), pixels to floor in metres, of two views that overlap.

    Focal lengths, azimuths and elevations are fitted; positions are fixed. The fit is robust least squares over three
    kinds of errors:

    - distance between the feet in one view and their position computed from the other view, relative to the box height
    - difference between the box height and the height of a person of 1.7 m, relative to the box height
    - distance from the first guess

    Args:
        size_wh: (width, height) of the pictures in px.
        together: people that both views show at the same time; row i of both is the same person.
        alone: people of each view, used for their heights.
    """
    centre_px = (size_wh[0] / 2, size_wh[1] / 2)
    sigma = np.tile(_PRIOR_SIGMA, 2)
    count = len(together[0].feet_px)

    def cameras(values: Array) -> tuple[Array, Array]:
        first, second = (
            projection(CameraPose(pose.position_m, azimuth, elevation), float(np.exp(log_focal)), centre_px)
            for pose, (log_focal, azimuth, elevation) in zip(poses, values.reshape(2, 3), strict=True)
        )
        return first, second

    def residuals(values: Array, guess: Array) -> Array:
        both = cameras(values)
        parts = []
        for here, there in ((0, 1), (1, 0)):
            floor = apply_homography(to_floor(both[here]), together[here].feet_px)
            seen = apply_homography(both[there][:, [0, 1, 3]], floor)
            off = (seen - together[there].feet_px) / together[there].height_px[:, None]
            parts.append(np.clip(off, -20, 20).ravel())
        for camera, people in zip(both, alone, strict=True):
            floor = apply_homography(to_floor(camera), people.feet_px)
            head = np.column_stack([floor, np.full(len(floor), PERSON_HEIGHT_M), np.ones(len(floor))]) @ camera.T
            tall = people.feet_px[:, 1] - head[:, 1] / head[:, 2]
            weight = np.sqrt(count / len(floor))
            parts.append(weight * np.clip(tall / people.height_px - 1, -5, 5))
        parts.append(_PRIOR_WEIGHT * np.sqrt(count) * (values - guess) / sigma)
        return np.concatenate(parts)

    fits = []
    for widths in itertools.product(_FOCAL_WIDTHS, repeat=2):
        guess = np.concatenate(
            [
                [np.log(share * size_wh[0]), pose.azimuth_deg, pose.elevation_deg]
                for share, pose in zip(widths, poses, strict=True)
            ]
        )
        fits.append(
            least_squares(
                residuals,
                guess,
                args=(guess,),
                loss="soft_l1",
                f_scale=0.1,
                x_scale=np.tile([0.1, 1.0, 1.0], 2),
                max_nfev=200,
            )
        )
    first, second = cameras(min(fits, key=lambda fit: float(fit.cost)).x)
    return to_floor(first), to_floor(second)


def disagreement_m(
    homographies: Mapping[str, Array], views: tuple[str, str], together: tuple[Standing, Standing]
) -> Array:
    """Return (N,) float64, the distances in metres between the floor positions of the same people in two views."""
    first, second = (
        apply_homography(homographies[view], people.feet_px) for view, people in zip(views, together, strict=True)
    )
    return np.asarray(np.linalg.norm(first - second, axis=1))
