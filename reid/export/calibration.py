"""int8 calibration of a network with crops: NNCF's post-training quantisation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import IntArray
from pipeline.core.errors import InputError
from reid.backends.base import graph_inputs
from reid.model_header import ModelHeader, Precision

_BATCH = 4


@dataclass(frozen=True, eq=False)
class CalibrationCrops:
    """Crops like those that the network will see.

    Attributes:
        crops: (N, 3, H, W) uint8 RGB, in the input size of the model.
        cameras: (N,) int64, their rows of the camera table, or -1.
    """

    crops: NDArray[np.uint8]
    cameras: IntArray

    @property
    def calibration_hash(self) -> str:
        """Hash of the crops, 8 hexadecimal digits."""
        digest = hashlib.sha256(self.crops.tobytes())
        digest.update(self.cameras.tobytes())
        return digest.hexdigest()[:8]


def check_precision(precision: Precision, calibration: CalibrationCrops | None) -> None:
    """Raise InputError if an int8 network is requested without crops to calibrate it with."""
    if precision == "int8" and (calibration is None or not len(calibration.crops)):
        raise InputError(
            "an int8 export needs crops to calibrate with; give --data, or leave it out to use the demo's"
        )


def quantise(network: Any, header: ModelHeader, calibration: CalibrationCrops) -> tuple[Any, ModelHeader]:
    """Quantise a float32 OpenVINO or ONNX network to int8; return the network and its header.

    Raises:
        InputError: NNCF is not installed.
    """
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise InputError("an int8 export needs the package nncf: pip install 'mtmc[export]'") from error

    starts = range(0, len(calibration.crops), _BATCH)
    batches = [
        graph_inputs(
            header, calibration.crops[start : start + _BATCH], calibration.cameras[start : start + _BATCH]
        )
        for start in starts
    ]
    quantised = nncf.quantize(
        network,
        nncf.Dataset(batches),
        subset_size=len(batches),
        model_type=nncf.ModelType.TRANSFORMER,
    )
    return quantised, replace(header, precision="int8", calibration_hash=calibration.calibration_hash)
