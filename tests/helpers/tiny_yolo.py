"""A YOLO of 30,000 random parameters: enough to find boxes in noise, always the same ones."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from detectors.ultralytics_import import import_ultralytics

CLASS_NAMES = {0: "person", 1: "car", 2: "truck"}

_ARCHITECTURE = {
    "nc": len(CLASS_NAMES),
    "backbone": [
        [-1, 1, "Conv", [8, 3, 2]],
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
    ],
    "head": [[[2, 3, 4], 1, "Detect", ["nc"]]],
}


def write_tiny_yolo(folder: Path, *, end_to_end: bool = False) -> Path:
    """Write tiny.pt, an ordinary Ultralytics checkpoint with the classes `CLASS_NAMES`.

    Args:
        end_to_end: with the head of a model that needs no non-maximum suppression, such as YOLO26.
    """
    architecture = folder / "tiny.yaml"
    head = {"end2end": True, "reg_max": 1} if end_to_end else {}
    architecture.write_text(yaml.safe_dump({**_ARCHITECTURE, **head}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = import_ultralytics().YOLO(str(architecture))
        head = model.model.model[-1]
        for branch in (*head.cv2, *getattr(head, "one2one_cv2", ())):
            # A side's distance is the mean of a distribution over 0..15 cells: these weights make it about 1.6.
            branch[-1].bias.data.copy_(-torch.arange(head.reg_max).repeat(4) / 2 if head.reg_max > 1 else 1.6)
        for branch in (*head.cv3, *getattr(head, "one2one_cv3", ())):
            # Features of an untrained network are small; confidences should spread over 0..1 all the same.
            torch.nn.init.normal_(branch[-1].weight, std=200.0)
            torch.nn.init.zeros_(branch[-1].bias)
    model.model.names = dict(CLASS_NAMES)
    path = folder / "tiny.pt"
    model.save(path)
    return path
