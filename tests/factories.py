"""Small frames, detections, tracklets and settings for tests, with defaults for all that a test does not care about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.config.config import Config, load_config
from pipeline.core.datatypes import Detections, Frame, Tracklet
from pipeline.core.section import Section
from pipeline.cross_camera.settings import LinkerSettings, SecondPassSettings
from pipeline.single_camera.settings import TrackerSettings

#: Of appearance, in tests that do not set their own: independent of the shipped model's calibration.
COSINE_LIMIT = 0.37


@cache
def default_config() -> Config:
    """configs/default.yaml, with numbers in place of calibrated limits."""
    return with_limits(load_config())


def with_limits(config: Config) -> Config:
    """`config` with `COSINE_LIMIT` for every limit that a calibration would give, and without subtracted means."""
    sections = {name: getattr(config, name) for name in ("tracker", "linker", "second_pass")}
    return config.model_copy(
        update={name: section.model_copy(update=_limits(section)) for name, section in sections.items()}
    )


def _limits(section: Section) -> dict[str, float | None]:
    """Embeddings are compared as they are unless a test says otherwise."""
    found = {"max_cosine_distance": COSINE_LIMIT, "max_centred_cosine_distance": None}
    return {key: limit for key, limit in found.items() if getattr(section, key, None) == "calibrated"}


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
