"""TransReID in OpenVINO, the fastest backend on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation
from reid.backends.base import graph_inputs
from reid.model_header import HEADER_KEY, ModelHeader


class OpenVinoBackend:
    """An OpenVINO network (.xml with its .bin) that `reid.export` wrote.

    Args:
        device: OpenVINO's name of the device: CPU, GPU, GPU.1, ...
        exact: compute in float32 even where the processor supports bfloat16 or float16, OpenVINO's default there.

    Attributes:
        header: the header that the file carries.

    Raises:
        InputError: the package is not installed, `reid.export` did not write the file, or the device does not exist.
    """

    def __init__(self, xml: Path, device: str = "CPU", *, exact: bool = False) -> None:
        core = import_openvino(xml).Core()
        network = read_network(core, xml)
        self.header = _header(network, xml)
        self._compiled = compile_network(core, network, xml, device, exact=exact)
        self.computation = Computation.of_openvino(core, self._compiled, device, self.header.precision)

    def features(self, crops: NDArray[np.uint8], cameras: IntArray) -> FloatArray:
        """Satisfies `Backend.features`."""
        inputs = graph_inputs(self.header, crops, cameras)
        features: FloatArray = self._compiled(inputs)[0].copy()
        return features


def read_header(xml: Path) -> ModelHeader:
    """Return the header of an OpenVINO network; raises the errors of `OpenVinoBackend`."""
    return _header(read_network(import_openvino(xml).Core(), xml), xml)


def import_openvino(path: Path) -> Any:
    """Import the package openvino, which the network at `path` needs; raises InputError if it is missing."""
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise InputError(f"{path} needs the package openvino: pip install openvino") from error
    return openvino


def read_network(core: Any, path: Path) -> Any:
    """Read a file as an `openvino.Model`; raises InputError if it is not a network."""
    try:
        return core.read_model(path)
    except RuntimeError as error:
        kind = "ONNX" if path.suffix == ".onnx" else "OpenVINO"
        raise InputError(f"{path} is not a readable {kind} network: {_last_line(error)}") from error


def compile_network(
    core: Any, network: Any, path: Path, device: str, *, exact: bool, many_requests: bool = False
) -> Any:
    """Compile a network to an `openvino.CompiledModel`; raises InputError if the device cannot compute it.

    Args:
        device, exact: as in `OpenVinoBackend`.
        many_requests: for several requests at a time, instead of one that all cores compute.
    """
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT" if many_requests else "LATENCY"}
    if exact:
        settings["INFERENCE_PRECISION_HINT"] = import_openvino(path).Type.f32
    try:
        return core.compile_model(network, device, settings)
    except RuntimeError as error:
        raise InputError(f"{path} cannot be used on the OpenVINO device {device}: {_last_line(error)}") from error


def _header(network: Any, xml: Path) -> ModelHeader:
    if not network.has_rt_info([HEADER_KEY]):
        raise InputError(
            f"{xml} is not a re-identification network of this project: its rt_info has no {HEADER_KEY}; write one "
            "with 'mtmc reid export'"
        )
    header = ModelHeader.from_json(network.get_rt_info([HEADER_KEY]).astype(str), str(xml))
    found = {name for item in network.inputs for name in item.get_names()}
    if found != {"images", *header.index_inputs}:
        raise InputError(
            f"{xml} has the inputs {', '.join(sorted(found))}, but its metadata describes images, "
            f"{', '.join(header.index_inputs)}; export it again"
        )
    return header


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
