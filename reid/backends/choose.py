"""Choose and build the backend for a model and the user's settings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Runtime, choose_runtime
from reid.backends.base import Backend
from reid.backends.exported import ExportedModel
from reid.backends.foreign import ForeignBackend
from reid.backends.onnx_model import OnnxBackend, has_cuda
from reid.backends.openvino_model import OpenVinoBackend
from reid.checkpoint_file import CheckpointFile
from reid.conversion import cached_openvino
from reid.device import choose_device, chosen_device
from reid.foreign_network import ForeignNetwork

if TYPE_CHECKING:
    from reid.checkpoints import LoadedModel

Half = bool | Literal["auto"]

#: Everything that can be an embedder.
EmbeddingModel: TypeAlias = "LoadedModel | CheckpointFile | ExportedModel | ForeignNetwork"


def build_backend(
    model: EmbeddingModel, *, device: str = "auto", runtime: Runtime = "auto", half: Half = "auto"
) -> Backend:
    """Build the backend of a model.

    Args:
        model: a checkpoint, loaded or not, runs in `runtime`, and an exported network in its own runtime. A
            third-party network runs in OpenVINO, or in ONNX Runtime if it is an .onnx file on a GPU.
        device: torch's name of the device. "auto" is the first GPU if there is one, otherwise the CPU. It is always the
            CPU for an OpenVINO network, and for an ONNX file if the installed ONNX Runtime supports no GPU. An OpenVINO
            network also runs on "intel:gpu" or "intel:npu".
        runtime: "auto" is torch on a GPU, and on a CPU OpenVINO if it is installed, otherwise torch. The network
            for OpenVINO is made at its first use and cached.
        half: whether torch computes in float16; "auto" means on a GPU. OpenVINO computes in half precision where
            the processor can, unless this is False.

    Raises:
        InputError: the device or the runtime cannot be used here.
    """
    if isinstance(model, ExportedModel):
        return _exported(model, device, half)
    if isinstance(model, ForeignNetwork):
        return ForeignBackend(model, _foreign_device(model.path, device), exact=half is False)
    chosen = chosen_device(device)
    if choose_runtime(runtime, chosen.partition(":")[0]) == "openvino":
        return OpenVinoBackend(cached_openvino(model), exact=half is False)
    import torch

    from reid.backends.torch_model import TorchBackend

    loaded = model.load() if isinstance(model, CheckpointFile) else model
    on_gpu = chosen.startswith("cuda")
    return TorchBackend(loaded, torch.device(chosen), half=on_gpu if half == "auto" else half)


def _exported(model: ExportedModel, device: str, half: Half) -> Backend:
    if model.path.suffix == ".xml":
        return OpenVinoBackend(model.path, _openvino_device(model.path, device), exact=half is False)
    if model.path.suffix == ".onnx":
        return OnnxBackend(model.path, _onnx_device(model.path, device))
    from reid.backends.tensorrt_engine import TensorRtBackend

    return TensorRtBackend(model.path, choose_device(device))


def _foreign_device(path: Path, device: str) -> str:
    """Return torch's name of a CUDA device for an .onnx file if one is requested, or if "auto" finds an ONNX Runtime
    that can use a GPU; otherwise OpenVINO's name of the device."""
    if path.suffix == ".onnx" and (device.startswith("cuda") or (device == "auto" and _cuda_is_ready(path))):
        return chosen_device(device)
    return _openvino_device(path, device)


def _cuda_is_ready(path: Path) -> bool:
    return chosen_device("auto") != "cpu" and find_spec("onnxruntime") is not None and has_cuda(path)


def _onnx_device(path: Path, device: str) -> str:
    """Choose as `chosen_device`, but "auto" is the CPU if the installed ONNX Runtime supports no GPU."""
    return chosen_device("cpu" if device == "auto" and not has_cuda(path) else device)


def _openvino_device(path: Path, device: str) -> str:
    """Return OpenVINO's name of a device."""
    if device in ("auto", "cpu"):
        return "CPU"
    vendor, _, name = device.partition(":")
    if vendor != "intel" or not name:
        raise InputError(f"{path} cannot be used on {device}: OpenVINO networks run on cpu, intel:gpu, intel:npu")
    return name.upper()
