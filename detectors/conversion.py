"""The OpenVINO network of a .pt checkpoint, made once in a process of its own and cached.

Nothing here needs torch: the process that converts does.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from detectors.weights import sha256
from pipeline.core.errors import InputError
from pipeline.core.export_cache import cached_export
from pipeline.core.own_process import run_module

#: The folder of a cached OpenVINO network; Ultralytics recognises OpenVINO by the end of the name.
_CACHED_NAME = "detector_openvino_model"
_MODULE = "detectors.convert"


def cached_openvino(weights: Path, *, image_size_px: int) -> Path:
    """Return the OpenVINO folder of a checkpoint in float32, converted at its first use and cached.

    Raises:
        InputError: the file is not a detector that Ultralytics loads.
        RunError: the conversion failed.
    """
    digest = sha256(weights)
    key = {
        "kind": "detector",
        "weights": digest,
        "image_size_px": str(image_size_px),
        "precision": "fp32",
        **{package: version(package) for package in ("torch", "ultralytics", "openvino")},
    }

    def make(folder: Path) -> None:
        arguments = [str(weights), str(folder / _CACHED_NAME), str(image_size_px), digest]
        run_module(_MODULE, arguments, f"converting the detector {weights}")

    return cached_export(f"the detector {weights.name}", key, make) / _CACHED_NAME


def downloaded(weights: str) -> Path:
    """Download the weights that a name such as yolo11n.pt stands for, into the working folder; return their path.

    Raises:
        InputError: Ultralytics does not know the name, or the weights cannot be downloaded.
    """
    if not re.fullmatch(r"[\w.-]+\.pt", weights):
        raise missing_weights(weights)
    return Path(run_module(_MODULE, [weights], f"downloading {weights}"))


def missing_weights(weights: str) -> InputError:
    """Return the error for weights that do not exist."""
    return InputError(
        f"the weights {weights} do not exist; check the path, train some with 'mtmc detectors train', "
        "or give a name that Ultralytics downloads, such as yolo11n.pt"
    )
