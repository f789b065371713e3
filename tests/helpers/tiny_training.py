"""A training run of seconds: a tiny network, and people drawn by the test."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reid.training.config import TrainingConfig, parse_training_config
from reid.training.log import TrainingLog

TINY: dict[str, Any] = {
    "model": {
        "architecture": {"width": 32, "depth": 2, "heads": 2},
        "image_size_hw": [32, 16],
        "jigsaw": False,
        "drop_path": 0.1,
    },
    "data": {"development_ids": 8, "ids_per_batch": 8, "crops_per_id": 4, "camera_dropout": 0.3},
    "augmentation": {"pad_px": 1, "erasing_probability": 0.2, "brightness_jitter": 0.1, "colour_cast": 0.01},
    "optimizer": {"name": "adamw", "lr": 2.0e-3, "weight_decay": 0.01, "clip_norm": 5.0},
    "schedule": {"epochs": 2, "warmup_epochs": 0.5},
    "run": {"checkpoint_every_iterations": 2, "log_every_iterations": 1, "precision": "fp32"},
}


def tiny_config(**sections: dict[str, Any]) -> TrainingConfig:
    """TINY with some values replaced, section by section."""
    return parse_training_config(tiny_values(**sections), source="tiny")


def tiny_values(**sections: dict[str, Any]) -> dict[str, Any]:
    """The same before it is checked, for files."""
    values = copy.deepcopy(TINY)
    for section, changes in sections.items():
        values.setdefault(section, {}).update(changes)
    return values


def draw_people(folder: Path, people: int = 32) -> Path:
    """People in shirt and trousers of random colours, 4 crops in each of two cameras.

    The second camera is darker and yellowish, so that an untrained network finds the camera, not the person.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for person in range(people):
        shirt, trousers = rng.uniform(40, 255, (2, 3))
        for camera, cast in ((1, np.array([1.0, 1.0, 1.0])), (2, np.array([0.7, 0.6, 0.3]))):
            for number in range(4):
                image = np.empty((32, 16, 3))
                image[:16], image[16:] = shirt, trousers
                image = image * cast * rng.uniform(0.85, 1.15) + rng.normal(0, 12, image.shape)
                pixels = image.clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{person:04}_c{camera}_{number:02}.png")
    return folder


def without_times(folder: Path) -> list[dict[str, Any]]:
    """The log of a run but for times, which no two runs share."""
    return [
        {k: v for k, v in entry.items() if k not in ("left_s", "network_share")}
        for entry in TrainingLog(folder).entries()
    ]
