"""Settings of linking between cameras; configs/default.yaml explains every key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from pipeline.core.errors import InputError
from pipeline.core.section import (
    CosineLimit,
    Count,
    MatchingSection,
    NotNegative,
    Positive,
    Section,
    Share,
)


class _LinkSection(MatchingSection):
    """Settings of a part that compares embeddings with their camera mean subtracted."""

    max_centred_cosine_distance: CosineLimit | None
    crowd_tightening: Share


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
        """(from, to) pairs of cameras that the window applies to."""
        there = (self.from_camera, self.to_camera)
        return [there] if self.one_way else [there, there[::-1]]


class LinkerSettings(_LinkSection):
    """Settings of linking between cameras while the video runs."""

    margin: NotNegative
    linkable_crops: Count
    few_crops_factor: Share
    partial_crops_factor: Share
    features_per_track: Count
    feature_max_similarity: Share
    max_wait_s: NotNegative
    features_per_identity: Count
    identity_memory_s: Positive
    max_identities: Count | Literal["auto"]
    identity_memory_mb: Positive
    max_speed_m_s: Positive
    max_floor_distance_m: Positive
    floor_weight: Share
    hold_s: NotNegative
    transit_windows: list[TransitWindow]

    @property
    def first_crops(self) -> int:
        """Number of good crops from which on a track is compared with anybody."""
        return 1 if self.few_crops_factor else self.linkable_crops

    @model_validator(mode="after")
    def _one_window_a_direction(self) -> LinkerSettings:
        directions = [pair for window in self.transit_windows for pair in window.directions]
        for pair in directions:
            if directions.count(pair) > 1:
                raise ValueError(f"two windows lead from {pair[0]!r} to {pair[1]!r}; merge them, or set one_way")
        return self


class SecondPassSettings(_LinkSection):
    """Settings of linking finished tracklets."""

    enabled: bool
    max_tracklets_at_once: Annotated[int, Field(ge=2)]


def check_windows(windows: Sequence[TransitWindow], camera_ids: Sequence[str]) -> None:
    """Raise InputError if a window names a camera that is not among `camera_ids`."""
    for window in windows:
        for name in (window.from_camera, window.to_camera):
            if name not in camera_ids:
                raise InputError(f"transit window names camera {name!r}; the cameras are {', '.join(camera_ids)}")
