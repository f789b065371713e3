"""The types that pass between the stages. They use numpy only and know no model, file or configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


def check_array(owner: str, field: str, array: object, shape: tuple[int | None, ...], dtype: type) -> None:
    """Raise ValueError unless `array` is a numpy array of `dtype` and `shape` (None matches any length)."""
    if (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.ndim == len(shape)
        and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    ):
        return
    expected = "(" + ", ".join("_" if n is None else str(n) for n in shape) + ")"
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{owner}.{field} must be a numpy array {expected}, but is {type(array).__name__}")
    raise ValueError(
        f"{owner}.{field} must have shape {expected} and dtype {np.dtype(dtype)}, "
        f"but has {array.shape} and {array.dtype}"
    )


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of one camera.

    Attributes:
        camera_id: name of the camera, as in the configuration.
        frame_index: 0-based position in the recording.
        time_s: seconds on the clock that all cameras of the run share.
        size_wh: (width, height) in pixels.
        image: (H, W, 3) uint8, BGR, values 0..255; None when saved detections and embeddings are replayed
            and no pixels are needed.

    Raises:
        ValueError: the image has another shape or dtype.
    """

    camera_id: str
    frame_index: int
    time_s: float
    size_wh: tuple[int, int]
    image: NDArray[np.uint8] | None

    def __post_init__(self) -> None:
        if self.image is not None:
            width, height = self.size_wh
            check_array("Frame", "image", self.image, (height, width, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections of one frame, as parallel arrays. A frame without people has N = 0.

    Attributes:
        xyxy: (N, 4) float32, left, top, right, bottom in pixels of the full image; may reach outside it.
        confidence: (N,) float32 in [0, 1].
        class_id: (N,) int64, keys of the detector's `class_names`.
        embeddings: (N, D) float32, each row L2-normalised, or all zero where `embedded` is False;
            None when no row has an embedding.
        embedded: (N,) bool, which rows of `embeddings` hold one.

    Raises:
        ValueError: an array has another shape or dtype, a coordinate is not finite, or a confidence is outside [0, 1].
    """

    xyxy: FloatArray
    confidence: FloatArray
    class_id: IntArray
    embeddings: FloatArray | None = None
    embedded: BoolArray | None = None

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        check_array("Detections", "xyxy", self.xyxy, (n, 4), np.float32)
        check_array("Detections", "confidence", self.confidence, (n,), np.float32)
        check_array("Detections", "class_id", self.class_id, (n,), np.int64)
        # A box with NaN would disappear silently: every comparison with it is false.
        if not np.isfinite(self.xyxy).all():
            raise ValueError(f"Detections.xyxy must be finite, but has {self.xyxy[~np.isfinite(self.xyxy)]}")
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise ValueError(f"Detections.confidence must be in [0, 1], but is {self.confidence}")
        if (self.embeddings is None) != (self.embedded is None):
            raise ValueError("Detections.embeddings and Detections.embedded must be given together")
        if self.embeddings is not None:
            check_array("Detections", "embeddings", self.embeddings, (n, None), np.float32)
            check_array("Detections", "embedded", self.embedded, (n,), np.bool_)

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: BoolArray | IntArray) -> Detections:
        """Return the detections at `rows`, a boolean mask (N,) or integer indices."""
        return Detections(
            xyxy=self.xyxy[rows],
            confidence=self.confidence[rows],
            class_id=self.class_id[rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            embedded=None if self.embedded is None else self.embedded[rows],
        )

    @classmethod
    def empty(cls) -> Detections:
        """Return `Detections` without any box (N = 0)."""
        return cls(
            xyxy=np.zeros((0, 4), np.float32),
            confidence=np.zeros(0, np.float32),
            class_id=np.zeros(0, np.int64),
        )

    def with_embeddings(self, rows: IntArray, embedded: EmbeddedCrops) -> Detections:
        """Return the same boxes with the embeddings of the crops at `rows` (K,) filled in.

        Raises:
            ValueError: there are more or fewer rows than crops.
        """
        if len(rows) != len(embedded):
            raise ValueError(f"{len(rows)} rows but {len(embedded)} embedded crops")
        n, dim = len(self), embedded.embeddings.shape[1]
        embeddings = np.zeros((n, dim), np.float32) if self.embeddings is None else self.embeddings.copy()
        mask = np.zeros(n, np.bool_) if self.embedded is None else self.embedded.copy()
        embeddings[rows] = embedded.embeddings
        mask[rows] = embedded.valid
        return replace(self, embeddings=embeddings, embedded=mask)


@dataclass(frozen=True, eq=False)
class EmbeddedCrops:
    """The result of an embedder for the boxes of one frame.

    Attributes:
        embeddings: (N, D) float32, L2-normalised rows; a row is all zero where `valid` is False.
        valid: (N,) bool; False marks a crop that was rejected because it is empty or outside the image.

    Raises:
        ValueError: an array has another shape or dtype.
    """

    embeddings: FloatArray
    valid: BoolArray

    def __post_init__(self) -> None:
        check_array("EmbeddedCrops", "embeddings", self.embeddings, (len(self.valid), None), np.float32)
        check_array("EmbeddedCrops", "valid", self.valid, (len(self.embeddings),), np.bool_)

    def __len__(self) -> int:
        return len(self.valid)


@dataclass(frozen=True, eq=False)
class Tracklet:
    """The summary of a track that has ended, for linking between cameras.

    Attributes:
        camera_id, track_id: the track; track ids count from 1 in each camera.
        class_id: a key of the detector's `class_names`.
        start_s, end_s: time of the first and the last observed box, on the run's clock.
        embeddings: (K, D) float32, K >= 0 diverse embeddings of good crops, or of partial ones, L2-normalised rows.
        floor_time_s: (P,) float64, ascending; the times of the floor positions.
        floor_xy_m: (P, 2) float64, positions on the floor in metres; P = 0 without a homography.
        observations: number of observed boxes.
        partial: whether the track has no good crop, and `embeddings` are of crops that the image border cuts off.
    """

    camera_id: str
    track_id: int
    class_id: int
    start_s: float
    end_s: float
    embeddings: FloatArray
    floor_time_s: NDArray[np.float64]
    floor_xy_m: NDArray[np.float64]
    observations: int
    partial: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """(camera_id, track_id), unique in a run."""
        return (self.camera_id, self.track_id)

    @property
    def good_crops(self) -> int:
        """Number of different good crops that describe the person."""
        return 0 if self.partial else len(self.embeddings)


@dataclass(frozen=True)
class Link:
    """Which global id a track carries, and how sure that is.

    Attributes:
        global_id: counted from 1 over all cameras of the run.
        confidence: in [0, 1]; how sure it is that the track belongs to this identity, or is a new one. 0 if it was
            compared with nobody.
        final: True once the second pass has confirmed or corrected it.
    """

    global_id: int
    confidence: float
    final: bool = False


class TrajectoryRow(NamedTuple):  # created for every box; a frozen dataclass takes four times as long
    """One observed or interpolated box of one person: a row of trajectories.csv without its link.

    Attributes:
        time_s: seconds on the run's clock (Unix time in a live run).
        xyxy: left, top, right, bottom in pixels, clipped to the image.
        confidence: of the detection, in [0, 1].
        world_xy_m: floor position in metres; None if it is not known.
    """

    camera_id: str
    track_id: int
    frame_index: int
    time_s: float
    class_name: str
    xyxy: tuple[float, float, float, float]
    confidence: float
    world_xy_m: tuple[float, float] | None = None
    interpolated: bool = False


class LinkedRow(NamedTuple):
    """A row of trajectories.csv."""

    row: TrajectoryRow
    link: Link


@dataclass(frozen=True)
class Correction:
    """A message that rows with a provisional id belong to another identity.

    It applies to all rows of `provisional_id`; that id is used for one track only. After a killed run, the next run
    confirms the provisional ids that stay valid; in such a message both ids are the same.

    Attributes:
        time_s: time of the decision, on the run's clock (Unix seconds in a live run).
        camera_id, track_id: the track whose rows have the provisional id.
        provisional_id, global_id: the id in those rows, and the correct one.
        confidence: of the link, in [0, 1].
        run_id: the earlier run that wrote the rows; '' for the current run.
    """

    time_s: float
    camera_id: str
    track_id: int
    provisional_id: int
    global_id: int
    confidence: float
    run_id: str = ""
