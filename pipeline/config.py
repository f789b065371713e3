"""The configuration: strict, frozen, read in one place; `configs/default.yaml` holds every key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from pipeline.config_faults import describe
from pipeline.config_file import merge, read_config_file
from pipeline.config_section import (
    CosineLimit,
    Count,
    Half,
    NotNegative,
    Positive,
    PositiveShare,
    Section,
    Share,
)
from pipeline.errors import InputError
from pipeline.inference_runtime import Runtime
from pipeline.live.settings import LiveSettings
from pipeline.network_input import NetworkInput, from_preset
from pipeline.stream_address import StreamAddress, hide_login, is_stream

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_CONFIG = PROJECT_ROOT / "configs" / "default.yaml"

Point = Annotated[list[float], Field(min_length=2, max_length=2)]


def _start_utc(value: object) -> object:
    """A date and time as YAML or ISO 8601 text gives it, in UTC; without a zone it is taken as UTC."""
    if value is None or value == "container":
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = value
    if not isinstance(moment, datetime):
        raise ValueError(
            f"expected a date and time such as 2026-05-01T10:00:00Z, or container, but it is {value!r}"
        )
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class CameraConfig(Section):
    """One camera; see the comments in configs/default.yaml for units and meanings."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    source: str
    transport: Literal["tcp", "udp"] = "tcp"
    username: SecretStr | None = None
    password: SecretStr | None = None
    password_file: str | None = None
    # What variables put into `source`; filled in by the reader of the file, and in no dump.
    source_secrets: list[SecretStr] = Field(default_factory=list, exclude=True, repr=False)
    calibrated_size_wh: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    start_s: float = 0.0
    start_utc: Annotated[datetime | Literal["container"] | None, BeforeValidator(_start_utc)] = None
    clock_rate: Positive = 1.0
    frame_rate: Positive | None = None
    crop_xyxy_px: Annotated[list[int], Field(min_length=4, max_length=4)] | None = None
    reid_camera: str | int | None = None
    region_of_interest_px: Annotated[list[Point], Field(min_length=3)] | None = None
    homography: (
        Annotated[
            list[Annotated[list[float], Field(min_length=3, max_length=3)]], Field(min_length=3, max_length=3)
        ]
        | None
    ) = None

    @model_validator(mode="before")
    @classmethod
    def _take_out_credentials(cls, values: object) -> object:
        """User and password of a URL move to their own keys, so that `source` can be shown."""
        if not isinstance(values, dict) or not isinstance(values.get("source"), str):
            return values
        if not is_stream(values["source"]):
            return values
        address = StreamAddress.parse(values["source"])
        if address.username is None:
            return values
        if values.get("username") is not None or values.get("password") is not None:
            raise ValueError("give user and password in the URL or in username and password, not in both")
        return {
            **values,
            "source": address.url,
            "username": address.username,
            "password": address.password,
        }

    @model_validator(mode="after")
    def _consistent(self) -> CameraConfig:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        if (self.password is not None or self.password_file is not None) and self.username is None:
            raise ValueError("a password needs a username")
        if self.start_utc is not None and self.start_s != 0:
            raise ValueError("give start_s or start_utc, not both")
        if self.crop_xyxy_px is not None:
            x1, y1, x2, y2 = self.crop_xyxy_px
            if not (0 <= x1 < x2 and 0 <= y1 < y2):
                raise ValueError(f"crop_xyxy_px must be [left, top, right, bottom], not {self.crop_xyxy_px}")
        return self


class DetectorConfig(Section):
    weights: str
    classes: Annotated[list[str], Field(min_length=1)]
    image_size_px: Annotated[int, Field(ge=32)]
    confidence_min: Share
    nms_iou: Share
    max_detections: Count
    max_batch: Count
    device: str
    runtime: Runtime
    half: Half


class EmbedderConfig(Section):
    weights: str | None
    input: Annotated[NetworkInput | None, BeforeValidator(from_preset)]
    site: str | None
    batch_size: Count
    device: str
    runtime: Runtime
    half: Half


#: Limits on distances hold for so many people to choose from.
FEW_PEOPLE = 10
# The calibration says nothing about smaller rates of false matches than this stands for.
_LEAST_CROWD_FACTOR = 0.25


class _MatchingSection(Section):
    """Settings of a part that compares embeddings."""

    max_cosine_distance: CosineLimit

    @property
    def cosine_limit(self) -> float:
        """`max_cosine_distance` as a number; ValueError while it is still to be taken from a calibration."""
        if self.max_cosine_distance == "calibrated":
            raise ValueError("max_cosine_distance is to be calibrated, but no calibration was applied")
        return self.max_cosine_distance


class _CentringSection(_MatchingSection):
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


class TrackerSettings(_MatchingSection):
    """Association inside one camera."""

    high_confidence: Share
    low_confidence: Share
    new_track_confidence: Share
    max_iou_distance_high: PositiveShare
    max_iou_distance_low: Share
    max_iou_distance_tentative: Share
    max_gate_distance: Positive
    somebody_else_factor: Annotated[float, Field(ge=1)]
    duplicate_iou: Share
    confirm_after_s: NotNegative
    max_lost_s: Positive
    embedding_interval_s: Positive
    embedding_first_interval_s: NotNegative
    first_crops: Count
    sparse_frames_s: Positive
    overlap_trusted_s: Positive
    ambiguous_iou: Share
    ambiguous_margin_iou: Share
    good_crop_confidence: Share
    good_crop_height_px: NotNegative
    good_crop_max_overlap: Share
    border_margin_px: NotNegative
    process_noise: Positive
    measurement_noise: Positive

    @model_validator(mode="after")
    def _ordered(self) -> TrackerSettings:
        if not self.low_confidence <= self.high_confidence <= self.new_track_confidence:
            raise ValueError(
                "low_confidence <= high_confidence <= new_track_confidence must hold, but they are "
                f"{self.low_confidence}, {self.high_confidence}, {self.new_track_confidence}"
            )
        return self


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


class OutputConfig(Section):
    interpolate: bool
    interpolate_max_gap_s: Positive
    video: bool
    save_detections: bool
    save_embeddings: bool


class RuntimeConfig(Section):
    prefetch_frames: Count
    prefetch_ticks: Count


class Config(Section):
    """Everything that `track` and `live` need to know."""

    cameras: list[CameraConfig]
    detector: DetectorConfig
    embedder: EmbedderConfig
    tracker: TrackerSettings
    linker: LinkerSettings
    second_pass: SecondPassSettings
    output: OutputConfig
    runtime: RuntimeConfig
    live: LiveSettings

    @model_validator(mode="after")
    def _cameras_agree(self) -> Config:
        names = [camera.name for camera in self.cameras]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"camera {name!r} is named twice")
        dated = [camera.start_utc is not None for camera in self.cameras]
        if any(dated) and not all(dated):
            undated = next(camera.name for camera in self.cameras if camera.start_utc is None)
            raise ValueError(f"start_utc must be given for every camera or for none; {undated!r} has none")
        if names:
            check_windows(self.linker.transit_windows, names)
        return self


def check_windows(windows: Sequence[TransitWindow], camera_ids: Sequence[str]) -> None:
    """InputError if a window is of a camera that is none of these."""
    for window in windows:
        for name in (window.from_camera, window.to_camera):
            if name not in camera_ids:
                raise InputError(f"transit window names camera {name!r}; the cameras are {', '.join(camera_ids)}")


def load_config(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read configs/default.yaml, then `path` over it, then `overrides` (nested, as in the file) over both.

    Raises:
        InputError: naming the file, the key's path, the value and what was expected; the last file that was read,
            where the fault may be in the overrides.
    """
    merged = read_config_file(DEFAULT_CONFIG)
    label = str(DEFAULT_CONFIG)
    if path is not None:
        merged, label = merge(merged, read_config_file(path)), str(path)
    if overrides:
        merged, label = merge(merged, overrides), f"{label} with overrides"
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"{label}: {describe(error)}") from error


def named_sources(sources: Sequence[str]) -> list[dict[str, Any]]:
    """Camera entries from `SOURCE` or `cam=SOURCE` arguments; without a name the file's name is taken.

    The part before '=' is a name only when it looks like one and the whole is not itself a path.
    """
    cameras = []
    for index, text in enumerate(sources):
        name, equals, path = text.partition("=")
        if not (equals and re.fullmatch(r"[\w.-]+", name) and not Path(text).exists()):
            path = text
            # A password in an address does not belong into a name, which is shown.
            shown = hide_login(StreamAddress.parse(text).url) if is_stream(text) else text
            stem = Path(shown).stem if Path(shown).suffix else Path(shown).name
            name = re.sub(r"[^\w.-]", "_", stem) or f"cam{index + 1}"
        cameras.append({"name": name, "source": path})
    return cameras
