"""Any detection model that Ultralytics loads: .pt, .onnx, OpenVINO folder, TensorRT .engine."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from detectors.conversion import cached_openvino, downloaded
from detectors.exported_network import ExportedNetwork, Unknown
from detectors.one_line import abridged, one_line
from detectors.weights import model_hash
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.gpu import torch_may_use_gpu
from pipeline.core.inference_runtime import Runtime, choose_runtime, device_name

if TYPE_CHECKING:
    from detectors.ultralytics_network import UltralyticsNetwork

# An export may make pictures smaller than this share of what image_size_px asks for only with a warning.
_SMALLEST_SHARE = 0.8
_OPENVINO_FOLDER = "_openvino_model"

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
        limits: dict[str, Any] = {
            "image_size_px": image_size_px,
            "confidence_min": confidence_min,
            "nms_iou": nms_iou,
            "max_detections": max_detections,
        }
        self._network: ExportedNetwork | UltralyticsNetwork
        opened = _without_torch(weights, device=device, runtime=runtime, exact=half is False, **limits)
        if opened is not None:
            self._network, file = opened
        else:
            from detectors.ultralytics_network import UltralyticsNetwork

            self._network = UltralyticsNetwork(weights, device=device, runtime=runtime, half=half, **limits)
            file = self._network.file
        used_px = max(self._network.imgsz)
        if used_px != image_size_px:
            raise InputError(
                f"{weights} works at {used_px} px, not at image_size_px = {image_size_px}: sizes are multiples of 32, "
                f"and an export may support only one; set image_size_px: {used_px}, or export it again"
            )
        self.model_hash = model_hash(file)
        self.class_names = _chosen_classes(weights, self._network.names, classes)
        self.computation = self._network.computation
        self._weights = weights
        self._input_px = None if self._network.dynamic else self._network.imgsz
        self._image_size_px = image_size_px
        self._known_sizes: set[tuple[int, int]] = set()
        self._fixed_batch = None if self._network.dynamic else self._network.batch
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
            boxes = self._network.boxes(images, self.class_names)
            found.update((row, _detections(each)) for row, each in zip(rows, boxes, strict=False))
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


def _without_torch(
    weights: str, *, device: str, runtime: Runtime, exact: bool, image_size_px: int, **limits: Any
) -> tuple[ExportedNetwork, Path] | None:
    """Open a detector that OpenVINO or ONNX Runtime computes on the CPU; without importing torch.

    Returns:
        The network, and the weights that it was made of. None if torch is needed: on a GPU, for the runtime torch, and
        for networks that are known only to Ultralytics.
    """
    name = str(device_name(device)).lower()
    if name != "cpu" and (name != "auto" or torch_may_use_gpu()):
        return None
    path = Path(weights)
    converted = path.suffix == ".pt"
    if converted:
        if choose_runtime(runtime, "cpu") != "openvino":
            return None
        path = path if path.exists() else downloaded(weights)
        folder = cached_openvino(path, image_size_px=image_size_px)
        file = next(folder.glob("*.xml"))
    else:
        found = _network_file(path)
        if found is None:
            return None
        path, file = found
    try:
        network = ExportedNetwork(file, image_size_px=image_size_px, exact=exact, **limits)
        if not converted:  # so that anything missing is reported before the first frame
            height, width = network.imgsz
            network.boxes(
                [np.zeros((height, width, 3), np.uint8)] * (1 if network.dynamic else network.batch), {0}
            )
    except ModuleNotFoundError as error:
        raise InputError(f"{weights} needs the package {error.name}: pip install {error.name}") from error
    except Unknown as error:
        logger.info("%s is computed by Ultralytics, with torch: %s", weights, error)
        return None
    except Exception as error:
        # The runtimes have no common error for an invalid file. Ultralytics says what is wrong with it.
        logger.info("%s cannot be used without Ultralytics: %s", weights, one_line(error))
        return None
    return network, path


def _network_file(path: Path) -> tuple[Path, Path] | None:
    """Return what Ultralytics takes for the weights (an ONNX file, or the folder of OpenVINO), and the file of the
    network; None for any other kind."""
    if path.suffix == ".onnx" and path.is_file() and not path.name.endswith("_qnn.onnx"):
        return path, path
    if path.suffix == ".xml" and path.is_file() and path.parent.name.endswith(_OPENVINO_FOLDER):
        return path.parent, path
    if path.is_dir() and path.name.endswith(_OPENVINO_FOLDER):
        networks = list(path.glob("*.xml"))
        return (path, networks[0]) if len(networks) == 1 else None
    return None


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


def _detections(rows: NDArray[np.float32]) -> Detections:
    """Return rows (N, 6), xyxy in pixels, confidence and class id, as detections.

    A network in half precision can overflow; boxes that are not finite are dropped.
    """
    rows = rows[np.isfinite(rows).all(axis=1)]
    return Detections(
        xyxy=np.ascontiguousarray(rows[:, :4], np.float32),
        confidence=rows[:, 4].astype(np.float32),
        class_id=rows[:, 5].astype(np.int64),
    )


def _chosen_classes(weights: str, names: Mapping[int, str], classes: Sequence[str]) -> dict[int, str]:
    """Return the class ids whose names are in `classes`; several classes can have one name."""
    known = abridged(", ".join(names.values()))
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
