"""Settings of linking between cameras; configs/default.yaml explains every key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator

from pipeline.core.errors import InputError
from pipeline.core.section import CosineLimit, Count, MatchingSection, NotNegative, Positive, Section, Share

#: Limits on distances hold for so many people to choose from.
FEW_PEOPLE = 10
# The calibration says nothing about smaller rates of false matches than this stands for.
_LEAST_CROWD_FACTOR = 0.25


class _CentringSection(MatchingSection):
    """Settings of a part that compares embeddings after what is common to a camera was taken away."""

    max_centred_cosine_distance: CosineLimit | None
    crowd_tightening: Share

    @property
    def centred_cosine_limit(self) -> float | None:
        """`max_centred_cosine_distance` as a number; None if embeddings are compared as they are."""
        if self.max_centred_cosine_distance == "calibrated":
            raise ValueError("max_centred_cosine_distance is to be calibrated, but no calibration was applied")
        return self.max_centred_cosine_distance

    def cosine_limit_at(self, weight: float) -> float:
        """The limit where the share `weight`, in [0, 1], of a camera's mean was taken away, for few people."""
        if self.centred_cosine_limit is None:
            return self.cosine_limit
        return (1 - weight) * self.cosine_limit + weight * self.centred_cosine_limit

    def crowd_factors(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) factors on that limit where there are so many people (N,) to choose from: a rate of false matches that
        is right for `FEW_PEOPLE` makes ten times as many mistakes among ten times as many."""
        tenfolds = np.log10(np.maximum(people / FEW_PEOPLE, 1.0))
        return np.asarray(np.maximum(1.0 - self.crowd_tightening * tenfolds, _LEAST_CROWD_FACTOR))


class TransitWindow(Section):
    """How long people take from leaving one camera's view to entering another's."""

    model_config = ConfigDict(populate_by_name=True)

    from_camera: Annotated[str, Field(alias="from")]
    to_camera: Annotated[str, Field(alias="to")]
    min_s: float
    max_s: float
    one_way: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> TransitWindow:
        if self.min_s > self.max_s:
            raise ValueError(f"min_s {self.min_s} is above max_s {self.max_s}")
        if self.from_camera == self.to_camera:
            raise ValueError(f"from and to are both {self.to_camera!r}, but a window is between two cameras")
        return self

    @property
    def directions(self) -> list[tuple[str, str]]:
        """(from, to) pairs of cameras that the window holds for."""
        there = (self.from_camera, self.to_camera)
        return [there] if self.one_way else [there, there[::-1]]


class LinkerSettings(_CentringSection):
    """Linking between cameras while the video runs."""

    margin: NotNegative
    linkable_crops: Count
    features_per_track: Count
    feature_max_similarity: Share
    max_wait_s: NotNegative
    features_per_identity: Count
    identity_memory_s: Positive
    max_identities: Count
    max_speed_m_s: Positive
    max_floor_distance_m: Positive
    floor_weight: Share
    hold_s: NotNegative
    transit_windows: list[TransitWindow]

    @model_validator(mode="after")
    def _one_window_a_direction(self) -> LinkerSettings:
        directions = [pair for window in self.transit_windows for pair in window.directions]
        for pair in directions:
            if directions.count(pair) > 1:
                raise ValueError(f"two windows lead from {pair[0]!r} to {pair[1]!r}; merge them, or set one_way")
        return self


class SecondPassSettings(_CentringSection):
    """Linking of finished tracklets."""

    enabled: bool
    max_tracklets_at_once: Annotated[int, Field(ge=2)]


def check_windows(windows: Sequence[TransitWindow], camera_ids: Sequence[str]) -> None:
    """InputError if a window is of a camera that is none of these."""
    for window in windows:
        for name in (window.from_camera, window.to_camera):
            if name not in camera_ids:
                raise InputError(f"transit window names camera {name!r}; the cameras are {', '.join(camera_ids)}")
