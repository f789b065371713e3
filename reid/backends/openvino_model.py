"""TransReID in OpenVINO: the fast way on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.datatypes import FloatArray, IntArray
from pipeline.errors import InputError
from reid.backends.base import graph_inputs
from reid.model_header import HEADER_KEY, ModelHeader


class OpenVinoBackend:
    """An OpenVINO network (.xml with its .bin) that `reid.export` wrote.

    Args:
        device: as OpenVINO names it: CPU, GPU, GPU.1, ...
        exact: compute in float32 where the processor has bfloat16 or float16, too, which OpenVINO would take.

    Attributes:
        header: what the file says of itself.

    Raises:
        InputError: the package is not installed, the file is no such network, or there is no such device.
    """

    def __init__(self, xml: Path, device: str = "CPU", *, exact: bool = False) -> None:
        openvino = _import_openvino(xml)
        core = openvino.Core()
        network = _read(core, xml)
        self.header = _header(network, xml)
        # One batch at a time: all cores work on it.
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if exact:
            settings["INFERENCE_PRECISION_HINT"] = openvino.Type.f32
        try:
            self._compiled = core.compile_model(network, device, settings)
        except RuntimeError as error:
            raise InputError(
                f"{xml} cannot be used on the OpenVINO device {device}: {_last_line(error)}"
            ) from error
        self.runtime = f"OpenVINO, {self.header.precision} on {device}{_computed_in(self._compiled)}"

    def features(self, crops: Tensor, cameras: IntArray) -> FloatArray:
        """Satisfies `Backend.features`."""
        inputs = graph_inputs(self.header, crops, cameras)
        features: FloatArray = self._compiled({name: value.numpy() for name, value in inputs.items()})[0].copy()
        return features


def read_header(xml: Path) -> ModelHeader:
    """The header of an OpenVINO network; errors as of `OpenVinoBackend`."""
    return _header(_read(_import_openvino(xml).Core(), xml), xml)


def _import_openvino(xml: Path) -> Any:
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise InputError(f"{xml} needs the package openvino: pip install openvino") from error
    return openvino


def _read(core: Any, xml: Path) -> Any:
    try:
        return core.read_model(xml)
    except RuntimeError as error:
        raise InputError(f"{xml} is not a readable OpenVINO network: {_last_line(error)}") from error


def _header(network: Any, xml: Path) -> ModelHeader:
    if not network.has_rt_info([HEADER_KEY]):
        raise InputError(
            f"{xml} is no re-identification network of this project: its rt_info has no {HEADER_KEY}; write one "
            "with 'python -m reid export'"
        )
    header = ModelHeader.from_json(network.get_rt_info([HEADER_KEY]).astype(str), str(xml))
    found = {name for item in network.inputs for name in item.get_names()}
    if found != {"images", *header.index_inputs}:
        raise InputError(
            f"{xml} has the inputs {', '.join(sorted(found))}, but images, {', '.join(header.index_inputs)} belong "
            "to its metadata; export it again"
        )
    return header


def _computed_in(compiled: Any) -> str:
    """In which type a compiled network computes what is not int8, in words: the processor's choice, not the file's."""
    hint = "INFERENCE_PRECISION_HINT"
    if hint not in compiled.get_property("SUPPORTED_PROPERTIES"):
        return ""
    return f", floating point in {compiled.get_property(hint).get_type_name()}"


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
