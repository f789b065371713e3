"""Export of a TransReID to a TensorRT engine, for the GPU model it is built on."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import InputError, RunError
from reid.backends.tensorrt_engine import import_tensorrt, write_engine
from reid.checkpoints import LoadedModel
from reid.export.to_onnx import write_onnx
from reid.model_header import ModelHeader, Precision


def write_tensorrt(loaded: LoadedModel, path: Path, *, precision: Precision = "fp16", max_batch: int = 64) -> None:
    """Build the engine `path`, which computes in `precision`.

    Args:
        max_batch: batch size for which the engine reserves memory; larger batches are split.

    Raises:
        InputError: there is no GPU or no TensorRT, or `precision` is int8.
        RunError: TensorRT cannot build the engine.
    """
    if precision == "int8":
        raise InputError(
            "a TensorRT engine of a TransReID is fp32 or fp16; int8 is for --format onnx and openvino"
        )
    tensorrt = import_tensorrt("a TensorRT export")
    header = replace(ModelHeader.of(loaded), precision=precision)
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    # Strongly typed: number formats are those of the ONNX graph; TensorRT does not choose them by speed.
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    with tempfile.TemporaryDirectory() as folder:
        onnx_file = Path(folder) / "model.onnx"
        write_onnx(loaded, onnx_file, precision=precision)
        if not parser.parse(onnx_file.read_bytes()):
            raise RunError(f"TensorRT cannot read the network: {parser.get_error(0).desc()}")
    profile = builder.create_optimization_profile()
    for name, tail in {"images": (3, *header.image_size), **dict.fromkeys(header.index_inputs, ())}.items():
        profile.set_shape(name, (1, *tail), (max(1, max_batch // 2), *tail), (max_batch, *tail))
    config = builder.create_builder_config()
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RunError("TensorRT could not build the engine; its own messages above say why")
    write_engine(path, header, bytes(plan))
