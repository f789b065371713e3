"""Find out which library, precision and device Ultralytics actually uses for a detector."""

from __future__ import annotations

from typing import Any

import torch

from pipeline.core.inference_runtime import Computation, cpu_name

# Ultralytics' name of a format -> the library.
_LIBRARIES = {"pt": "torch", "openvino": "OpenVINO", "onnx": "ONNX Runtime", "engine": "TensorRT"}
_STORED = {8: "int8", 16: "fp16"}


def computation_of(backend: Any) -> Computation:
    """Return how a detector that has run at least once is computed.

    Args:
        backend: the `ultralytics.nn.autobackend.AutoBackend` of its predictor.
    """
    inner = backend.backend
    exported = (getattr(inner, "metadata", None) or {}).get("args") or {}
    stored = "int8" if exported.get("int8") else _STORED.get(exported.get("quantize") or 32, "fp32")
    compiled = getattr(inner, "ov_compiled_model", None)
    if compiled is not None:
        (device,) = compiled.get_property("EXECUTION_DEVICES")[:1]
        return Computation.of_openvino(inner.ov.Core(), compiled, device, stored)
    device = torch.device(backend.device)
    on_gpu = device.type == "cuda"
    return Computation(
        library=_LIBRARIES.get(backend.format, backend.format),
        precision="fp16" if inner.fp16 and stored == "fp32" else stored,
        device=str(device),
        processor=torch.cuda.get_device_name(device) if on_gpu else cpu_name(),
    )
