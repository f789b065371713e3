"""The identities of a live run on disk, so that people are recognised after a restart.

The file reserves the global ids that may be assigned until it is written again. The next run continues after them, so
that no id is used for two people, even if a run is killed.
"""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError, RunError
from pipeline.core.vectors import unit
from pipeline.cross_camera.camera_centres import CentreState
from pipeline.cross_camera.gallery import Gallery
from pipeline.files.results_csv import read_trajectories
from pipeline.files.whole_files import write_whole
from pipeline.live.output.segments import segments

GALLERY_NAME = "gallery.npz"
# A file that cannot be used is renamed to one of these; it still holds embeddings of people.
DAMAGED_NAME = "gallery.damaged"
OTHER_VERSION_NAME = "gallery.other_version"
ASIDE_NAMES = (DAMAGED_NAME, OTHER_VERSION_NAME)
_VERSION = 3
# Version 2 had the number of embeddings of each camera, too, which is not needed.
_READABLE = (2, 3)
# Ids that may be assigned between two checkpoints.
_RESERVED_IDS = 10_000

_log = logging.getLogger(__name__)

_UNREADABLE = (ValueError, KeyError, EOFError, zipfile.BadZipFile)


class _OtherVersion(Exception):
    """The file was written by an older or a newer program.

    Attributes:
        next_id: the first free id; 1 if it cannot be read from the file.
    """

    def __init__(self, version: object, next_id: object) -> None:
        super().__init__(f"is of format version {version}, and this program reads version {_VERSION}")
        self.next_id = next_id if isinstance(next_id, int) else 1


def save_gallery(path: Path, gallery: Gallery, embedder_hash: str, *, closing: bool = False) -> None:
    """Replace the file; after an OSError the previous file remains.

    Args:
        embedder_hash: of the model that computed the embeddings.
        closing: whether the run is over, so that it assigns no more ids.
    """
    head = {
        "version": _VERSION,
        "embedder_hash": embedder_hash,
        "camera_ids": list(gallery.camera_ids),
        "next_id": gallery.next_id if closing else gallery.next_id + _RESERVED_IDS,
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        head=np.frombuffer(json.dumps(head).encode(), np.uint8),
        global_id=gallery.global_id,
        class_id=gallery.class_id,
        last_seen_s=gallery.last_seen_s,
        features=gallery.features.astype(np.float16),
        has_feature=gallery.has_feature,
        feature_camera=gallery.feature_camera,
        last_floor_s=gallery.last_floor_s,
        last_floor_xy_m=gallery.last_floor_xy_m,
        camera_mean=gallery.centres.mean,
        camera_tracks=gallery.centres.tracks,
    )
    write_whole(path, buffer.getvalue())


def load_gallery(folder: Path, embedder_hash: str) -> Gallery | None:
    """Return the identities that an earlier run left in `folder`; None if there was no run.

    Embeddings of another model cannot be compared: then nobody is recognised, but ids continue. A file that is damaged
    or of another format version is renamed to one of `ASIDE_NAMES`; retention or a purge deletes it later. Ids then
    continue after the largest known one.

    Raises:
        InputError: the file cannot be read, for example because of its permissions.
    """
    path = folder / GALLERY_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return _only_ids(_largest_id(folder) + 1) if segments(folder) else None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    try:
        gallery, found_hash = _parse(data)
    except _OtherVersion as error:
        os.replace(path, folder / OTHER_VERSION_NAME)
        _log.error(
            "%s %s: people known so far are not recognised and get new ids; it was renamed to %s, for a program "
            "that reads it",
            path,
            error,
            OTHER_VERSION_NAME,
        )
        return _only_ids(max(error.next_id, _largest_id(folder) + 1))
    except _UNREADABLE as error:
        os.replace(path, folder / DAMAGED_NAME)
        _log.error("%s is damaged (%s); it was renamed to %s, and nobody is recognised", path, error, DAMAGED_NAME)
        return _only_ids(_largest_id(folder) + 1)
    # Rows can be newer than the file if checkpoints failed, for example on a disk that is almost full.
    newer = _largest_id(folder, since_ns=path.stat().st_mtime_ns) + 1
    if found_hash != embedder_hash:
        _log.warning("%s was written with another embedding model: nobody in it is recognised", path)
        return _only_ids(max(gallery.next_id, newer))
    return replace(gallery, next_id=max(gallery.next_id, newer))


def _parse(data: bytes) -> tuple[Gallery, str]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        head = json.loads(file["head"].tobytes().decode())
        if head["version"] not in _READABLE:
            raise _OtherVersion(head["version"], head.get("next_id"))
        gallery = Gallery(
            camera_ids=tuple(head["camera_ids"]),
            next_id=int(head["next_id"]),
            global_id=file["global_id"],
            class_id=file["class_id"],
            last_seen_s=file["last_seen_s"],
            features=unit(file["features"].astype(np.float32)),
            has_feature=file["has_feature"],
            feature_camera=file["feature_camera"],
            centres=CentreState(file["camera_mean"], file["camera_tracks"]),
            last_floor_s=file["last_floor_s"],
            last_floor_xy_m=file["last_floor_xy_m"],
        )
    return gallery, str(head["embedder_hash"])


def _only_ids(next_id: int) -> Gallery:
    return Gallery(
        camera_ids=(),
        next_id=next_id,
        global_id=np.zeros(0, np.int64),
        class_id=np.zeros(0, np.int64),
        last_seen_s=np.zeros((0, 0)),
        features=np.zeros((0, 0, 0), np.float32),
        has_feature=np.zeros((0, 0), np.bool_),
        feature_camera=np.zeros((0, 0), np.int64),
        centres=CentreState(np.zeros((0, 0), np.float32), np.zeros(0)),
        last_floor_s=np.zeros(0),
        last_floor_xy_m=np.zeros((0, 2)),
    )


def _largest_id(folder: Path, since_ns: int = 0) -> int:
    """Return the largest global id in the segments that were modified since `since_ns`; 0 if there is none."""
    paths = [path for path in segments(folder) if path.stat().st_mtime_ns >= since_ns]
    return max((linked.link.global_id for path in paths for linked in read_trajectories(path)), default=0)


def without_forgotten(gallery: Gallery, now_s: float, memory_s: float) -> Gallery:
    """Return the gallery without the people whom no camera has seen in the last `memory_s` before `now_s` (Unix s).

    People whom a run with a wrong clock saw in the future count as seen now, because they would never be forgotten.
    """
    gallery = replace(gallery, last_seen_s=np.minimum(gallery.last_seen_s, now_s))
    stay = gallery.last_seen_s.max(axis=1, initial=-np.inf) >= now_s - memory_s
    return replace(
        gallery,
        global_id=gallery.global_id[stay],
        class_id=gallery.class_id[stay],
        last_seen_s=gallery.last_seen_s[stay],
        features=gallery.features[stay],
        has_feature=gallery.has_feature[stay],
        feature_camera=gallery.feature_camera[stay],
        last_floor_s=gallery.last_floor_s[stay],
        last_floor_xy_m=gallery.last_floor_xy_m[stay],
    )


def keep_people(path: Path, stay: Callable[[int, float], bool]) -> int:
    """Rewrite the file without some of its people; their ids are not assigned again in any case.

    Args:
        stay: called for each person with the global id and the time when the person was last seen (Unix seconds);
            returns whether to keep the person.

    Returns:
        Number of deleted people.

    Raises:
        InputError: the file is damaged.
        RunError: it cannot be written.
    """
    arrays = _arrays(path)
    last_seen_s = arrays["last_seen_s"].max(axis=1, initial=-np.inf)
    ids = arrays["global_id"].tolist()
    kept = np.array([stay(*known) for known in zip(ids, last_seen_s.tolist(), strict=True)], np.bool_)
    if kept.all():
        return 0
    left: dict[str, Any] = {
        name: values if name == "head" or name.startswith("camera_") else values[kept]
        for name, values in arrays.items()
    }
    buffer = io.BytesIO()
    np.savez(buffer, **left)
    try:
        before = path.stat()
        write_whole(path, buffer.getvalue())
        # `load_gallery` compares with this time: newer rows may have ids that are not in the file.
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; it is unchanged") from error
    return int((~kept).sum())


def person_in(path: Path, global_id: int) -> dict[str, Any] | None:
    """Return the data of a person in the file, for an export; None if the id is not in it.

    `last_seen_s` holds Unix seconds by camera, `features` the person's embeddings.

    Raises:
        InputError: the file is damaged.
    """
    arrays = _arrays(path)
    rows = np.flatnonzero(arrays["global_id"] == global_id)
    if not len(rows):
        return None
    row = int(rows[0])
    cameras = json.loads(arrays["head"].tobytes().decode())["camera_ids"]
    seen = zip(cameras, arrays["last_seen_s"][row].tolist(), strict=True)
    features = arrays["features"][row][arrays["has_feature"][row]]
    return {
        "last_seen_s": {camera: round(time_s, 3) for camera, time_s in seen if np.isfinite(time_s)},
        "features": np.round(features.astype(float), 4).tolist(),
    }


def _arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        _parse(path.read_bytes())
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _OtherVersion as error:
        raise InputError(f"{path} {error}; delete it; then nobody is recognised") from error
    except (OSError, *_UNREADABLE) as error:
        raise InputError(f"{path} is damaged ({error}); delete it; then nobody is recognised") from error
