"""Reads the homography of a calibrated camera from files that calibration programs write."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.files.number_text import parse_number

Array = NDArray[np.float64]

# Names of the coefficients in files of OpenCV and related programs, and how many there can be.
_DISTORTION_NAMES = ("distortion_coefficients", "dist_coeffs", "D")
_DISTORTION_COUNTS = (4, 5, 8, 12, 14)
WorldUnit = Literal["m", "cm", "mm"]
_METRES: dict[WorldUnit, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}
# Heights of cameras above the floor that need no warning; with another unit, the same camera is outside.
_LEAST_HEIGHT_M, _MOST_HEIGHT_M = 0.5, 49.0
_log = logging.getLogger(__name__)


def read_camera(*paths: Path, world_unit: WorldUnit | None = None) -> Array:
    """Return the (3, 3) homography of a calibrated camera, from pixels to the plane z = 0 of its world in metres.

    A homography cannot represent lens distortion; distortion that moves the image corner by a pixel or more is logged
    as a warning. So is a height of the camera above that plane that suggests another unit.

    - .yml, .yaml, .json or .xml as OpenCV's FileStorage writes them: camera_matrix; R or rvec, either of them a matrix
      or a vector; and T or tvec; world to camera. WILDTRACK and MultiviewX have two files for each camera, intr_*.xml
      and extr_*.xml.
    - .xml as in PETS 2009: Tsai's parameters.

    Args:
        paths: the file of the camera, or both if inner and outer parameters are in two; in any order.
        world_unit: unit of the world's coordinates; None is metres, or millimetres for Tsai's parameters.

    Raises:
        InputError: a file has neither format, a parameter is missing, wrong or in two files, or the camera looks along
            the floor.
    """
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
    label = " and ".join(str(path) for path in paths)
    roots = [_tsai_root(path) for path in paths]
    if len(paths) == 1 and roots[0] is not None:
        camera, rotation, translation = _tsai(paths[0], roots[0])
        unit = world_unit or "mm"
    elif any(root is not None for root in roots):
        raise InputError(f"{label}: Tsai's parameters are in one file; give it alone")
    else:
        camera, rotation, translation = _opencv(label, paths)
        unit = world_unit or "m"
    translation = translation * _METRES[unit]
    _tell_height(label, rotation, translation, unit)
    return _plane_homography(label, camera, rotation, translation)


def _tsai_root(path: Path) -> ElementTree.Element | None:
    """Return the content of an XML file with Tsai's parameters; None for another file."""
    if path.suffix.lower() != ".xml":
        return None
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: is not valid XML ({error})") from error
    return None if root.find(".//Intrinsic") is None else root


def _tell_height(label: str, rotation: Array, translation: Array, unit: WorldUnit) -> None:
    """Log a warning if the camera seems too far from the plane z = 0 for the unit to be right."""
    height_m = abs(float((rotation.T @ translation)[2]))
    if _LEAST_HEIGHT_M <= height_m <= _MOST_HEIGHT_M:
        return
    in_unit = height_m / _METRES[unit]
    others = [name for name in _METRES if _LEAST_HEIGHT_M <= in_unit * _METRES[name] <= _MOST_HEIGHT_M]
    _log.warning(
        "%s: the camera is %.4g m above the floor if the world is in %s%s. A wrong unit makes every distance wrong",
        label,
        height_m,
        unit,
        f"; give --world-unit {' or '.join(others)} if it is not" if others else "",
    )


def _tsai(path: Path, root: ElementTree.Element) -> tuple[Array, Array, Array]:
    """Return camera matrix (3, 3), rotation (3, 3) and translation (3,) in the unit of the world.

    R. Tsai, IEEE J. Robotics and Automation 1987, eq. 4 and 5 to 8, with the attribute names of PETS 2009.
    """
    geometry, inner, outer = root.find(".//Geometry"), root.find(".//Intrinsic"), root.find(".//Extrinsic")
    if geometry is None or inner is None or outer is None:
        raise InputError(f"{path}: Tsai's parameters need the elements Geometry, Intrinsic and Extrinsic")

    def value(element: ElementTree.Element, name: str) -> float:
        return parse_number(path, None, name, element.get(name))

    dpx, dpy = value(geometry, "dpx"), value(geometry, "dpy")
    focal, sx = value(inner, "focal"), value(inner, "sx")
    if 0 in (dpx, dpy, sx):
        raise InputError(f"{path}: dpx {dpx:g}, dpy {dpy:g} and sx {sx:g} must not be 0")
    camera = np.array(
        [[focal * sx / dpx, 0, value(inner, "cx")], [0, focal / dpy, value(inner, "cy")], [0, 0, 1.0]]
    )
    if inner.get("kappa1") is not None:
        # Distance of the image's first corner from the principal point, in millimetres on the sensor.
        radius = float(np.hypot(value(inner, "cx") * dpx / sx, value(inner, "cy") * dpy))
        kappa1 = value(inner, "kappa1")
        _tell_distortion(path, f"kappa1 = {kappa1:g}", abs(kappa1) * radius**3 / dpy)
    rx, ry, rz = (value(outer, name) for name in ("rx", "ry", "rz"))
    translation = np.array([value(outer, name) for name in ("tx", "ty", "tz")])
    return camera, _about(2, rz) @ _about(1, ry) @ _about(0, rx), translation


def _about(axis: int, angle: float) -> Array:
    vector = np.zeros(3)
    vector[axis] = angle
    return np.asarray(cv2.Rodrigues(vector)[0], np.float64)


def _opencv(label: str, paths: Sequence[Path]) -> tuple[Array, Array, Array]:
    """Return camera matrix (3, 3), rotation (3, 3) and translation (3,) in the unit of the world."""
    found: dict[str, tuple[Path, Array]] = {}
    for path in paths:
        for name, value in _parameters(path).items():
            if name in found:
                raise InputError(f"{path}: {name} is also in {found[name][0]}; give the two files of one camera")
            found[name] = (path, value)
    for what in ("camera_matrix", "R or rvec", "T or tvec"):
        if not any(name in found for name in what.split(" or ")):
            more = "; give the file that has it with another --camera" if len(paths) == 1 else ""
            raise InputError(f"{label}: has no {what}; neither OpenCV's parameters nor Tsai's{more}")
    path, camera = found["camera_matrix"]
    camera = _of_shape(path, "camera_matrix", camera, (3, 3))
    path, rotation = found["R"] if "R" in found else found["rvec"]
    if rotation.size == 3:  # an axis, of the length of the angle
        rotation = np.asarray(cv2.Rodrigues(rotation.ravel())[0], np.float64)
    rotation = _of_shape(path, "R or rvec", rotation, (3, 3))
    path, translation = found["tvec"] if "tvec" in found else found["T"]
    if translation.size != 3:
        raise InputError(f"{path}: T or tvec has {translation.size} values, but must have 3")
    for name in _DISTORTION_NAMES:
        if name in found:
            path, coefficients = found[name]
            _check_distortion(path, name, coefficients.ravel(), camera)
    return camera, rotation, translation.ravel()


def _parameters(path: Path) -> dict[str, Array]:
    """Return the parameters of a camera that are in a file of OpenCV's FileStorage, by name."""
    values = {}
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        for name in ("camera_matrix", "rvec", "tvec", "R", "T", *_DISTORTION_NAMES):
            value = _value(storage.getNode(name))
            if value is not None:
                values[name] = value
        storage.release()
    except (cv2.error, SystemError) as error:  # in a constructor, OpenCV's error becomes a SystemError
        raise InputError(
            f"{path}: OpenCV cannot read it ({getattr(error, 'err', 'no YAML, JSON or XML')})"
        ) from error
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise InputError(f"{path}: {name} is {value.ravel().tolist()}, but must be finite numbers")
    return values


def _value(node: Any) -> Array | None:
    """Return a matrix of OpenCV, or a list of numbers (as in WILDTRACK) or of rows; None if there is none."""
    if node.empty():
        return None
    if not node.isSeq():
        return np.asarray(node.mat(), np.float64)
    items = [node.at(index) for index in range(node.size())]
    if any(item.isSeq() for item in items):
        rows = [[item.at(index).real() for index in range(item.size())] for item in items]
        whole = len({len(row) for row in rows}) == 1
        return np.array(rows if whole else [number for row in rows for number in row], np.float64)
    return np.array([item.real() for item in items], np.float64)


def _of_shape(path: Path, name: str, value: Array, shape: tuple[int, int]) -> Array:
    if value.ndim == 1 and value.size == shape[0] * shape[1]:
        return value.reshape(shape)
    if value.shape != shape:
        raise InputError(f"{path}: {name} is {value.shape}, but must be {shape}")
    return value


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


def _plane_homography(label: str, camera: Array, rotation: Array, translation: Array) -> Array:
    """Return the homography of the plane z = 0, from columns 1 and 2 of the rotation and the translation."""
    if np.linalg.matrix_rank(camera) < 3:
        raise InputError(
            f"{label}: the camera matrix {camera.tolist()} has no inverse; its focal lengths are not 0"
        )
    to_image = np.asarray(camera, np.float64) @ np.column_stack([rotation[:, 0], rotation[:, 1], translation])
    if abs(np.linalg.det(to_image / np.linalg.norm(to_image, axis=0))) < 1e-12:
        raise InputError(f"{label}: the camera looks along the floor, which is then a line in its image")
    matrix = np.linalg.inv(to_image)
    return np.asarray(matrix / np.linalg.norm(matrix))
