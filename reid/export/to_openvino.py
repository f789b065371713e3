"""Export of a TransReID to an OpenVINO network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel
from reid.export.calibration import CalibrationCrops, check_precision, quantise
from reid.export.graph import exported_program
from reid.model_header import HEADER_KEY, ModelHeader, Precision


def write_openvino(
    loaded: LoadedModel, xml: Path, *, precision: Precision = "fp32", calibration: CalibrationCrops | None = None
) -> None:
    """Write `loaded` to `xml`, with its weights in the .bin file beside it.

    Args:
        precision: "fp16" stores the weights in half precision; the precision of OpenVINO's computation depends on the
            processor.
        calibration: needed for "int8".

    Raises:
        InputError: a package or the crops for int8 are missing.
    """
    check_precision(precision, calibration)
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise InputError("an OpenVINO export needs the package openvino: pip install openvino") from error
    header = replace(ModelHeader.of(loaded), precision=precision)
    network = openvino.convert_model(exported_program(loaded))
    batch = openvino.Dimension(1, -1)
    shapes: dict[str, Any] = {"images": openvino.PartialShape([batch, 3, *header.image_size])}
    shapes |= {name: openvino.PartialShape([batch]) for name in header.index_inputs}
    network.reshape(shapes)
    if calibration is not None and precision == "int8":
        network, header = quantise(network, header, calibration)
    network.set_rt_info(header.to_json(), [HEADER_KEY])
    openvino.save_model(network, xml, compress_to_fp16=precision == "fp16")
