"""The output folder of `mtmc live` as something to search: the people whom the run knows.

A live run keeps embeddings of the people whom it can recognise (gallery.npz), and no embeddings of its tracks. A person
is therefore compared once for each camera that gave embeddings, and the rows tell the newest visit there. People whom
the run has forgotten (`linker.identity_memory_s`) cannot be found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pipeline.assembly import calibration_of, match_limits
from pipeline.config.config import Config
from pipeline.core.datatypes import FloatArray
from pipeline.core.errors import InputError
from pipeline.core.vectors import unit
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.gallery import Gallery
from pipeline.files.readable_rows import ReadableRows
from pipeline.files.results_csv import COLUMNS
from pipeline.live.output.gallery_file import GALLERY_NAME, read_gallery
from pipeline.live.output.segments import run_id_of, segments
from pipeline.search.run_config import ConfigChoice, config_of_run
from pipeline.search.searched_run import Block, Comparing, Visit, summed

_GLOBAL_ID, _CAMERA_ID, _TRACK_ID, _TIME_S = map(COLUMNS.index, ("global_id", "camera_id", "track_id", "time_s"))


class LiveSite:
    """Implements `SearchedRun` for the output folder of `mtmc live`, which a run may be using meanwhile.

    Args:
        choice: what replaces the settings that the newest manifest records.

    Raises:
        InputError: the folder has no manifest or no gallery, or one of them is damaged or of another version.
    """

    def __init__(self, folder: Path, name: str, choice: ConfigChoice) -> None:
        self.folder = folder
        self.name = name
        self.epoch_utc: datetime | None = datetime.fromtimestamp(0, UTC)
        self.notes: list[str] = []
        self.names: Mapping[int, str] = {}
        path = folder / GALLERY_NAME
        if not path.is_file():
            raise InputError(f"{folder} has no {GALLERY_NAME}: no run of `mtmc live` has known anybody there yet")
        gallery, embedder_hash = read_gallery(path)
        if not embedder_hash:
            raise InputError(
                f"{folder} was tracked without an embedder, so nobody in it can be found by appearance"
            )
        manifest = newest_manifest(folder)
        config = config_of_run(_noted_config(manifest), manifest, choice)
        self.comparing = gallery_comparing(gallery, embedder_hash, config)
        self._gallery = gallery

    def blocks(self) -> Iterator[Block]:
        """Yield the people, once for each camera that gave embeddings."""
        yield gallery_block(self._gallery, self.comparing.centres)

    def embeddings_of_person(self, global_id: int) -> dict[str, FloatArray]:
        """Return the embeddings (K, D) of a person by camera; empty if the gallery does not hold the id, or none."""
        known = self._gallery
        found = {}
        for row in np.flatnonzero(known.global_id == global_id).tolist():
            for camera in np.unique(known.feature_camera[row][known.has_feature[row]]).tolist():
                rows = known.has_feature[row] & (known.feature_camera[row] == camera)
                found[known.camera_ids[camera]] = known.features[row][rows]
        return found

    def is_final(self, camera_id: str, track_id: int) -> bool:
        """Return True: people in the gallery keep their ids."""
        return True

    def visits(self, people: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Visit]:
        """As `SearchedRun.visits`; reads segments from the newest one back until all visits are complete."""
        return newest_visits(segments(self.folder), people)

    def camera_sources(self) -> Mapping[str, str]:
        """Return nothing: streams are not recorded."""
        return {}


def gallery_comparing(gallery: Gallery, embedder_hash: str, config: Config) -> Comparing:
    """Return how the people of a gallery are compared.

    Raises:
        InputError: the calibration of the model cannot be read.
    """
    limits = match_limits(config, embedder_hash).linker
    count = len(gallery.camera_ids)
    centres = CameraCentres(count + 1, enabled=limits.centred_cosine is not None, borrow=True)
    centres.restore(gallery.centres, list(range(count)))
    calibration = calibration_of(config, embedder_hash)
    return Comparing(gallery.camera_ids, embedder_hash, config, limits, calibration, centres)


def gallery_block(gallery: Gallery, centres: CameraCentres) -> Block:
    """Return the people of a gallery, once for each camera that gave embeddings; once without crops if none did."""
    person, feature = np.nonzero(gallery.has_feature)
    camera = np.asarray(gallery.feature_camera[person, feature], np.int64)
    embeddings = np.asarray(centres.centred(gallery.features[person, feature], camera), np.float32)
    order = np.lexsort((camera, person))
    person, camera, embeddings = person[order], camera[order], embeddings[order]
    begins = np.flatnonzero(np.diff(person, prepend=-1) | np.diff(camera, prepend=-1))
    first = np.append(begins, len(person)).astype(np.int64)
    bare = np.setdiff1d(np.arange(len(gallery)), person)
    seen_s = gallery.last_seen_s
    rows = np.concatenate([person[begins], bare]).astype(np.int64)
    bare_camera = seen_s[bare].argmax(axis=1) if seen_s.size else np.zeros(len(bare), np.int64)
    cameras = np.concatenate([camera[begins], bare_camera]).astype(np.int64)
    last_s = seen_s[rows, cameras] if len(rows) else np.zeros(0)
    means = unit(summed(embeddings, first))
    return Block(
        camera=cameras,
        track_id=np.zeros(len(rows), np.int64),
        global_id=gallery.global_id[rows],
        start_s=last_s,
        end_s=last_s,
        crops=np.concatenate([np.diff(first), np.zeros(len(bare), np.int64)]),
        means=np.concatenate([means, np.zeros((len(bare), means.shape[1]), np.float32)]),
    )


def newest_manifest(folder: Path) -> Path:
    """Return the manifest of the newest run in the folder of a live site; InputError without one."""
    found = sorted(folder.glob("manifest-*.json"))  # names begin with the time of the start
    if not found:
        raise InputError(f"{folder} has no manifest of `mtmc live`, so the model of its run is unknown")
    return found[-1]


def _noted_config(manifest: Path) -> Mapping[str, object]:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return dict(content["config"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{manifest} is damaged, so the model of the run is unknown: give --config") from error


def newest_visits(paths: Sequence[Path], people: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Visit]:
    """Return the newest visit of each of some people to a camera.

    A visit is a track: all its rows belong to the person, also those that were written before the person was known.

    Args:
        paths: segments, oldest first.
        people: (camera, global id); those without rows are left out of the result.
    """
    wanted = set(people)
    # (camera, global id) -> the track and its run; (run, camera, track) -> first and last time
    track_of: dict[tuple[str, int], tuple[str, str, int]] = {}
    times: dict[tuple[str, str, int], tuple[float, float]] = {}
    for path in reversed(paths):
        run_id = run_id_of(path)
        newest: dict[tuple[str, int], tuple[str, str, int]] = {}
        here: dict[tuple[str, str, int], tuple[float, float]] = {}
        for row in ReadableRows(path):
            key = (run_id, row[_CAMERA_ID], int(row[_TRACK_ID]))
            time_s = float(row[_TIME_S])
            before = here.get(key, (time_s, time_s))
            here[key] = (min(before[0], time_s), max(before[1], time_s))
            person = (row[_CAMERA_ID], int(row[_GLOBAL_ID]))
            if person in wanted and person not in track_of:
                newest[person] = key
        track_of |= newest
        open_tracks = set(track_of.values()) & here.keys()
        for key in open_tracks:
            known = times.get(key, here[key])
            times[key] = (min(known[0], here[key][0]), max(known[1], here[key][1]))
        if len(track_of) == len(wanted) and not open_tracks:
            break  # no visit goes back any further
    return {person: Visit(key[2], *times[key]) for person, key in track_of.items()}
