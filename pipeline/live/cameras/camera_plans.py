"""Plans how the cameras of the configuration are opened; the only place that reads their passwords."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.config import CameraConfig, Config
from pipeline.config.output_settings import read_secret
from pipeline.core.errors import InputError
from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress, is_stream
from pipeline.floor.camera_geometry import geometry_of
from pipeline.live.cameras.fleet import CameraPlan
from pipeline.live.cameras.stream import AvOpener, StreamOptions
from pipeline.sources.recording_dates import start_utc_of
from pipeline.sources.suffixes import is_video_name

# Any size is suitable to check whether a homography can be inverted.
_SOME_SIZE_WH = (1280, 720)


def camera_plans(config: Config, *, simulate_live: bool, redact: Redactor) -> list[CameraPlan]:
    """Return how each camera is opened, and register its secrets with `redact`.

    Raises:
        InputError: there is no camera, a file is given without `simulate_live`, or a source cannot be used.
    """
    if not config.cameras:
        raise InputError("there is no camera: add some to the configuration (cameras)")
    for camera in config.cameras:
        _check(camera, simulate_live)
    part = config.recording
    if simulate_live and (part.start_s, part.end_s, part.stride) != (None, None, 1):
        raise InputError(
            "recording.start_s, end_s and stride are for `mtmc track`; --simulate-live plays recordings as a whole: "
            "remove these settings"
        )
    starts_s = {camera.name: _start_s(camera) for camera in config.cameras if not is_stream(camera.source)}
    first_s = min(starts_s.values(), default=0.0)
    options = config.live
    plans = []
    for camera in config.cameras:
        address = _address(camera, redact)
        is_file = not is_stream(camera.source)
        interval_s = 0.0 if is_file else camera.frame_interval_s or 0.0
        opener = AvOpener(
            address,
            StreamOptions(
                camera.transport,
                # Opening takes two frames; FFmpeg detects silence after twice the read timeout.
                options.open_timeout_s + 2 * interval_s,
                options.read_timeout_s + interval_s,
                display_size_wh=camera.display_size,
                max_picture_px=config.runtime.max_picture_px,
                frame_rate=camera.frame_rate,
                clock_rate=camera.clock_rate,
            ),
            redact,
        )
        offset_s = starts_s[camera.name] - first_s if is_file else 0.0
        plans.append(CameraPlan(camera.name, opener, is_file, offset_s, interval_s))
    return plans


def crops_of(cameras: Sequence[CameraConfig]) -> dict[str, tuple[int, int, int, int] | None]:
    """Return the part of each camera's picture that is used: left, top, right, bottom in px; None for the whole one."""
    crops: dict[str, tuple[int, int, int, int] | None] = {}
    for camera in cameras:
        if camera.crop_xyxy_px is None:
            crops[camera.name] = None
        else:
            left, top, right, bottom = camera.crop_xyxy_px
            crops[camera.name] = (left, top, right, bottom)
    return crops


def _check(camera: CameraConfig, simulate_live: bool) -> None:
    geometry_of(camera, _SOME_SIZE_WH, warn=lambda text: None)  # this is not yet the size of its pictures
    if is_stream(camera.source):
        given = [camera.start_utc is not None, camera.start_s != 0, camera.clock_rate != 1, camera.frame_rate]
        if any(given):
            raise InputError(
                f"camera {camera.name}: start_s, start_utc, clock_rate and frame_rate are for recordings; a live "
                "camera's frames carry their own time"
            )
        return
    path = Path(camera.source)
    if not simulate_live:
        raise InputError(
            f"camera {camera.name}: {camera.source} is not a live stream; --simulate-live plays files at their own "
            "speed, and `mtmc track` tracks them without losing a frame"
        )
    if not path.is_file() or not is_video_name(path):
        raise InputError(
            f"camera {camera.name}: there is no video file {camera.source}; --simulate-live plays video files only"
        )


def _start_s(camera: CameraConfig) -> float:
    start_utc = start_utc_of(
        camera.name,
        camera.source,
        camera.start_utc,
        clock_rate=camera.clock_rate,
        frame_rate=camera.frame_rate,
    )
    return camera.start_s if start_utc is None else start_utc.timestamp()


def _address(camera: CameraConfig, redact: Redactor) -> StreamAddress:
    username = None if camera.username is None else camera.username.get_secret_value()
    password = None if camera.password is None else camera.password.get_secret_value()
    if camera.password_file is not None:
        try:
            password = read_secret(None, camera.password_file)
        except InputError as error:
            raise InputError(f"camera {camera.name}: {error}") from error
    redact.add([password] if password else [])
    redact.add(secret.get_secret_value() for secret in camera.source_secrets)
    return StreamAddress(camera.source, username, password)
