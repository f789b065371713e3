"""Check that an exported network computes what torch computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.errors import RunError
from pipeline.core.vectors import unit
from reid.backends.base import Backend
from reid.backends.torch_model import TorchBackend
from reid.checkpoints import LoadedModel
from reid.evaluation.retrieval import LabelledFeatures, evaluate_retrieval
from reid.export.sample import CropSample

#: Lowest allowed cosine between the features of a crop, for 16 and 32 bit.
COSINE_MIN = 0.999
_BATCH = 16


@dataclass(frozen=True)
class ExportCheck:
    """Comparison of an export with torch in float32 on the same crops.

    Attributes:
        crops: number of crops.
        cosine_min, cosine_mean: cosine between the two features of a crop.
        map_torch, map_export: mean average precision of the crops, searched in other cameras; None if no person is
            seen by two cameras.
    """

    crops: int
    cosine_min: float
    cosine_mean: float
    map_torch: float | None
    map_export: float | None

    def require_equal(self) -> None:
        """Raise RunError if a cosine is below COSINE_MIN or not a number."""
        if not self.cosine_min >= COSINE_MIN:
            raise RunError(
                f"the export does not compute what the checkpoint computes: the lowest cosine of {self.crops} crops "
                f"is {self.cosine_min:.4f}, at least {COSINE_MIN} is needed"
            )


def check_export(loaded: LoadedModel, backend: Backend, sample: CropSample) -> ExportCheck:
    """Compare `backend` with `loaded` in torch.

    Cameras that the model does not know get the row for unknown cameras. The cosines also cover a few crops with each
    row of the table; the mean average precision does not.
    """
    reference = TorchBackend(loaded, torch.device("cpu"), half=False)
    rows = sample.rows(loaded.camera_names)
    expected, found = (_features(side, sample, rows) for side in (reference, backend))
    every_row = np.arange(min(len(rows), _BATCH), dtype=np.int64) % (loaded.model.config.cameras + 1) - 1
    few = sample.first(len(every_row))
    both = [
        np.concatenate([features, _features(side, few, every_row)])
        for side, features in ((reference, expected), (backend, found))
    ]
    cosines = (both[0] * both[1]).sum(axis=1)
    scores = [_mean_average_precision(features, sample) for features in (expected, found)]
    return ExportCheck(
        crops=len(rows),
        cosine_min=float(cosines.min()),
        cosine_mean=float(cosines.mean()),
        map_torch=scores[0],
        map_export=scores[1],
    )


def _features(backend: Backend, sample: CropSample, rows: IntArray) -> FloatArray:
    """Return (N, D) L2-normalised features."""
    parts = [
        backend.features(sample.crops[start : start + _BATCH], rows[start : start + _BATCH])
        for start in range(0, len(rows), _BATCH)
    ]
    return unit(np.concatenate(parts))


def _mean_average_precision(features: FloatArray, sample: CropSample) -> float | None:
    seen = {(person, camera) for person, camera in zip(sample.person_ids.tolist(), sample.cameras, strict=True)}
    if len({person for person, _ in seen}) == len(seen):
        return None
    labelled = LabelledFeatures(features=features, person_ids=sample.person_ids, cameras=sample.cameras)
    return evaluate_retrieval(labelled, labelled).mean_average_precision
