"""Export of a TransReID to an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel
from reid.export.calibration import CalibrationCrops, check_precision, quantise
from reid.export.graph import exported_program
from reid.model_header import HEADER_KEY, ModelHeader, Precision

OPSET = 20  # the first with Gelu, which TransReID's blocks use


def write_onnx(
    loaded: LoadedModel, path: Path, *, precision: Precision = "fp32", calibration: CalibrationCrops | None = None
) -> None:
    """Write `loaded` to the ONNX file `path`; with "fp16" it computes in float16, but input and output are float32.

    Raises:
        InputError: a package or the crops for int8 are missing.
    """
    check_precision(precision, calibration)
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ModuleNotFoundError as error:
        raise InputError(f"an ONNX export needs the package {error.name}: pip install 'mtmc[export]'") from error
    header = replace(ModelHeader.of(loaded), precision=precision)
    program = exported_program(loaded, torch.float16 if precision == "fp16" else torch.float32)
    with _quiet():
        converted = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False)
    assert converted is not None
    network: Any = converted.model_proto
    if calibration is not None and precision == "int8":
        network, header = quantise(network, header, calibration)
    entry = network.metadata_props.add()
    entry.key, entry.value = HEADER_KEY, header.to_json()
    onnx.save(network, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the messages of torch's exporter about its internals."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
