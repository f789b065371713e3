"""Reads the homography of a calibrated camera from files that calibration programs write."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.files.number_text import parse_number

Array = NDArray[np.float64]

# Names of the coefficients in files of OpenCV and related programs, and how many there can be.
_DISTORTION_NAMES = ("distortion_coefficients", "dist_coeffs", "D")
_DISTORTION_COUNTS = (4, 5, 8, 12, 14)
_log = logging.getLogger(__name__)


def read_camera(path: Path) -> Array:
    """Return the (3, 3) homography of a calibrated camera, from pixels to the plane z = 0 of its world in metres.

    A homography cannot represent lens distortion; distortion that moves the image corner by a pixel or more is logged
    as a warning.

    - .yml, .yaml, .json or .xml as OpenCV's FileStorage writes them: camera_matrix, and either rvec and tvec, or R
      and T, world to camera, in metres.
    - .xml as in PETS 2009: Tsai's parameters, world in millimetres.

    Raises:
        InputError: the file has neither format, a parameter is missing or wrong, or the camera looks along the floor.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.suffix.lower() == ".xml":
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            raise InputError(f"{path}: is not valid XML ({error})") from error
        if root.find(".//Intrinsic") is not None:
            return _tsai(path, root)
    return _opencv(path)


def _tsai(path: Path, root: ElementTree.Element) -> Array:
    """R. Tsai, IEEE J. Robotics and Automation 1987, eq. 4 and 5 to 8, with the attribute names of PETS 2009."""
    geometry, inner, outer = root.find(".//Geometry"), root.find(".//Intrinsic"), root.find(".//Extrinsic")
    if geometry is None or inner is None or outer is None:
        raise InputError(f"{path}: Tsai's parameters need the elements Geometry, Intrinsic and Extrinsic")

    def value(element: ElementTree.Element, name: str) -> float:
        return parse_number(path, None, name, element.get(name))

    dpx, dpy = value(geometry, "dpx"), value(geometry, "dpy")
    focal, sx = value(inner, "focal"), value(inner, "sx")
    camera = np.array(
        [[focal * sx / dpx, 0, value(inner, "cx")], [0, focal / dpy, value(inner, "cy")], [0, 0, 1.0]]
    )
    if inner.get("kappa1") is not None:
        # Distance of the image's first corner from the principal point, in millimetres on the sensor.
        radius = float(np.hypot(value(inner, "cx") * dpx / sx, value(inner, "cy") * dpy))
        kappa1 = value(inner, "kappa1")
        _tell_distortion(path, f"kappa1 = {kappa1:g}", abs(kappa1) * radius**3 / dpy)
    rx, ry, rz = (value(outer, name) for name in ("rx", "ry", "rz"))
    translation = np.array([value(outer, name) for name in ("tx", "ty", "tz")]) / 1000
    rotation = _about(2, rz) @ _about(1, ry) @ _about(0, rx)
    return _plane_homography(path, camera, rotation, translation)


def _about(axis: int, angle: float) -> Array:
    vector = np.zeros(3)
    vector[axis] = angle
    return np.asarray(cv2.Rodrigues(vector)[0], np.float64)


def _opencv(path: Path) -> Array:
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        found: dict[str, Any] = {
            name: storage.getNode(name).mat()
            for name in ("camera_matrix", "rvec", "tvec", "R", "T", *_DISTORTION_NAMES)
        }
        storage.release()
        rotation = found["R"]
        if rotation is None and found["rvec"] is not None:
            rotation = cv2.Rodrigues(found["rvec"])[0]
    except (cv2.error, SystemError) as error:  # in a constructor, OpenCV's error becomes a SystemError
        raise InputError(
            f"{path}: OpenCV cannot read it ({getattr(error, 'err', 'no YAML, JSON or XML')})"
        ) from error
    translation = found["T"] if found["tvec"] is None else found["tvec"]
    for what, part in (
        ("camera_matrix", found["camera_matrix"]),
        ("R or rvec", rotation),
        ("T or tvec", translation),
    ):
        if part is None:
            raise InputError(f"{path}: has no {what}; neither OpenCV's parameters nor Tsai's")
    for what, part in (("camera_matrix", found["camera_matrix"]), ("R or rvec", rotation)):
        if part.shape != (3, 3):
            raise InputError(f"{path}: {what} is {part.shape}, but must be (3, 3)")
    if np.size(translation) != 3:
        raise InputError(f"{path}: T or tvec has {np.size(translation)} values, but must have 3")
    for name in _DISTORTION_NAMES:
        if found[name] is not None:
            _check_distortion(path, name, np.asarray(found[name], np.float64).ravel(), found["camera_matrix"])
    return _plane_homography(path, found["camera_matrix"], rotation, np.asarray(translation).ravel())


def _check_distortion(path: Path, name: str, coefficients: Array, camera: Array) -> None:
    if len(coefficients) not in _DISTORTION_COUNTS:
        raise InputError(
            f"{path}: {name} has {len(coefficients)} values, but must have one of "
            f"{', '.join(map(str, _DISTORTION_COUNTS))}"
        )
    straight = cv2.undistortPoints(np.zeros((1, 1, 2)), np.asarray(camera, np.float64), coefficients, P=camera)
    values = ", ".join(f"{value:g}" for value in coefficients)
    _tell_distortion(path, f"{name} = [{values}]", float(np.linalg.norm(straight)))


def _tell_distortion(path: Path, what: str, corner_px: float) -> None:
    if not corner_px < 1:  # also if it is not finite
        _log.warning(
            "%s: the lens distortion %s, %.0f px at a corner of the image, is ignored: floor positions will be wrong "
            "towards the borders. Undistort the recording, or give --pairs of points on the floor",
            path,
            what,
            corner_px,
        )


def _plane_homography(path: Path, camera: Array, rotation: Array, translation: Array) -> Array:
    """Return the homography of the plane z = 0, from columns 1 and 2 of the rotation and the translation."""
    to_image = np.asarray(camera, np.float64) @ np.column_stack([rotation[:, 0], rotation[:, 1], translation])
    if abs(np.linalg.det(to_image / np.linalg.norm(to_image, axis=0))) < 1e-12:
        raise InputError(f"{path}: the camera looks along the floor, which is then a line in its image")
    matrix = np.linalg.inv(to_image)
    return np.asarray(matrix / np.linalg.norm(matrix))
