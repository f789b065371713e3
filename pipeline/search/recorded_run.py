"""A finished run of `mtmc track` as something to search: its tracklets, block by block."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.assembly import calibration_of, match_limits
from pipeline.core.datatypes import FloatArray
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.files.run_folder import NOTE_NAME
from pipeline.files.track_ids import TrackIds, read_track_ids
from pipeline.files.tracklet_file import TrackletArrays, TrackletFileInfo, read_info, read_tracklet_arrays
from pipeline.recorded.run_note import EarlierNote
from pipeline.review.described_people import described_people
from pipeline.search.run_config import ConfigChoice, config_of_run
from pipeline.search.searched_run import NOBODY, Block, CameraMeans, Comparing, Visit, centred_means

TRACKLETS_NAME = "tracklets.arrow"
# Tracklets in memory at a time, if they come in small batches.
_BLOCK = 2048


class RecordedRun:
    """Implements `SearchedRun` for the output folder of `mtmc track`.

    Args:
        choice: what replaces the settings that the run recorded.

    Raises:
        InputError: the run has no embeddings, or a file is missing or damaged or of another version.
    """

    def __init__(self, folder: Path, name: str, choice: ConfigChoice) -> None:
        self.folder = folder
        self.name = name
        self.notes: list[str] = []
        self._path = folder / TRACKLETS_NAME
        if not self._path.is_file() or not (folder / "trajectories.csv").is_file():
            raise InputError(f"{folder} holds no results of `mtmc track` (trajectories.csv and {TRACKLETS_NAME})")
        info = read_info(self._path)
        note = EarlierNote(folder / NOTE_NAME)
        self.epoch_utc: datetime | None = note.epoch_utc
        self._sources = note.recordings
        if not info.embedder_hash:
            raise InputError(
                f"{folder} was tracked without an embedder, so nobody in it can be found by appearance: track with "
                "embedder.weights"
            )
        if note.running:
            self.notes.append(
                f"{name} has not ended, or was killed: only tracks that had ended are searched, and ids may change "
                "(`mtmc link` gives a killed run final ids)"
            )
        self.names: Mapping[int, str] = {}
        try:
            self.names = described_people(folder).names
        except InputError as error:
            self.notes.append(f"{name}: {error}; names of people are missing")
        self.comparing = self._comparing(info, note, choice)

    def _comparing(self, info: TrackletFileInfo, note: EarlierNote, choice: ConfigChoice) -> Comparing:
        config = config_of_run(note.config, self.folder / NOTE_NAME, choice)
        limits = match_limits(config, info.embedder_hash).linker
        means = CameraMeans(len(info.camera_ids), limits.centred_cosine is not None)
        if means.enabled:
            for arrays in read_tracklet_arrays(self._path):
                means.learn(arrays.camera, arrays.embeddings, arrays.first)
        try:
            calibration = calibration_of(config, info.embedder_hash)
        except InputError as error:  # tracks can be compared without the model
            self.notes.append(f"{self.name}: {error}; how often its match limits are wrong is therefore unknown")
            calibration = None
        return Comparing(info.camera_ids, info.embedder_hash, config, limits, calibration, means.ready())

    @cached_property
    def ids(self) -> TrackIds:
        """The global ids of its tracks."""
        return read_track_ids(self.folder / "trajectories.csv")

    def blocks(self) -> Iterator[Block]:
        """Yield the tracklets, as `SearchedRun.blocks`."""
        waiting: list[TrackletArrays] = []
        for arrays in read_tracklet_arrays(self._path):
            waiting.append(arrays)
            if sum(map(len, waiting)) >= _BLOCK:
                yield self._block(waiting)
                waiting = []
        if waiting:
            yield self._block(waiting)

    def _block(self, parts: Sequence[TrackletArrays]) -> Block:
        cameras = self.comparing.camera_ids
        means = [self._means(part) for part in parts]
        # A batch in which no track has an embedding does not know their length.
        length = max(each.shape[1] for each in means)
        return Block(
            camera=np.concatenate([part.camera for part in parts]),
            track_id=np.concatenate([part.track_id for part in parts]),
            global_id=np.array(
                [
                    NOBODY if (person := self.ids.of(cameras[camera], track_id)) is None else person
                    for part in parts
                    for camera, track_id in zip(part.camera.tolist(), part.track_id.tolist(), strict=True)
                ],
                np.int64,
            ),
            start_s=np.concatenate([part.start_s for part in parts]),
            end_s=np.concatenate([part.end_s for part in parts]),
            crops=np.concatenate([part.counts for part in parts]),
            means=np.concatenate(
                [each if each.shape[1] else np.zeros((len(each), length), np.float32) for each in means]
            ),
        )

    def _means(self, part: TrackletArrays) -> FloatArray:
        return centred_means(self.comparing.centres, part.camera, part.embeddings, part.first)

    def embeddings_of(self, keys: Collection[TrackKey]) -> dict[TrackKey, FloatArray]:
        """Return the embeddings (K, D) of some tracks, as they were computed; tracks without any are left out."""
        cameras = self.comparing.camera_ids
        found = {}
        for part in read_tracklet_arrays(self._path):
            for row, (camera, track_id) in enumerate(
                zip(part.camera.tolist(), part.track_id.tolist(), strict=True)
            ):
                key = (cameras[camera], track_id)
                if key in keys and part.counts[row]:
                    found[key] = part.embeddings[part.first[row] : part.first[row + 1]].copy()
        return found

    def is_final(self, camera_id: str, track_id: int) -> bool:
        """As `SearchedRun.is_final`."""
        return (camera_id, track_id) not in self.ids.provisional

    def visits(self, people: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Visit]:
        """Return nothing: `blocks` knows all tracks."""
        return {}

    def camera_sources(self) -> Mapping[str, str]:
        """As `SearchedRun.camera_sources`."""
        return self._sources
