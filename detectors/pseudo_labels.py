"""Label unlabelled recordings with a detector in a slower, more accurate mode than in the pipeline.

With a larger input and test-time augmentation (three scales, one of them mirrored) a network detects more people. A
network trained on these detections learns to find the same people at its normal input size. Sources: I. Radosavovic
et al., Data Distillation, CVPR 2018 (one model, several views, hard labels); K. Sohn et al., STAC, arXiv 2005.04757
(confident boxes only).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.ultralytics_network import load_model, selected_device
from detectors.yolo_dataset import YoloDataset
from pipeline.core.boxes import areas, intersections
from pipeline.core.errors import InputError
from pipeline.sources.open import open_source

PADDING_GREY = 114
"""The grey level with which Ultralytics pads pictures: networks trained with it treat this grey as empty."""

# A doubtful box that a confident box covers by this share shows a part of a person who is already labelled.
PART_OF_SOMEBODY = 0.6


@dataclass(frozen=True)
class PseudoLabelSettings:
    """How to label.

    Attributes:
        image_size_px: longer side of the network's input.
        augment: detect at three scales, one of them mirrored, and merge the results.
        confident: boxes of at least this confidence become labels.
        doubtful: boxes between this confidence and `confident` are painted grey in the picture.
        nms_iou: of two boxes that overlap more than this, the less confident is left out.
        every: step between frames; 1 uses every frame.
        device: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.
        class_name: the class to label, as the model names it.

    Raises:
        InputError: a value is out of range.
    """

    image_size_px: int = 1280
    augment: bool = True
    confident: float = 0.5
    doubtful: float = 0.1
    nms_iou: float = 0.6
    every: int = 30
    device: str = "auto"
    class_name: str = "person"

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"every is {self.every}: give 1 or more")
        if not 0 < self.doubtful <= self.confident <= 1:
            raise InputError(
                f"doubtful is {self.doubtful} and confident {self.confident}: "
                "give confidences with 0 < doubtful <= confident <= 1"
            )


@dataclass(frozen=True)
class PseudoLabelled:
    """Result of labelling a recording.

    Attributes:
        images: number of pictures added to the data set.
        boxes: number of labels in them.
        greyed: number of doubtful boxes painted grey in them.
        left_out: number of frames without a confident box.
    """

    images: int
    boxes: int
    greyed: int
    left_out: int


def add_pseudo_labelled(
    source: str, output: Path, *, weights: str, settings: PseudoLabelSettings | None = None
) -> PseudoLabelled:
    """Add frames of a recording to the training part of the data set in `output`, labelled by a model.

    A doubtful box may be a person or background. With a label, it could teach the network to detect poles as people;
    without one, to miss people. Its pixels are therefore painted grey, except those inside confident boxes, so that the
    network learns nothing from them. Leaving out the whole frame would remove most crowds. A frame without a confident
    box is left out, because it may show people who are too small for the model.

    Args:
        source: a recording as `pipeline.sources.open.open_source` takes it.
        output: folder of the data set in YOLO layout; created if necessary.
        weights: an Ultralytics .pt checkpoint or the name of one that Ultralytics downloads.

    Raises:
        InputError: weights or source are missing, the model does not have the class, or the data set already holds
            frames of the source.
    """
    settings = settings or PseudoLabelSettings()
    model = _load(weights, settings)
    device = selected_device(settings.device, weights)
    path = Path(source).resolve()
    name = path.name if path.is_dir() else path.stem
    dataset = YoloDataset(output, class_name=settings.class_name)
    dataset.refuse_again(name)
    greyed = left_out = 0
    with open_source(name, source) as frames:
        for frame in frames:
            if frame.frame_index % settings.every or frame.image is None:
                continue
            xyxy, confidence = _find(model, frame.image, settings, device)
            sure = confidence >= settings.confident
            if not sure.any():
                left_out += 1
                continue
            image, count = grey_doubtful(frame.image, xyxy[sure], xyxy[~sure])
            dataset.add("train", f"{name}_{frame.frame_index + 1:06d}", image, xyxy[sure])
            greyed += count
    added = dataset.added["train"]
    return PseudoLabelled(added.images, added.boxes, greyed, left_out)


def grey_doubtful(
    image: NDArray[np.uint8], confident_xyxy: NDArray[np.float64], doubtful_xyxy: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], int]:
    """Paint doubtful boxes grey, except the pixels inside confident boxes.

    Args:
        image: (H, W, 3) uint8 BGR; it is not changed.
        confident_xyxy: (N, 4) in pixels.
        doubtful_xyxy: (M, 4) in pixels.

    Returns:
        The painted picture, and the number of doubtful boxes painted. A box that lies mostly inside a confident box is
        not painted: it shows a part of the same person or a person behind, and painting it would cut into the label.
    """
    if len(doubtful_xyxy) and len(confident_xyxy):
        shared = intersections(doubtful_xyxy, confident_xyxy).max(axis=1)
        doubtful_xyxy = doubtful_xyxy[shared < PART_OF_SOMEBODY * areas(doubtful_xyxy)]
    grey = _covered(doubtful_xyxy, image.shape[:2]) & ~_covered(confident_xyxy, image.shape[:2])
    painted = image.copy()
    painted[grey] = PADDING_GREY
    return painted, len(doubtful_xyxy)


def _covered(xyxy: NDArray[np.float64], size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the (H, W) mask of the pixels that any of the boxes (N, 4) touches."""
    mask = np.zeros(size_hw[:2], np.bool_)
    for left, top, right, bottom in xyxy:
        rows = slice(max(int(np.floor(top)), 0), max(int(np.ceil(bottom)), 0))
        mask[rows, max(int(np.floor(left)), 0) : max(int(np.ceil(right)), 0)] = True
    return mask


def _load(weights: str, settings: PseudoLabelSettings) -> Any:
    if not weights.endswith(".pt"):
        raise InputError(f"{weights} is not a .pt checkpoint; exported models cannot detect at several scales")
    model = load_model(weights)
    if settings.class_name not in model.names.values():
        raise InputError(
            f"{weights} does not know {settings.class_name}; its classes are: {', '.join(model.names.values())}"
        )
    return model


def _find(
    model: Any, image: NDArray[np.uint8], settings: PseudoLabelSettings, device: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return boxes xyxy (N, 4) in pixels and their confidence (N,), including the doubtful ones."""
    class_ids = [number for number, name in model.names.items() if name == settings.class_name]
    (result,) = model.predict(
        [image],
        imgsz=settings.image_size_px,
        augment=settings.augment,
        conf=settings.doubtful,
        iou=settings.nms_iou,
        classes=class_ids,
        device=device,
        verbose=False,
    )
    rows = result.boxes.data.cpu().numpy().astype(np.float64)  # (N, 6): xyxy, confidence, class id
    return rows[:, :4], rows[:, 4]
