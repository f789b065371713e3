"""The configuration: strict, frozen, read in one place; `configs/default.yaml` holds every key."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator

from pipeline.config.config_file import read_config_file
from pipeline.config.live_settings import LiveSettings
from pipeline.core.config_faults import describe
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Runtime, device_name
from pipeline.core.network_input import NetworkInput, from_preset
from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.section import (
    Count,
    Half,
    PathText,
    Positive,
    Section,
    Share,
)
from pipeline.core.shown_values import shown
from pipeline.core.stream_address import StreamAddress, hide_login, is_stream
from pipeline.core.yaml_file import merge
from pipeline.counting.settings import CountingSettings, LineSettings, ZoneSettings, check_cameras, check_counting
from pipeline.cross_camera.settings import LinkerSettings, SecondPassSettings, check_windows
from pipeline.single_camera.settings import TrackerSettings
from pipeline.sources.suffixes import SEQUENCE_FILE, is_image_name, is_video_name, natural_sorted

_log = logging.getLogger(__name__)
_LONGEST_NAME = 200
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
DEFAULT_CONFIG = PROJECT_ROOT / "configs" / "default.yaml"

Device = Annotated[str, BeforeValidator(device_name)]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]


def _start_utc(value: object) -> object:
    """Convert a date and time, from YAML or ISO 8601 text, to UTC; without a time zone it is taken as UTC."""
    if value is None or value in ("container", "container_end"):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = value
    if not isinstance(moment, datetime):
        raise ValueError(
            "expected a date and time such as 2026-05-01T10:00:00Z, or container or container_end, but it is "
            f"{shown(value)}"
        )
    # Sums with the first and the last years of the calendar overflow.
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}, but it is {moment.year}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _short_name(name: str) -> str:
    length = len(name.encode())
    if length > _LONGEST_NAME:
        raise ValueError(
            f"the name has {length} bytes, but files are named after it: give one of up to {_LONGEST_NAME}"
        )
    return name


class CameraConfig(Section):
    """One camera; see the comments in configs/default.yaml for units and meanings."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$"), AfterValidator(_short_name)]
    source: PathText
    transport: Literal["tcp", "udp"] = "tcp"
    username: SecretStr | None = None
    password: SecretStr | None = None
    password_file: PathText | None = None
    frame_interval_s: Positive | None = None
    # Values of environment variables in `source`; filled in by the file reader, excluded from dumps.
    source_secrets: list[SecretStr] = Field(default_factory=list, exclude=True, repr=False)
    calibrated_size_wh: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    start_s: float = 0.0
    start_utc: Annotated[datetime | Literal["container", "container_end"] | None, BeforeValidator(_start_utc)] = (
        None
    )
    clock_rate: Positive = 1.0
    frame_rate: Positive | None = None
    display_size_wh: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    crop_xyxy_px: Annotated[list[int], Field(min_length=4, max_length=4)] | None = None
    reid_camera: str | int | None = None
    region_of_interest_px: Annotated[list[Point], Field(min_length=3)] | None = None
    homography: (
        Annotated[
            list[Annotated[list[float], Field(min_length=3, max_length=3)]], Field(min_length=3, max_length=3)
        ]
        | None
    ) = None

    @property
    def display_size(self) -> tuple[int, int] | None:
        """`display_size_wh` as a tuple (width, height) in pixels."""
        return None if self.display_size_wh is None else (self.display_size_wh[0], self.display_size_wh[1])

    @model_validator(mode="before")
    @classmethod
    def _take_out_credentials(cls, values: object) -> object:
        """Move user and password of a URL to their own keys, so that `source` can be shown."""
        if not isinstance(values, dict) or not isinstance(values.get("source"), str):
            return values
        if not is_stream(values["source"]):
            return values
        address = StreamAddress.parse(values["source"])
        if address.username is None:
            return {**values, "source": address.url}
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
    weights: PathText
    classes: Annotated[list[str], Field(min_length=1)]
    image_size_px: Annotated[int, Field(ge=32)]
    confidence_min: Share
    nms_iou: Share
    max_detections: Count
    max_batch: Count
    motion_gate: bool
    motion_interval_s: Positive
    motion_min_change: Annotated[float, Field(ge=0, le=255)]
    device: Device
    runtime: Runtime
    half: Half


class EmbedderConfig(Section):
    weights: PathText | None
    input: Annotated[NetworkInput | None, BeforeValidator(from_preset)]
    classes: Annotated[list[str], Field(min_length=1)]
    site: PathText | None
    batch_size: Count
    device: Device
    runtime: Runtime
    half: Half


class OutputConfig(Section):
    interpolate: bool
    interpolate_max_gap_s: Positive
    video: bool
    show: bool
    save_detections: bool
    save_embeddings: bool
    save_decisions: bool

    @property
    def fill_gaps_s(self) -> float | None:
        """Gaps of up to this many seconds are filled; None fills none."""
        return self.interpolate_max_gap_s if self.interpolate else None


class RecordingConfig(Section):
    """Selects the part of the recordings that is used; live streams are used completely."""

    start_s: float | None
    end_s: float | None
    stride: Count

    @model_validator(mode="after")
    def _ordered(self) -> RecordingConfig:
        if self.start_s is not None and self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError(f"end_s {self.end_s} is not after start_s {self.start_s}")
        return self


class RuntimeConfig(Section):
    prefetch_frames: Count
    prefetch_ticks: Count
    max_picture_megapixels: Positive

    @property
    def max_picture_px(self) -> int:
        """The limit in pixels."""
        return int(self.max_picture_megapixels * 1_000_000)


class Config(Section):
    """The whole configuration of `track` and `live`."""

    cameras: list[CameraConfig]
    detector: DetectorConfig
    embedder: EmbedderConfig
    tracker: TrackerSettings
    linker: LinkerSettings
    second_pass: SecondPassSettings
    recording: RecordingConfig
    output: OutputConfig
    zones: list[ZoneSettings]
    lines: list[LineSettings]
    counting: CountingSettings
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
        for camera in self.cameras:
            if camera.display_size_wh is not None:
                width, height = camera.display_size_wh
                if width * height > self.runtime.max_picture_px:
                    raise ValueError(
                        f"display_size_wh {width}x{height} of camera {camera.name!r} is above "
                        f"runtime.max_picture_megapixels, {self.runtime.max_picture_megapixels:g}"
                    )
        check_counting(self.zones, self.lines, self.counting)
        if names:
            check_windows(self.linker.transit_windows, names)
            floor = any(camera.homography is not None for camera in self.cameras)
            check_cameras(self.zones, self.lines, names, floor=floor)
        return self


def load_config(
    path: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    cameras: Sequence[Mapping[str, Any]] = (),
) -> Config:
    """Read configs/default.yaml, override it with the file `path`, then with `overrides` (nested, as in the file).

    Args:
        cameras: cameras named beside the file, as from `named_sources`. If the file has cameras, these are the ones to
            use, with another source and all other settings of the file. `overrides` change them by their number, as
            {"cameras": {"0": {"start_s": 5}}}.

    Raises:
        InputError: a file cannot be read, or a key or value is not valid. The message names the file, the path of the
            key, the value and what was expected. The file is the last one read, even if the fault is in the overrides.
            Or `cameras` names one that the file does not have, or `overrides` replace all of them.
    """
    merged = read_config_file(DEFAULT_CONFIG)
    label = str(DEFAULT_CONFIG)
    if path is not None:
        merged, label = merge(merged, read_config_file(Path(path))), str(path)
    if cameras:
        if overrides and not isinstance(overrides.get("cameras", {}), Mapping):
            raise InputError("cameras are given as SOURCE and with --set cameras=: name each in one of them")
        merged["cameras"] = _with_sources(merged["cameras"], cameras, label)
    if overrides:
        merged, label = merge(merged, overrides), f"{label} with overrides"
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise InputError(f"{label}: {describe(error, Config)}") from error


def _with_sources(of_file: Any, named: Sequence[Mapping[str, Any]], label: str) -> list[dict[str, Any]]:
    """Return the entries of the named cameras: as in the file if it has cameras, but with the source that is named."""
    entries = of_file if isinstance(of_file, list) else [of_file] if of_file else []
    if not all(isinstance(entry, Mapping) and isinstance(entry.get("name"), str) for entry in entries):
        raise InputError(f"{label}: cameras: must be a list of cameras, each with its name")
    known = {entry["name"]: entry for entry in entries}
    if not known:
        return [dict(camera) for camera in named]
    names = [camera["name"] for camera in named]
    if strange := [name for name in names if name not in known]:
        raise InputError(
            f"SOURCE names the camera {strange[0]!r}, but those of {label} are {', '.join(known)}: give "
            "CAMERA=PATH with one of these names"
        )
    if left_out := [name for name in known if name not in names]:
        _log.warning("SOURCE names %s; not used are %s of %s", ", ".join(names), ", ".join(left_out), label)
    # A login belongs to the address that is replaced.
    login = ("username", "password", "password_file", "source_secrets")
    return [
        {key: value for key, value in known[camera["name"]].items() if key not in login} | dict(camera)
        for camera in named
    ]


def named_sources(sources: Sequence[str]) -> list[dict[str, Any]]:
    """Return camera entries for `SOURCE` or `cam=SOURCE` arguments; without a name, the file's name is used.

    The part before '=' is a name only if it looks like one and the whole argument is not an existing path. A folder of
    videos without a name becomes one camera per video.

    Raises:
        InputError: a source is empty; a folder cannot be read, or holds images and videos; two sources have the same
            name.
    """
    cameras: list[dict[str, Any]] = []
    paths: dict[str, str] = {}
    for index, text in enumerate(one for source in sources for one in _videos_in(source)):
        name, equals, path = text.partition("=")
        if not (equals and re.fullmatch(r"[\w.-]+", name) and not Path(text).exists()):
            path = text
            # Names are shown, so they must not contain a password from an address.
            shown = hide_login(StreamAddress.parse(text).url) if is_stream(text) else text
            stem = Path(shown).stem if Path(shown).suffix else Path(shown).name
            short = re.sub(r"[^\w.-]", "_", stem).encode()[:_LONGEST_NAME].decode(errors="ignore")
            name = short or f"cam{index + 1}"
        if not path:
            raise InputError(f"SOURCE {text!r} is empty: name a recording or an address, as CAMERA=PATH")
        if name in paths:
            raise InputError(_named_twice(name, paths[name], path))
        paths[name] = path
        cameras.append({"name": name, "source": os.path.expanduser(path)})
    return cameras


def _named_twice(name: str, *paths: str) -> str:
    """Return the error for two sources that have the name `name`, with a way to tell them apart."""
    shown = [hide_login(StreamAddress.parse(path).url) if is_stream(path) else path for path in paths]
    folders = [re.sub(r"[^\w.-]", "_", Path(path).parent.name) for path in shown]
    names = folders if all(folders) and len(set(folders)) == len(folders) else [f"{name}1", f"{name}2"]
    proposed = " ".join(f"{one}={path}" for one, path in zip(names, shown, strict=True))
    return (
        f"camera {name!r} is named twice, by {shown[0]} and {shown[1]}: give each a name of its own (NAME=PATH), "
        f"such as {proposed}"
    )


def _videos_in(source: str) -> list[str]:
    """Return the videos in a folder of videos, else the source itself."""
    folder = Path(os.path.expanduser(source))
    if not source or is_stream(source) or not folder.is_dir() or (folder / SEQUENCE_FILE).is_file():
        return [source]
    try:
        files = [file for file in folder.iterdir() if file.is_file()]
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error
    videos = natural_sorted(file for file in files if is_video_name(file))
    if videos and any(is_image_name(file) for file in files):
        raise InputError(f"{source} holds images and videos: name the videos, or give a folder with images alone")
    return [str(video) for video in videos] or [source]
