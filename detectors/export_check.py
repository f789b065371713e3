"""Check that an exported detector computes what torch computes, on the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.ultralytics_import import import_ultralytics
from pipeline.core.errors import RunError

#: Lowest allowed cosine between the outputs for a frame, for 16 and 32 bit.
COSINE_MIN = 0.999


@dataclass(frozen=True)
class ExportCheck:
    """Comparison of the outputs of an export with those of torch in float32.

    Attributes:
        frames: number of frames.
        boxes_cosine_min: the lowest cosine between the boxes of one frame.
        scores_cosine_min: the same for the confidences.
    """

    frames: int
    boxes_cosine_min: float
    scores_cosine_min: float

    def require_equal(self) -> None:
        """Raise RunError if a cosine is below COSINE_MIN or not a number."""
        lowest = float(np.min([self.boxes_cosine_min, self.scores_cosine_min]))
        if not lowest >= COSINE_MIN:
            raise RunError(
                f"the export does not compute what the checkpoint computes: the lowest cosine of {self.frames} frames "
                f"is {lowest:.4f}, at least {COSINE_MIN} is needed"
            )


def check_export(
    weights: Path, exported: Path, images: Sequence[NDArray[np.uint8]], *, image_size_px: int, device: str = "cpu"
) -> ExportCheck:
    """Compare an exported network with its .pt checkpoint.

    Args:
        images: (H, W, 3) uint8 BGR, at least one.
        device: device of the export; the checkpoint runs on the CPU.
    """
    import_ultralytics()
    from ultralytics.data.augment import LetterBox
    from ultralytics.nn.autobackend import AutoBackend

    reference = AutoBackend(model=str(weights), device=torch.device("cpu"), fp16=False, verbose=False)
    network = AutoBackend(model=str(exported), device=torch.device(device), fp16=False, verbose=False)
    letterbox: Any = LetterBox((image_size_px, image_size_px), auto=False)
    boxes: list[float] = []
    scores: list[float] = []
    for image in images:
        square = letterbox(image=image)[..., ::-1].transpose(2, 0, 1)  # BGR to RGB, channels first
        pixels = torch.from_numpy(np.ascontiguousarray(square, np.float32) / 255)[None]
        expected, found = _output(reference, pixels), _output(network, pixels.to(device))
        boxes.append(_cosine(expected[:, :4], found[:, :4]))
        scores.append(_cosine(expected[:, 4:], found[:, 4:]))
    return ExportCheck(len(images), boxes_cosine_min=float(np.min(boxes)), scores_cosine_min=float(np.min(scores)))


def _output(network: Any, pixels: torch.Tensor) -> NDArray[np.float64]:
    """Return (1, 4 + classes, anchors): boxes in pixels of the input, then confidences of the classes."""
    with torch.inference_mode():
        output = network(pixels)
    first = output[0] if isinstance(output, (list, tuple)) else output
    return np.asarray(first.cpu().numpy(), np.float64)


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))
