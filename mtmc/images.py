"""Embeds images that each show one person."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import build_embedder
from pipeline.config.config import Config, load_config
from pipeline.core.errors import InputError
from pipeline.sources.images import required_image


def embed_images(paths: Iterable[str | Path], config: Config | None = None) -> NDArray[np.float32]:
    """Return the embeddings (N, D) float32, L2-normalised, of N image files that each show one person.

    The dot product of two embeddings is their cosine similarity: the closer to 1, the more likely they show the same
    person. As the camera is not known, the model uses its SIE row for unknown cameras.

    Args:
        config: its `embedder` section names the model; None takes the shipped model.

    Raises:
        InputError: a file cannot be read, is not an image or is too small, or `embedder.weights` is null.
    """
    embedder = build_embedder(config or load_config())
    if embedder is None:
        raise InputError("embedder.weights is null: embedding needs a model")
    files = [Path(path) for path in paths]
    crops = embedder.embed_images([required_image(file) for file in files])
    for file, valid in zip(files, crops.valid.tolist(), strict=True):
        if not valid:
            raise InputError(f"{file} is too small to embed")
    return crops.embeddings
