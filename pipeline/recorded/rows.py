"""Tracks frame by frame: yields rows while frames are read, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

from pipeline.assembly import (
    build_detector,
    build_embedder,
    close_sources,
    gated,
    handed_in_limits,
    match_limits,
    open_sources,
)
from pipeline.association.associator import DetectedFrame
from pipeline.association.build import build_associator, warn_of_classes_without_embeddings, without_embeddings
from pipeline.config.config import Config
from pipeline.core.datatypes import Frame, LinkedRow
from pipeline.core.errors import InputError
from pipeline.core.models import Detector, Embedder
from pipeline.core.stage_clock import StageClock
from pipeline.floor.camera_geometry import CameraGeometry, geometry_of
from pipeline.recorded.runner import detect, detected_ticks
from pipeline.sources.base import BrokenSource, FrameSource


def track_rows(
    config: Config,
    ticks: Iterable[Sequence[Frame]] | None = None,
    *,
    detector: Detector | None = None,
    embedder: Embedder | None = None,
) -> Iterator[list[LinkedRow]]:
    """Yield rows with online ids, in order of time: a list for each tick, and a last one with all remaining rows.

    Rows wait `config.linker.hold_s` for their ids, so they come with that delay. The ids are online ones: no second
    pass follows. Recordings, if any, are closed when the generator ends or is closed.

    Args:
        ticks: each with at most one frame of each camera of `config`, in order of time, with images; None reads the
            recordings of `config`.
        detector, embedder: replace those that `config` describes, as in `track`.

    Raises:
        InputError: the configuration, a recording, or a frame's camera is wrong.
        BrokenSource: a recording cannot be read any further; raised at the end, after the rows of all cameras.
        ValueError: a model returned invalid detections or embeddings.
    """
    with ExitStack() as stack:
        sources: list[FrameSource] = []
        if ticks is None:
            sources, _ = open_sources(config)
            stack.callback(close_sources, sources)
        detector = detector or gated(build_detector(config), config)
        if embedder is None:
            embedder = build_embedder(config)
            embedder_hash = "" if embedder is None else embedder.model_hash
            limits = match_limits(config, embedder_hash)
        else:
            embedder_hash = embedder.model_hash
            limits = handed_in_limits(config)
        if embedder is not None:
            warn_of_classes_without_embeddings(
                without_embeddings(config, detector.class_names, embedder, embedder_hash)
            )
        clock = StageClock()
        associator = build_associator(
            config,
            limits,
            geometries={camera.name: CameraGeometry(None, None) for camera in config.cameras},
            embedder=embedder,
            class_names=detector.class_names,
            clock=clock,
        )
        broken: list[BrokenSource] = []
        detected: Iterable[list[DetectedFrame]]
        if ticks is None:
            detected = detected_ticks(config, detector, sources, clock, stack, broken.append)
        else:
            detected = _detected(detector, _checked(config, ticks))
        cameras = {camera.name: camera for camera in config.cameras}
        first_size_wh: dict[str, tuple[int, int]] = {}
        size_wh: dict[str, tuple[int, int]] = {}
        for tick in detected:
            for frame, _ in tick:
                name = frame.camera_id
                if size_wh.get(name) != frame.size_wh:
                    # Boxes at another image size do not continue the old tracks.
                    first = first_size_wh.setdefault(name, frame.size_wh)
                    associator.set_camera(name, geometry_of(cameras[name], frame.size_wh, first))
                    size_wh[name] = frame.size_wh
            yield associator.process(tick).rows
        yield associator.finish().rows
        if broken:
            raise broken[0]


def _checked(config: Config, ticks: Iterable[Sequence[Frame]]) -> Iterator[Sequence[Frame]]:
    """Yield the ticks; InputError for a frame of an unknown camera, or of a camera with `crop_xyxy_px`."""
    cameras = {camera.name: camera for camera in config.cameras}
    for tick in ticks:
        for frame in tick:
            if frame.camera_id not in cameras:
                raise InputError(
                    f"a frame belongs to camera {frame.camera_id!r}, but those of the configuration are "
                    f"{', '.join(cameras) or 'none'}"
                )
            if cameras[frame.camera_id].crop_xyxy_px is not None:
                raise InputError(
                    f"camera {frame.camera_id}: crop_xyxy_px is for recordings and streams that this program opens; "
                    "crop the frames, and leave the setting out"
                )
        yield tick


def _detected(detector: Detector, ticks: Iterable[Sequence[Frame]]) -> Iterator[list[DetectedFrame]]:
    for tick in ticks:
        yield list(zip(tick, detect(detector, tick), strict=True))
