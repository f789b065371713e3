"""Builds the parts of a run from a configuration."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.association.gated_detector import GatedDetector
from pipeline.association.motion_gate import GateSettings
from pipeline.config.calibration import Calibration, resolved_limits, wants_calibration
from pipeline.config.config import CameraConfig, Config, RecordingConfig
from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.core.models import Detector, Models
from pipeline.core.stream_address import is_stream
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.sources.base import FrameSource
from pipeline.sources.cropped import CroppedSource
from pipeline.sources.open import open_source
from pipeline.sources.part import PartOfSource
from pipeline.sources.recording_dates import start_utc_of

if TYPE_CHECKING:
    from reid.backends.choose import EmbeddingModel
    from reid.embedder import NetworkEmbedder

_NOTED_PACKAGES = ("torch", "openvino", "ultralytics", "timm", "numpy", "opencv-python", "av", "lap", "pyarrow")
_log = logging.getLogger(__name__)

# (width, height) in px of the warm-up image. Without a warm-up, the first batch can take many times as long.
_WARM_UP_WH = (1280, 720)


def open_sources(config: Config) -> tuple[list[FrameSource], datetime | None]:
    """Open all recordings. Return them, and the date and time of second 0 of their shared clock (None if unknown).

    Raises:
        InputError: there is no camera, or a recording cannot be opened. The recordings already open are closed.
    """
    if not config.cameras:
        raise InputError("there is no camera: name a SOURCE, or cameras in the configuration")
    starts = [
        start_utc_of(
            camera.name,
            camera.source,
            camera.start_utc,
            clock_rate=camera.clock_rate,
            frame_rate=camera.frame_rate,
        )
        for camera in config.cameras
    ]
    epoch = min((start for start in starts if start is not None), default=None)
    sources: list[FrameSource] = []
    try:
        for camera, start in zip(config.cameras, starts, strict=True):
            offset_s = camera.start_s if start is None or epoch is None else (start - epoch).total_seconds()
            sources.append(part_of(_open(config, camera, offset_s), config.recording))
    except BaseException:
        close_sources(sources)
        raise
    return sources, epoch


def close_sources(sources: list[FrameSource]) -> None:
    """Close all sources."""
    for source in sources:
        source.close()


def build_detector(config: Config) -> Detector:
    """Build the detector that `config.detector` describes.

    Raises:
        InputError: the weights are missing, or do not know a class of `detector.classes`.
    """
    from detectors.yolo import YoloDetector

    settings = config.detector
    return YoloDetector(
        settings.weights,
        image_size_px=settings.image_size_px,
        confidence_min=settings.confidence_min,
        nms_iou=settings.nms_iou,
        classes=settings.classes,
        max_batch=settings.max_batch,
        max_detections=settings.max_detections,
        device=settings.device,
        runtime=settings.runtime,
        half=settings.half,
    )


def gated(detector: Detector, config: Config) -> Detector:
    """Return `detector` so that it searches only the frames that need it, if `detector.motion_gate` is set."""
    settings, tracker = config.detector, config.tracker
    if not settings.motion_gate:
        return detector
    # A track without a box lives for `max_lost_s`, or for two frame periods if these are longer. Frames that are
    # further apart than `motion_interval_s` are searched anyway.
    longest_s = max(tracker.max_lost_s, 2 * settings.motion_interval_s)
    return GatedDetector(
        detector,
        GateSettings(
            interval_s=settings.motion_interval_s,
            min_change=settings.motion_min_change,
            hold_s=1.1 * longest_s,
            start_confidence=tracker.new_track_confidence,
            keep_confidence=tracker.low_confidence,
        ),
    )


def build_embedder(config: Config) -> NetworkEmbedder | None:
    """Build the embedder that `config.embedder` describes, with the SIE row of each camera.

    Returns:
        None if `embedder.weights` is null.

    Raises:
        InputError: the weights or the site file are missing or unsuitable.
    """
    settings = config.embedder
    if settings.weights is None:
        return None
    from reid.embedder import NetworkEmbedder
    from reid.embedding_model import open_embedding_model
    from reid.site.site_model import at_site

    model: EmbeddingModel = open_embedding_model(Path(settings.weights), settings.input)
    rows: Mapping[str, str | int | None] = {camera.name: camera.reid_camera for camera in config.cameras}
    means = None
    if settings.site is not None:
        adapted = at_site(model, Path(settings.site), rows)
        model, rows, means = adapted.model, adapted.camera_rows, adapted.camera_means
    return NetworkEmbedder(
        model,
        camera_rows=rows,
        camera_means=means,
        device=settings.device,
        runtime=settings.runtime,
        half=settings.half,
        batch_size=settings.batch_size,
        classes=settings.classes,
    )


def build_live(config: Config) -> tuple[Models, MatchLimits]:
    """Return the models of a live run, warmed up so that no camera waits for them, and their match limits.

    Raises:
        InputError: weights are missing or unsuitable.
    """
    detector, embedder = build_detector(config), build_embedder(config)
    width, height = _WARM_UP_WH
    blank = np.zeros((height, width, 3), np.uint8)
    # The result is discarded, because no camera took this image.
    count = min(max(len(config.cameras), 1), config.detector.max_batch)
    detector.detect([Frame("warm-up", 0, 0.0, _WARM_UP_WH, blank)] * count)
    if embedder is not None and config.cameras:
        frame = Frame(config.cameras[0].name, 0, 0.0, _WARM_UP_WH, blank)
        embedder.embed([frame], [np.array([[100, 100, 200, 400]], np.float32)])
    models = Models(gated(detector, config), embedder, versions())
    return models, match_limits(config, models.embedder_hash)


def match_limits(config: Config, embedder_hash: str) -> MatchLimits:
    """Return the match limits: from the configuration, else from a calibration, else strict defaults.

    The calibration of the site file comes before that of the weights. Each is used only if it belongs to the model that
    computed the embeddings of the run.

    Args:
        embedder_hash: hash of that model; '' if there are no embeddings.

    Raises:
        InputError: the weights or the site file cannot be read, or their calibration is damaged.
    """
    if not wants_calibration(config):
        return resolved_limits(config, None)  # does not need the weights, which a run on saved embeddings may lack
    calibration = calibration_of(config, embedder_hash)
    limits = resolved_limits(config, calibration)
    if embedder_hash and calibration is None:
        _log.warning(
            "the embedding model was never calibrated: two tracks up to the cosine distance %.2f count as one "
            "person. 'mtmc reid calibrate' measures the right limit",
            limits.linker.cosine,
        )
    return limits


def calibration_of(config: Config, embedder_hash: str) -> Calibration | None:
    """Return the calibration of the model that computed the embeddings of a run: that of the site file, else that of
    the weights; None if there is none.

    Args:
        embedder_hash: hash of that model; '' if there are no embeddings.

    Raises:
        InputError: the weights or the site file cannot be read, or their calibration is damaged.
    """
    settings = config.embedder
    calibration, site = None, None
    if embedder_hash and settings.site is not None:
        from reid.site.site import load_site

        site = load_site(Path(settings.site))
        if site.embedding_hash == embedder_hash:
            calibration = Calibration.from_card(site.card)
    # The hash of embeddings at a site begins with the hash of the model.
    if embedder_hash and calibration is None and embedder_hash.split("+")[0] == embeddings_hash(config):
        calibration = Calibration.from_card(_card(config))
        if calibration is not None and site is not None and site.means is not None:
            calibration = calibration.of_centred_embeddings()
    return calibration


def handed_in_limits(config: Config) -> MatchLimits:
    """Return the match limits for a caller's own embedder: from the configuration, else strict defaults."""
    limits = resolved_limits(config, None)
    if wants_calibration(config):
        _log.warning(
            "the embedder has no calibration: two tracks up to the cosine distance %.2f count as one person. Set "
            "max_cosine_distance of tracker, linker and second_pass",
            limits.linker.cosine,
        )
    return limits


def embeddings_hash(config: Config) -> str:
    """Return the hash of the embedding model; '' without one. Calibration and site do not change it.

    Raises:
        InputError: the file is missing or does not hold an embedding model.
    """
    if config.embedder.weights is None:
        return ""
    from reid.embedding_model import embedding_hash

    return embedding_hash(Path(config.embedder.weights), config.embedder.input)


def _card(config: Config) -> Mapping[str, Any]:
    """Return the card of the embedding model; empty without a model."""
    if config.embedder.weights is None:
        return {}
    from reid.embedding_model import embedding_card

    return embedding_card(Path(config.embedder.weights), config.embedder.input)


def versions() -> dict[str, str]:
    """Return the versions of this program, of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in ("mtmc", *_NOTED_PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _open(config: Config, camera: CameraConfig, start_s: float) -> FrameSource:
    if is_stream(camera.source):
        raise InputError(f"camera {camera.name}: {camera.source} is a live stream; use `mtmc live` for it")
    source = open_source(
        camera.name,
        camera.source,
        start_s=start_s,
        clock_rate=camera.clock_rate,
        frame_rate=camera.frame_rate,
        display_size_wh=camera.display_size,
        max_picture_px=config.runtime.max_picture_px,
    )
    return source if camera.crop_xyxy_px is None else CroppedSource(source, camera.crop_xyxy_px)


def part_of(source: FrameSource, part: RecordingConfig) -> FrameSource:
    """Return the part of `source` that `part` selects; `source` itself if that is all of it."""
    if part.start_s is None and part.end_s is None and part.stride == 1:
        return source
    return PartOfSource(source, start_s=part.start_s, end_s=part.end_s, stride=part.stride)
