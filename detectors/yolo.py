"""Any detection model that Ultralytics loads: .pt, .onnx, OpenVINO folder, TensorRT .engine."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.computation import computation_of
from detectors.export import cached_openvino
from detectors.ultralytics_import import import_ultralytics, loads_safely
from detectors.weights import is_own_checkpoint, model_hash
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Runtime, choose_runtime, device_name

# Tasks whose models return upright boxes with a class.
_BOX_TASKS = frozenset({"detect", "segment", "pose"})

# An export may make pictures smaller than this share of what image_size_px asks for only with a warning.
_SMALLEST_SHARE = 0.8
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?|(xpu|npu)(:\d+)?")
_INTEL = re.compile(r"intel:(cpu|gpu|npu)(\.\d+)?")
_LONGEST_REASON = 300

logger = logging.getLogger(__name__)


class YoloDetector:
    """Detects objects of the chosen classes.

    A frame gets the same boxes alone and in a batch with frames of other sizes. For this, frames are grouped by size:
    Ultralytics pads a batch of mixed sizes to a square.

    Args:
        weights: path of the model, or a name that Ultralytics downloads (yolo11n.pt).
        image_size_px: longer side of the network's input.
        confidence_min: boxes with a lower confidence are left out.
        nms_iou: of two boxes that overlap more than this, the less confident is left out, whatever their classes. An
            object then has one box even if the model cannot distinguish a car from a truck. Models that need no
            suppression (YOLOv10, YOLO26) ignore it.
        classes: names of the classes to detect, as the model names them.
        max_batch: frames in one call of the network; an export with a fixed batch uses its own.
        max_detections: largest number of boxes per frame; the most confident ones are kept.
        device: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.
        runtime: what computes a .pt checkpoint: torch, or openvino on a CPU; auto uses OpenVINO on a CPU if it is
            installed. The network for OpenVINO is exported at its first use and cached. Exports have their own runtime.
        half: half precision in torch, where auto means on a GPU. False also stops OpenVINO from using bfloat16.

    Raises:
        InputError: the weights, a class or the device does not exist, or the weights are not a detector.
    """

    def __init__(
        self,
        weights: str,
        *,
        image_size_px: int = 640,
        confidence_min: float = 0.1,
        nms_iou: float = 0.7,
        classes: Sequence[str] = ("person",),
        max_batch: int = 16,
        max_detections: int = 300,
        device: str = "auto",
        runtime: Runtime = "auto",
        half: bool | Literal["auto"] = "auto",
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
            file = Path(self._model.ckpt_path)
            self.model_hash = model_hash(file)
            if file.suffix == ".pt" and choose_runtime(runtime, _type(selected)) == "openvino":
                network = cached_openvino(file, image_size_px=image_size_px)
                self._model = import_ultralytics().YOLO(str(network), task=self._model.task)
            self._arguments["device"] = selected
            self._arguments["quantize"] = 16 if (on_gpu if half == "auto" else half) else None
            self._start(weights, image_size_px)
            if half is False and self._model.predictor.model.format == "openvino":
                _compute_in_32_bit(self._model.predictor.model.backend, Path(self._model.ckpt_path))
        self.class_names = _chosen_classes(weights, self._model.names, classes)
        self._arguments["classes"] = list(self.class_names)
        backend = self._model.predictor.model
        self.computation = computation_of(backend)
        self._weights = weights
        self._input_px = None if backend.format == "pt" or backend.dynamic else tuple(self._model.predictor.imgsz)
        self._image_size_px = image_size_px
        self._known_sizes: set[tuple[int, int]] = set()
        if _has_own_nms(backend):
            logger.warning(
                "%s was exported with nms=True: confidence_min %g has no effect below the limit of its export (0.25 if "
                "none was chosen), and nms_iou has none at all. 'mtmc detectors export' leaves both to the settings",
                weights,
                confidence_min,
            )
        self._fixed_batch = None if backend.format == "pt" or backend.dynamic else int(backend.batch)
        self._batch = self._fixed_batch or max_batch

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the boxes of each frame in pixels, most confident first, clipped to the image; raise ValueError for a
        frame without an image."""
        found: dict[int, Detections] = {}
        for rows in _same_size_batches(frames, self._batch):
            self._check_size(frames[rows[0]].size_wh)
            images = [_image(frames[row]) for row in rows]
            if self._fixed_batch:
                images += images[-1:] * (self._fixed_batch - len(images))
            results = self._model.predict(images, **self._arguments)
            found.update((row, _detections(result)) for row, result in zip(rows, results, strict=False))
        return [found[row] for row in range(len(frames))]

    def _check_size(self, size_wh: tuple[int, int]) -> None:
        """Warn if an export with a fixed input, such as one of portraits, makes frames of this size much smaller."""
        if self._input_px is None or size_wh in self._known_sizes:
            return
        self._known_sizes.add(size_wh)
        width, height = size_wh
        scale = min(self._input_px[0] / height, self._input_px[1] / width)
        if scale < _SMALLEST_SHARE * self._image_size_px / max(size_wh):
            logger.warning(
                "%s takes pictures %d px wide and %d px high: frames of %dx%d are reduced to %dx%d, and small people "
                "are lost. Export it again for these frames; 'mtmc detectors export' keeps the size free",
                self._weights,
                self._input_px[1],
                self._input_px[0],
                width,
                height,
                round(width * scale),
                round(height * scale),
            )

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
            reason = _one_line(error) or type(error).__name__
            raise InputError(
                f"{weights} is damaged, or not a detector that Ultralytics or 'mtmc detectors export' wrote: {reason}"
            ) from error
        used_px = max(self._model.predictor.imgsz)
        if used_px != image_size_px:
            raise InputError(
                f"{weights} works at {used_px} px, not at image_size_px = {image_size_px}: sizes are multiples of 32, "
                f"and an export may support only one; set image_size_px: {used_px}, or export it again"
            )


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
        raise InputError(
            f"the weights {weights} do not exist; check the path, train some with 'mtmc detectors train', "
            "or give a name that Ultralytics downloads, such as yolo11n.pt"
        )
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
        raise InputError(f"{weights} is not here and cannot be downloaded: {_one_line(error)}") from error
    except TypeError as error:
        raise InputError(f"{weights} cannot be loaded: {_one_line(error)}") from error
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


def _same_size_batches(frames: Sequence[Frame], batch: int) -> Iterator[list[int]]:
    """Yield rows of `frames` in groups of one frame size, at most `batch` each."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for row, frame in enumerate(frames):
        by_size.setdefault(frame.size_wh, []).append(row)
    for rows in by_size.values():
        for start in range(0, len(rows), batch):
            yield rows[start : start + batch]


def _image(frame: Frame) -> NDArray[np.uint8]:
    if frame.image is None:
        raise ValueError(f"frame {frame.frame_index} of camera {frame.camera_id} has no image")
    return frame.image


def _detections(result: Any) -> Detections:
    rows = result.boxes.data.cpu().numpy()  # (N, 6): xyxy in pixels of the frame, confidence, class id
    # A network in half precision can overflow; boxes that are not finite are dropped.
    rows = rows[np.isfinite(rows).all(axis=1)]
    return Detections(
        xyxy=np.ascontiguousarray(rows[:, :4], np.float32),
        confidence=rows[:, 4].astype(np.float32),
        class_id=rows[:, 5].astype(np.int64),
    )


def _chosen_classes(weights: str, names: Mapping[int, str], classes: Sequence[str]) -> dict[int, str]:
    """Return the class ids whose names are in `classes`; several classes can have one name."""
    known = _shortened(", ".join(names.values()))
    if not classes:
        raise InputError(f"detector.classes is empty; the classes of {weights} are: {known}")
    if unknown := [name for name in classes if name not in names.values()]:
        if all(re.fullmatch(r"class\d+", name) for name in names.values()):  # what Ultralytics makes up
            raise InputError(
                f"{weights} states no names of classes, because it has no metadata of Ultralytics: export it "
                "again, as 'mtmc detectors export' does, or choose class0, class1 ..."
            )
        raise InputError(f"{weights} does not know {', '.join(unknown)}; its classes are: {known}")
    return {class_id: name for class_id, name in names.items() if name in classes}


def _has_own_nms(backend: Any) -> bool:
    """Return whether an export contains non-maximum suppression, according to its metadata."""
    metadata = getattr(backend.backend, "metadata", None) or {}
    return bool((metadata.get("args") or {}).get("nms"))


def _one_line(error: Exception) -> str:
    return _shortened(" ".join(str(error).split()))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ..."
