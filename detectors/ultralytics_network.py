"""Detectors in Ultralytics and torch: .pt checkpoints, and all exports that Ultralytics loads."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.computation import computation_of
from detectors.conversion import cached_openvino, missing_weights
from detectors.one_line import one_line
from detectors.ultralytics_import import import_ultralytics, loads_safely
from detectors.weights import is_own_checkpoint
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Runtime, choose_runtime, device_name

# Tasks whose models return upright boxes with a class.
_BOX_TASKS = frozenset({"detect", "segment", "pose"})

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?|(xpu|npu)(:\d+)?")
_INTEL = re.compile(r"intel:(cpu|gpu|npu)(\.\d+)?")

logger = logging.getLogger(__name__)


class UltralyticsNetwork:
    """A detector that Ultralytics' predictor runs, with the interface of `detectors.exported_network.ExportedNetwork`.

    Args:
        weights: path of the model, or a name that Ultralytics downloads.
        device, runtime, half: as in `detectors.yolo.YoloDetector`.

    Attributes:
        file: what was loaded.
        names: class id -> name.
        imgsz: (height, width) in pixels of the input, or of the largest one.
        dynamic: whether it takes other sizes and any batch.
        batch: number of frames that a network with a fixed input takes.
        computation: library, precision and device.

    Raises:
        InputError: the weights or the device does not exist, or the weights are not a detector.
    """

    def __init__(
        self,
        weights: str,
        *,
        image_size_px: int,
        confidence_min: float,
        nms_iou: float,
        max_detections: int,
        device: str,
        runtime: Runtime,
        half: bool | Literal["auto"],
    ) -> None:
        self._model = load_model(weights)
        self._arguments: dict[str, Any] = {
            "imgsz": image_size_px,
            "conf": confidence_min,
            "iou": nms_iou,
            "agnostic_nms": True,
            "max_det": max_detections,
            "verbose": False,
            "save": False,
        }
        with _same_number_of_threads():
            selected = selected_device(device, weights)
            on_gpu = isinstance(selected, torch.device) and selected.type == "cuda"
            self.file = Path(self._model.ckpt_path)
            if self.file.suffix == ".pt" and choose_runtime(runtime, _type(selected)) == "openvino":
                network = cached_openvino(self.file, image_size_px=image_size_px)
                self._model = import_ultralytics().YOLO(str(network), task=self._model.task)
            self._arguments["device"] = selected
            self._arguments["quantize"] = 16 if (on_gpu if half == "auto" else half) else None
            self._start(weights, image_size_px)
            if half is False and self._model.predictor.model.format == "openvino":
                _compute_in_32_bit(self._model.predictor.model.backend, Path(self._model.ckpt_path))
        backend = self._model.predictor.model
        self.names: dict[int, str] = dict(self._model.names)
        self.computation = computation_of(backend)
        height, width = self._model.predictor.imgsz
        self.imgsz = (int(height), int(width))
        self.dynamic = bool(backend.format == "pt" or backend.dynamic)
        self.batch = int(backend.batch)
        if _has_own_nms(backend):
            logger.warning(
                "%s was exported with nms=True: confidence_min %g has no effect below the limit of its export (0.25 if "
                "none was chosen), and nms_iou has none at all. 'mtmc detectors export' leaves both to the settings",
                weights,
                confidence_min,
            )

    def boxes(self, images: Sequence[NDArray[np.uint8]], classes: Collection[int]) -> list[NDArray[np.float32]]:
        """Satisfies `ExportedNetwork.boxes`."""
        results = self._model.predict(list(images), classes=list(classes), **self._arguments)
        return [result.boxes.data.cpu().numpy() for result in results]

    def _start(self, weights: str, image_size_px: int) -> None:
        """Run the network once, so that anything missing is reported before the first frame."""
        blank = np.zeros((image_size_px, image_size_px, 3), np.uint8)
        try:
            self._model.predict([blank], **self._arguments)
        except ModuleNotFoundError as error:
            raise InputError(f"{weights} needs the package {error.name}: pip install {error.name}") from error
        except Exception as error:
            if Path(weights).suffix == ".pt":
                raise
            # The runtimes of exports and Ultralytics' wrappers have no common error for an invalid file.
            reason = one_line(error) or type(error).__name__
            raise InputError(
                f"{weights} is damaged, or not a detector that Ultralytics or 'mtmc detectors export' wrote: {reason}"
            ) from error


def _compute_in_32_bit(runtime: Any, weights: Path) -> None:
    """Compile an OpenVINO network again, without bfloat16, which processors that have it use by default.

    Args:
        runtime: Ultralytics' `OpenVINOBackend`, changed in place.
        weights: folder of the network, or its .xml.
    """
    network = weights if weights.is_file() else next(weights.glob("*.xml"))
    settings = {**runtime.compile_model.keywords["config"], "INFERENCE_PRECISION_HINT": "f32"}
    runtime.compile_model = partial(runtime.compile_model, config=settings)
    runtime.ov_compiled_model = runtime.compile_model(runtime.ov.Core().read_model(str(network)))


def load_model(weights: str) -> Any:
    """Load the Ultralytics model of `weights`; a bare name that Ultralytics knows is downloaded.

    Raises:
        InputError: the weights do not exist, or cannot be downloaded or loaded, or are not a detector.
    """
    ultralytics = import_ultralytics()
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

    path = Path(weights)
    if path.suffix == ".xml" and path.parent.name.endswith("_openvino_model"):
        path = path.parent
        weights = str(path)
    if not path.exists() and weights not in GITHUB_ASSETS_NAMES:
        raise missing_weights(weights)
    if path.suffix == ".pt" and path.exists() and not loads_safely() and not is_own_checkpoint(path):
        logger.warning(
            "%s is a pickle, and loading it can run any code in it: use only files of people you trust, or set "
            "ULTRALYTICS_SAFE_LOAD=1",
            weights,
        )
    _refuse_other_name(path)
    try:
        model = ultralytics.YOLO(weights)
    except ConnectionError as error:
        raise InputError(f"{weights} is not here and cannot be downloaded: {one_line(error)}") from error
    except TypeError as error:
        raise InputError(f"{weights} cannot be loaded: {one_line(error)}") from error
    if path.exists() and not (Path(model.ckpt_path).exists() and Path(model.ckpt_path).samefile(path)):
        raise InputError(f"Ultralytics loaded {model.ckpt_path} instead of {weights}; rename the file")
    if model.task not in _BOX_TASKS:
        raise InputError(f"{weights} is a model for the task {model.task!r}, not for detection")
    return model


def _refuse_other_name(path: Path) -> None:
    """Raise InputError if Ultralytics would take a file that exists for another one, which it may download.

    It reads yolov5n.pt as its own yolov5nu.pt, and removes quotes and spaces.
    """
    from ultralytics.utils.checks import check_yolov5u_filename

    if not path.exists():
        return
    taken: str = check_yolov5u_filename(str(path).strip().replace("'", ""), verbose=False)
    if taken != str(path):
        raise InputError(
            f"Ultralytics would load {taken} instead of {path}: rename the file, such as to detector.pt"
        )


def selected_device(device: str, weights: str) -> Any:
    """Return the torch device, or the name of a device that only OpenVINO knows (intel:gpu)."""
    from ultralytics.utils.torch_utils import select_device

    known = "use auto, cpu, cuda, cuda:1 ..., mps, or with an OpenVINO export intel:gpu or intel:npu"
    name = str(device_name(device)).lower()
    if _INTEL.fullmatch(name):
        if Path(weights).suffix != ".xml" and not Path(weights).is_dir():
            raise InputError(f"the device {device} is for OpenVINO exports, and {weights} is none; {known}")
        return name
    if not _DEVICE.fullmatch(name):
        raise InputError(f"the device {device!r} is not known; {known}")
    try:
        selected = select_device("" if name == "auto" else name, verbose=False)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise InputError(
            f"the device {device} cannot be used: torch sees {torch.cuda.device_count()} GPUs; use auto or cpu"
        ) from error
    # Ultralytics takes the CPU without a word where there is no Metal.
    if name != "auto" and _type(selected) != name.partition(":")[0]:
        raise InputError(f"the device {device} cannot be used on this machine; use auto or cpu")
    return selected


def _type(device: Any) -> str:
    return device.type if isinstance(device, torch.device) else str(device)


@contextmanager
def _same_number_of_threads() -> Iterator[None]:
    """Restore torch's number of threads, which Ultralytics lowers for the whole process when it selects a CPU."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _has_own_nms(backend: Any) -> bool:
    """Return whether an export contains non-maximum suppression, according to its metadata."""
    metadata = getattr(backend.backend, "metadata", None) or {}
    return bool((metadata.get("args") or {}).get("nms"))
