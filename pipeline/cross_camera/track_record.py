"""What linking knows about one track of one camera while the track is active."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.core.datatypes import Link, Tracklet
from pipeline.cross_camera.feature_bank import FeatureBank
from pipeline.cross_camera.floor_path import SLOT_S, FloorPath


@dataclass(eq=False)
class TrackRecord:
    """Updated with every observed box; output rows keep a reference to it to learn their global id.

    Attributes:
        camera_id, track_id, class_id: of the track.
        start_s, last_s: time of its first and its newest box.
        bank: diverse embeddings of its good crops.
        partial_bank: diverse embeddings of its partial crops, until it has a good crop.
        good_crops: number of its good crops, also of those that the bank did not keep.
        partial_crops: the same of its partial crops.
        floor: its path on the floor, empty without a homography.
        observations: number of boxes.
        known_s: time of its first crop with an embedding, or of its first floor position; +inf before.
        still: whether it has never moved, so that it is not a person.
        link: its global id; None while undecided.
    """

    camera_id: str
    track_id: int
    class_id: int
    start_s: float
    last_s: float
    bank: FeatureBank
    partial_bank: FeatureBank
    floor: FloorPath
    observations: int = 0
    good_crops: int = 0
    partial_crops: int = 0
    known_s: float = math.inf
    still: bool = False
    link: Link | None = None

    @property
    def described_in_part(self) -> bool:
        """Whether only partial crops describe the person."""
        return not self.good_crops and self.partial_crops > 0

    @property
    def describing_bank(self) -> FeatureBank:
        """The embeddings that describe the person best."""
        return self.partial_bank if self.described_in_part else self.bank

    def summary(self) -> Tracklet:
        """Return the tracklet of the finished track, for the second pass."""
        embeddings = self.describing_bank.embeddings
        return Tracklet(
            camera_id=self.camera_id,
            track_id=self.track_id,
            class_id=self.class_id,
            start_s=self.start_s,
            end_s=self.last_s,
            embeddings=embeddings,
            floor_time_s=(self.floor.slots + 0.5) * np.float64(SLOT_S),
            floor_xy_m=self.floor.xy_m,
            observations=self.observations,
            partial=self.described_in_part,
        )
