"""What a search needs of a run: its tracks as mean embeddings, block by block, and how they are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.config.calibration import Calibration
from pipeline.config.config import Config
from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.vectors import unit
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.distances import mean_embedding
from pipeline.cross_camera.match_limits import LinkLimits

#: Global id of a track that has no rows, for example because its person was deleted.
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Block:
    """Some tracks of a run: N tracks, embeddings of D values.

    Attributes:
        camera: (N,) int64, index in `Comparing.camera_ids`.
        track_id: (N,) int64; 0 for the people that a live site knows, whose tracks are not kept apart.
        global_id: (N,) int64, `NOBODY` for a track without rows.
        start_s, end_s: (N,) float64 on the clock of the run.
        crops: (N,) int64, the number of embeddings; 0 for a track without a good crop.
        means: (N, D) float32, the mean of the embeddings of each track after subtraction of the camera mean, of length
            1; zero without any.
    """

    camera: IntArray
    track_id: IntArray
    global_id: IntArray
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    crops: IntArray
    means: FloatArray

    def __len__(self) -> int:
        return len(self.track_id)


@dataclass(frozen=True, eq=False)
class Comparing:
    """How the embeddings of a run are compared.

    Attributes:
        camera_ids: C names.
        embedder_hash: of the model that computed the embeddings.
        config: settings of the run.
        limits: the match limits that its linker used.
        calibration: of the model, None without one.
        centres: the camera means of C + 1 cameras; the last one is any other camera, which borrows the mean of all.
    """

    camera_ids: tuple[str, ...]
    embedder_hash: str
    config: Config
    limits: LinkLimits
    calibration: Calibration | None
    centres: CameraCentres

    def camera_row(self, camera_id: str) -> int:
        """Return the number of a camera in `centres`; that of any other camera if the run does not have it."""
        known = camera_id in self.camera_ids
        return self.camera_ids.index(camera_id) if known else len(self.camera_ids)

    def centred_mean(self, embeddings: FloatArray, camera_id: str) -> FloatArray:
        """Return the (D,) mean of embeddings (K, D) of one camera, centred as those of the run's tracks."""
        return mean_embedding(self.centres.centred(embeddings, self.camera_row(camera_id)))


class SearchedRun(Protocol):
    """A finished run of `mtmc track`, or the folder of a live site.

    Attributes:
        name: of the run, in tables.
        folder: with its files.
        comparing: how its embeddings are compared.
        epoch_utc: date and time of second 0 of its clock, None if unknown.
        notes: sentences about what is missing in the folder, for the user.
        names: of people, which a review gave, by global id.
    """

    name: str
    folder: Path
    comparing: Comparing
    epoch_utc: datetime | None
    notes: list[str]
    names: Mapping[int, str]

    def blocks(self) -> Iterator[Block]:
        """Yield all tracks, with at most some thousand in memory at a time."""
        ...

    def is_final(self, camera_id: str, track_id: int) -> bool:
        """Return whether the global id of a track cannot change any more."""
        ...

    def visits(self, people: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Visit]:
        """Return the newest visit of some people to some cameras, by (camera, global id), where `blocks` does not
        know it."""
        ...

    def camera_sources(self) -> Mapping[str, str]:
        """Return the recording of each camera by its name; empty for a live site."""
        ...


@dataclass(frozen=True)
class Visit:
    """A track of a person in a camera of a live site: its number and its times on the clock of the run, in s."""

    track_id: int
    start_s: float
    end_s: float


@dataclass(eq=False)
class CameraMeans:
    """Learns the camera means of a run from its tracks, block by block; see `CameraCentres`.

    Args:
        cameras: number of cameras of the run.
        enabled: whether the limits of the run are for centred embeddings.
    """

    cameras: int
    enabled: bool
    centres: CameraCentres = field(init=False)

    def __post_init__(self) -> None:
        self.centres = CameraCentres(self.cameras + 1, enabled=self.enabled, borrow=True)

    def learn(self, camera: IntArray, embeddings: FloatArray, first: IntArray) -> None:
        """Learn from N tracks; arguments as in `TrackletArrays`."""
        if not self.enabled:
            return
        counts = np.diff(first)
        known = np.flatnonzero(counts)
        sums = summed(embeddings, first)
        for row in known.tolist():
            self.centres.learn(int(camera[row]), np.asarray(sums[row] / counts[row], np.float32))

    def ready(self) -> CameraCentres:
        """Return the camera means, ready for use."""
        self.centres.refresh()
        return self.centres


def summed(embeddings: FloatArray, first: IntArray) -> FloatArray:
    """Return the (N, D) sums of the embeddings (K, D) of N tracks; zero for a track without any.

    Args:
        first: (N + 1,), where the embeddings of each track begin.
    """
    counts = np.diff(first)
    sums = np.zeros((len(counts), embeddings.shape[1]), np.float32)
    known = np.flatnonzero(counts)
    if len(known):
        sums[known] = np.add.reduceat(embeddings, first[known], axis=0)
    return sums


def centred_means(centres: CameraCentres, camera: IntArray, embeddings: FloatArray, first: IntArray) -> FloatArray:
    """Return the (N, D) means of N tracks, as `Block.means`; other arguments as in `TrackletArrays`."""
    camera_of = np.repeat(camera, np.diff(first))
    return unit(summed(np.asarray(centres.centred(embeddings, camera_of), np.float32), first))
