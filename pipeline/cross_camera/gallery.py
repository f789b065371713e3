"""The identities of a linker as data, independent of the run that learned them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, FloatArray, IntArray
from pipeline.cross_camera.camera_centres import CentreState


@dataclass(frozen=True, eq=False)
class Gallery:
    """The identities that a linker holds (I identities, C cameras, F features of D values per identity).

    Attributes:
        camera_ids: C names.
        next_id: the first global id that was never used.
        global_id, class_id: (I,) int64.
        last_seen_s: (I, C) float64 on the run's clock, -inf where never seen.
        features: (I, F, D) float32, not centred; rows without a feature are arbitrary.
        has_feature: (I, F) bool.
        feature_camera: (I, F) int64, the camera that saw each feature.
        centres: the learned camera means.
        last_floor_s, last_floor_xy_m: (I,) and (I, 2), NaN without a floor position.
    """

    camera_ids: tuple[str, ...]
    next_id: int
    global_id: IntArray
    class_id: IntArray
    last_seen_s: NDArray[np.float64]
    features: FloatArray
    has_feature: BoolArray
    feature_camera: IntArray
    centres: CentreState
    last_floor_s: NDArray[np.float64]
    last_floor_xy_m: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.global_id)
