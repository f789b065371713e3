"""Detectors in OpenVINO and ONNX Runtime, on a CPU, without torch and Ultralytics.

Only networks that Ultralytics or `mtmc detectors export` wrote are known here, because their metadata state what they
return. `Unknown` says why any other file is left to Ultralytics, which gives the same boxes for those that are known.
"""

from __future__ import annotations

import ast
import platform
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from detectors.letterbox import Letterbox, network_input, scale_back
from detectors.suppression import end_to_end_rows, suppressed_rows
from pipeline.core.inference_runtime import Computation, cpu_name

# Entries of the metadata that are Python values; an ONNX file holds all of them as text.
_VALUES = ("imgsz", "names", "args", "end2end")
_NUMBERS = ("stride", "batch", "channels")
_STORED = {8: "int8", 16: "fp16"}


class Unknown(Exception):
    """The network can only be used with Ultralytics; the text says why."""


class ExportedNetwork:
    """A detector that reads boxes out of frames.

    Attributes:
        names: class id -> name.
        imgsz: (height, width) in pixels of the input, or of the largest one.
        dynamic: whether it takes other sizes and any batch.
        batch: number of frames that a network with a fixed input takes.
        computation: library, precision and device.
    """

    def __init__(
        self,
        path: Path,
        *,
        image_size_px: int,
        confidence_min: float,
        nms_iou: float,
        max_detections: int,
        exact: bool,
        cache: Path | None = None,
    ) -> None:
        """
        Args:
            path: the .onnx or .xml file.
            image_size_px: longer side of the input of a dynamic network, rounded up to a multiple of its stride.
            confidence_min, nms_iou, max_detections: as in `detectors.yolo.YoloDetector`.
            exact: do not let OpenVINO compute in half precision.
            cache: folder for OpenVINO's compiled network.

        Raises:
            Unknown: the network can only be used with Ultralytics.
        """
        self._run: _OpenVino | _OnnxRuntime = (
            _OnnxRuntime(path) if path.suffix == ".onnx" else _OpenVino(path, exact=exact, cache=cache)
        )
        metadata = self._run.metadata
        self.names: dict[int, str] = {int(number): str(name) for number, name in metadata["names"].items()}
        self.dynamic = self._run.dynamic
        self.batch = metadata.get("batch", 1)
        self._stride = metadata.get("stride", 32)
        sides = [image_size_px] * 2 if self.dynamic else list(metadata["imgsz"])
        height, width = (-(-side // self._stride) * self._stride for side in sides)
        self.imgsz = (height, width)
        self._confidence_min, self._iou, self._most = confidence_min, nms_iou, max_detections
        self._end_to_end = bool(metadata.get("end2end"))
        self._axis, self._length = (2, 6) if self._end_to_end else (1, 4 + len(self.names))
        stated = self._run.output_length(self._axis)
        if stated is None:  # only a run shows it
            frames = 1 if self.dynamic else self.batch
            stated = self._computed(np.zeros((frames, 3, height, width), np.float32)).shape[self._axis]
        if stated != self._length:
            raise Unknown(f"its output has {stated} values for a box instead of {self._length}")

    @property
    def computation(self) -> Computation:
        """What computes the network."""
        return self._run.computation

    def boxes(self, images: Sequence[NDArray[np.uint8]], classes: Collection[int]) -> list[NDArray[np.float32]]:
        """Return the boxes of the classes with these ids in each frame.

        Args:
            images: (H, W, 3) uint8 BGR, all of one size.

        Returns:
            For each frame (N, 6) float32, most confident first: xyxy in pixels of the frame, confidence, class id.
        """
        frame_hw = (images[0].shape[0], images[0].shape[1])
        box = Letterbox.of(frame_hw, self.imgsz, stride=self._stride, minimal=self.dynamic)
        found = []
        for one in self._computed(network_input(images, box)):
            limits: dict[str, Any] = {
                "confidence_min": self._confidence_min,
                "classes": classes,
                "max_detections": self._most,
            }
            if self._end_to_end:
                rows = end_to_end_rows(one, **limits)
            else:
                rows = suppressed_rows(one, iou_max=self._iou, **limits)
            rows[:, :4] = scale_back(rows[:, :4], box.input_hw, frame_hw)
            found.append(rows)
        return found

    def _computed(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        output = self._run(pixels)
        if output.ndim != 3:
            raise Unknown(f"its output has the shape {output.shape}")
        return output


class _OpenVino:
    """A network in OpenVINO, compiled with the settings of Ultralytics."""

    def __init__(self, xml: Path, *, exact: bool, cache: Path | None) -> None:
        import openvino

        sidecar = xml.parent / "metadata.yaml"
        self.metadata = known_metadata(yaml.safe_load(sidecar.read_text("utf-8")) if sidecar.is_file() else {})
        self._openvino, self._xml = openvino, xml
        self._core = openvino.Core()
        self._device = "CPU" if self._core.available_devices == ["CPU"] else "AUTO"
        self._settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if sys.platform == "linux" and platform.machine() in ("arm64", "aarch64") and self._device == "CPU":
            self._settings["EXECUTION_MODE_HINT"] = openvino.properties.hint.ExecutionMode.ACCURACY
            exact = True
        if exact or sys.platform == "win32":
            self._settings["INFERENCE_PRECISION_HINT"] = openvino.Type.f32
        if cache is not None:
            self._settings["CACHE_DIR"] = str(cache)
        network = self._core.read_model(str(xml))
        self.dynamic = bool(self.metadata["args"].get("dynamic", False))
        # OpenVINO crashes on int8 networks of free size on processors with AMX, so each size is compiled alone.
        self._per_shape = (
            network.input().get_partial_shape().is_dynamic
            and any(node.get_type_name() == "FakeQuantize" for node in network.get_ops())
            and _has_amx_int8()
        )
        self.dynamic = self.dynamic and not self._per_shape
        self._output_shape = network.output(0).get_partial_shape()
        self._compiled = self._core.compile_model(network, self._device, self._settings)

    @property
    def computation(self) -> Computation:
        (device,) = self._compiled.get_property("EXECUTION_DEVICES")[:1]
        return Computation.of_openvino(self._core, self._compiled, device, _stored(self.metadata))

    def output_length(self, axis: int) -> int | None:
        """Return the length of an axis of the output; None if the network does not state it."""
        shape = self._output_shape
        stated = shape.rank.is_static and len(shape) == 3 and shape[axis].is_static
        return int(shape[axis].get_length()) if stated else None

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._per_shape:
            shape = self._openvino.PartialShape(pixels.shape)
            if self._compiled.input().get_partial_shape() != shape:
                network = self._core.read_model(str(self._xml))
                network.reshape(list(pixels.shape))
                self._compiled = self._core.compile_model(network, self._device, self._settings)
        output: NDArray[np.float32] = self._compiled(pixels)[0]
        return output


class _OnnxRuntime:
    """A network in ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.metadata = known_metadata(self._session.get_modelmeta().custom_metadata_map)
        self._input = self._session.get_inputs()[0]
        if self._input.type != "tensor(float)":
            raise Unknown(f"its input is a {self._input.type}")
        self._output_shape = self._session.get_outputs()[0].shape
        self.dynamic = isinstance(self._output_shape[0], str)

    @property
    def computation(self) -> Computation:
        return Computation("ONNX Runtime", _stored(self.metadata), "cpu", cpu_name())

    def output_length(self, axis: int) -> int | None:
        """Return the length of an axis of the output; None if the network does not state it."""
        shape = self._output_shape
        stated = shape[axis] if len(shape) == 3 else None
        return stated if isinstance(stated, int) else None

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = self._session.run(None, {self._input.name: pixels})[0]
        return output


def known_metadata(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a network with numbers and Python values in place of text.

    Raises:
        Unknown: they are missing, or are those of a network that is not known here.
    """
    if not stated:
        raise Unknown("it has no metadata of Ultralytics")
    try:
        metadata = dict(stated)
        for name in _VALUES:
            if isinstance(metadata.get(name), str):
                metadata[name] = ast.literal_eval(metadata[name])
        for name in _NUMBERS:
            if name in metadata:
                metadata[name] = int(metadata[name])
        arguments = metadata.setdefault("args", {}) or {}
        task, names, sides = metadata["task"], dict(metadata["names"]), list(metadata["imgsz"])
    except (KeyError, TypeError, ValueError, SyntaxError) as error:
        raise Unknown(f"its metadata are not complete ({error})") from error
    if task != "detect":
        raise Unknown(f"its task is {task}")
    if arguments.get("nms"):
        raise Unknown("it contains its own non-maximum suppression")
    if metadata.get("channels", 3) != 3:
        raise Unknown(f"it takes pictures of {metadata['channels']} channels")
    if not names or len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise Unknown("its metadata are not complete (names, imgsz)")
    return {**metadata, "args": dict(arguments), "names": names}


def _stored(metadata: Mapping[str, Any]) -> str:
    """Return the precision of the numbers in the file."""
    arguments = metadata["args"]
    return "int8" if arguments.get("int8") else _STORED.get(arguments.get("quantize") or 32, "fp32")


def _has_amx_int8() -> bool:
    information = Path("/proc/cpuinfo")
    return sys.platform == "linux" and information.exists() and "amx_int8" in information.read_text("utf-8")
