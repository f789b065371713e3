"""What is built before a live run begins: models, warmed up, so that no camera waits for them."""

from __future__ import annotations

import numpy as np

from pipeline.assembly import build_detector, build_embedder, calibrated, versions
from pipeline.config.config import Config
from pipeline.core.datatypes import Frame
from pipeline.core.models import Models

# The first batch of a network can take many times as long as the others.
_WARM_UP_WH = (1280, 720)


def build_live(config: Config) -> tuple[Config, Models]:
    """The models, and the configuration with numbers in place of calibrated limits.

    Raises:
        InputError: weights are missing or do not fit.
    """
    detector = build_detector(config)
    embedder = build_embedder(config)
    config = calibrated(config, "" if embedder is None else embedder.model_hash)
    width, height = _WARM_UP_WH
    blank = np.zeros((height, width, 3), np.uint8)
    # The result is thrown away; nothing is ever tracked in a picture that no camera took.
    count = min(max(len(config.cameras), 1), config.detector.max_batch)
    frames = [Frame("warm-up", 0, 0.0, _WARM_UP_WH, blank)] * count
    detector.detect(frames)
    if embedder is not None and config.cameras:
        frame = Frame(config.cameras[0].name, 0, 0.0, _WARM_UP_WH, blank)
        embedder.embed([frame], [np.array([[100, 100, 200, 400]], np.float32)])
    return config, Models(detector, embedder, versions())
