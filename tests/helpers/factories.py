"""Small frames, detections, tracklets and settings for tests, with defaults for all that a test does not care about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.config.config import Config, load_config
from pipeline.core.datatypes import Detections, Frame, Tracklet
from pipeline.core.section import MatchingSection
from pipeline.cross_camera.match_limits import LinkLimits, MatchLimits
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.second_pass import SecondPass
from pipeline.cross_camera.second_pass_log import SecondPassLog
from pipeline.cross_camera.settings import LinkerSettings, SecondPassSettings
from pipeline.single_camera.settings import TrackerSettings
from pipeline.single_camera.tracker import SingleCameraTracker

#: Of appearance, in tests that do not set their own: independent of the shipped model's calibration.
COSINE_LIMIT = 0.37


@cache
def default_config() -> Config:
    """configs/default.yaml."""
    return load_config()


def limits_of(config: Config) -> MatchLimits:
    """The limits of `config`, with `COSINE_LIMIT` for every one that a calibration would give; no camera's mean is
    subtracted unless the configuration says so."""
    return MatchLimits(_number(config.tracker), link_limits_of(config.linker), link_limits_of(config.second_pass))


def _number(section: MatchingSection) -> float:
    return COSINE_LIMIT if section.max_cosine_distance == "calibrated" else section.max_cosine_distance


def link_limits_of(section: LinkerSettings | SecondPassSettings) -> LinkLimits:
    """The limits of one section, as in `limits_of`."""
    centred = section.max_centred_cosine_distance
    return LinkLimits(_number(section), None if centred == "calibrated" else centred, section.crowd_tightening)


def make_tracker(settings: TrackerSettings | None = None) -> SingleCameraTracker:
    """A tracker whose limit is the one of its settings, or `COSINE_LIMIT`."""
    settings = settings or tracker_settings()
    return SingleCameraTracker(settings, _number(settings))


def make_linker(camera_ids: Sequence[str], settings: LinkerSettings | None = None) -> OnlineLinker:
    """A linker with the limits of `limits_of`."""
    settings = settings or linker_settings()
    return OnlineLinker(camera_ids, settings, link_limits_of(settings))


def make_second_pass(
    camera_ids: Sequence[str],
    settings: SecondPassSettings | None = None,
    linker: LinkerSettings | None = None,
    log: SecondPassLog | None = None,
) -> SecondPass:
    """A second pass with the limits of `limits_of`."""
    settings = settings or second_pass_settings()
    return SecondPass(camera_ids, settings, linker or linker_settings(), link_limits_of(settings), log)


def tracker_settings(**changes: object) -> TrackerSettings:
    """The tracker's default settings with some of them changed."""
    return default_config().tracker.model_copy(update=changes)


def linker_settings(**changes: object) -> LinkerSettings:
    """The linker's default settings with some of them changed."""
    return default_config().linker.model_copy(update=changes)


def second_pass_settings(**changes: object) -> SecondPassSettings:
    """The second pass's default settings with some of them changed."""
    return default_config().second_pass.model_copy(update=changes)


def make_frame(
    frame_index: int = 0,
    time_s: float | None = None,
    *,
    camera_id: str = "cam1",
    size_wh: tuple[int, int] = (1000, 500),
    frame_rate: float = 10.0,
    image: NDArray[np.uint8] | None = None,
) -> Frame:
    """A frame, without a picture unless given, of whose size it then is; its time is frame_index / frame_rate."""
    return Frame(
        camera_id=camera_id,
        frame_index=frame_index,
        time_s=frame_index / frame_rate if time_s is None else time_s,
        size_wh=size_wh if image is None else (image.shape[1], image.shape[0]),
        image=image,
    )


def make_detections(
    xyxy: ArrayLike = (),
    confidence: float | Sequence[float] = 0.9,
    *,
    class_id: int | Sequence[int] = 0,
    embeddings: ArrayLike | None = None,
    embedded: Sequence[bool] | None = None,
) -> Detections:
    """Detections of N boxes; one confidence or class may stand for all. Rows of `embeddings` are normalised."""
    boxes = np.array(xyxy, np.float32).reshape(-1, 4)
    count = len(boxes)
    vectors, has = None, None
    if embeddings is not None:
        vectors = np.array(embeddings, np.float32)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        has = np.ones(count, np.bool_) if embedded is None else np.array(embedded, np.bool_)
    return Detections(
        xyxy=boxes,
        confidence=np.broadcast_to(np.asarray(confidence, np.float32), count).copy(),
        class_id=np.broadcast_to(np.asarray(class_id, np.int64), count).copy(),
        embeddings=vectors,
        embedded=has,
    )


def one_hot(*places: int, dim: int = 8) -> NDArray[np.float32]:
    """(len(places), dim) unit vectors; different places are at cosine distance 1."""
    return np.eye(dim, dtype=np.float32)[list(places)]


def at_distance(distance: float, dim: int = 8) -> NDArray[np.float32]:
    """(dim,) a unit vector at this cosine distance from `one_hot(0)`."""
    vector = np.zeros(dim, np.float32)
    vector[0], vector[1] = 1 - distance, np.sqrt(1 - (1 - distance) ** 2)
    return vector


def make_tracklet(
    camera_id: str = "cam1",
    track_id: int = 1,
    start_s: float = 0.0,
    end_s: float = 5.0,
    embeddings: ArrayLike | None = None,
    *,
    class_id: int = 0,
    floor_time_s: ArrayLike = (),
    floor_xy_m: ArrayLike = (),
) -> Tracklet:
    """A finished track; without `embeddings` it has none."""
    vectors = np.zeros((0, 0), np.float32) if embeddings is None else np.array(embeddings, np.float32)
    return Tracklet(
        camera_id=camera_id,
        track_id=track_id,
        class_id=class_id,
        start_s=start_s,
        end_s=end_s,
        embeddings=np.atleast_2d(vectors),
        floor_time_s=np.array(floor_time_s, np.float64),
        floor_xy_m=np.array(floor_xy_m, np.float64).reshape(-1, 2),
        observations=10,
    )
