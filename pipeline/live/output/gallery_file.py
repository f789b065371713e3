"""The identities of a live run on disk, so that people are recognised after a restart.

The file reserves the global ids that may be assigned until it is written again. The next run continues after them, so
that no id is used for two people, even if a run is killed.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import InputError, RunError
from pipeline.core.vectors import unit
from pipeline.cross_camera.camera_centres import CentreState
from pipeline.cross_camera.gallery import Gallery
from pipeline.files.readable_rows import LARGEST_ID, ReadableRows
from pipeline.files.regular_file import read_regular
from pipeline.files.results_csv import COLUMNS
from pipeline.files.set_aside import files_put_aside, repair_rows, set_aside
from pipeline.files.whole_files import write_whole
from pipeline.live.output.segments import correction_of, corrections, is_of_a_run, segments

GALLERY_NAME = "gallery.npz"
# A file that cannot be used is renamed to one of these; it still holds embeddings of people.
DAMAGED_NAME = "gallery.damaged"
OTHER_VERSION_NAME = "gallery.other_version"
_VERSION = 3
# Version 2 had the number of embeddings of each camera, too, which is not needed.
_READABLE = (2, 3)
# Ids that may be assigned between two checkpoints.
_RESERVED_IDS = 10_000

_log = logging.getLogger(__name__)

_MEANS = ("camera_mean", "camera_tracks")
_GLOBAL_ID = COLUMNS.index("global_id")


class _Damaged(Exception):
    """The file is damaged."""


class _OtherVersion(Exception):
    """The file was written by an older or a newer program.

    Attributes:
        next_id: the first free id; 1 if it cannot be read from the file.
    """

    def __init__(self, version: object, next_id: object) -> None:
        super().__init__(f"is of format version {version}, and this program reads version {_VERSION}")
        self.next_id = next_id if isinstance(next_id, int) and 0 < next_id <= LARGEST_ID else 1


def save_gallery(path: Path, gallery: Gallery, embedder_hash: str, *, closing: bool = False) -> None:
    """Replace the file; after an OSError the previous file remains.

    Args:
        embedder_hash: of the model that computed the embeddings.
        closing: whether the run is over, so that it assigns no more ids.
    """
    buffer = io.BytesIO()
    _save(buffer, gallery, embedder_hash, gallery.next_id if closing else gallery.next_id + _RESERVED_IDS)
    write_whole(path, buffer.getvalue())


def _save(buffer: io.BytesIO, gallery: Gallery, embedder_hash: str, next_id: int) -> None:
    head = {
        "version": _VERSION,
        "embedder_hash": embedder_hash,
        "camera_ids": list(gallery.camera_ids),
        "next_id": next_id,
    }
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


def load_gallery(folder: Path, embedder_hash: str) -> Gallery | None:
    """Return the identities that an earlier run left in `folder`; None if there was no run.

    Embeddings of another model cannot be compared: then nobody is recognised, but ids continue. A file that is damaged
    or of another format version is renamed; retention or a purge deletes it later. Ids then continue after the largest
    known one. Nothing in the folder, however damaged, raises an error.
    """
    path = folder / GALLERY_NAME
    try:
        data = read_regular(path)
        gallery, found_hash = _parse(data)
    except FileNotFoundError:
        free_id = _free_id(folder)
        return _only_ids(free_id) if free_id > 1 else None
    except _OtherVersion as error:
        name = _put_aside(path, OTHER_VERSION_NAME)
        _log.error(
            "%s %s: people known so far are not recognised and get new ids; %s, for a program that reads it",
            path,
            error,
            name,
        )
        return _only_ids(max(error.next_id, _free_id(folder)))
    except OSError as error:
        name = _put_aside(path, DAMAGED_NAME)
        _log.error("%s cannot be read (%s); %s, and nobody is recognised", path, error.strerror, name)
        return _only_ids(_free_id(folder))
    except _Damaged as error:
        name = _put_aside(path, DAMAGED_NAME)
        _log.error("%s is damaged (%s); %s, and nobody is recognised", path, error, name)
        return _only_ids(max(_counter(data), _free_id(folder)))
    # Rows can be newer than the file if checkpoints failed, for example on a disk that is almost full.
    newer = _free_id(folder, since_ns=path.stat().st_mtime_ns)
    if found_hash != embedder_hash:
        _log.warning("%s was written with another embedding model: nobody in it is recognised", path)
        return _only_ids(max(gallery.next_id, newer))
    return replace(gallery, next_id=max(gallery.next_id, newer))


def _put_aside(path: Path, name: str) -> str:
    """Rename the file and return what was done, for the log; never fails, because a run must start without it."""
    try:
        return f"it was renamed to {set_aside(path, name).name}"
    except OSError as error:
        return f"it cannot be renamed ({error.strerror})"


def _counter(data: bytes) -> int:
    """Return the first free id that a damaged file states; 1 if it cannot be read. The entries are not compressed."""
    numbers = [int(number) for number in re.findall(rb'"next_id": (\d{1,16})(?!\d)', data)]
    return max((number for number in numbers if number <= LARGEST_ID), default=1)


def _parse(data: bytes) -> tuple[Gallery, str]:
    """Return the identities and the hash of the embedder; raises _OtherVersion or _Damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            wrong = archive.testzip()  # numpy would trust damaged sizes and shapes
        if wrong is not None:
            raise ValueError(f"the checksum of {wrong} is wrong")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            head = json.loads(file["head"].tobytes().decode())
            if head["version"] not in _READABLE:
                raise _OtherVersion(head["version"], head.get("next_id"))
            gallery = Gallery(
                camera_ids=tuple(map(str, head["camera_ids"])),
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
        _check(gallery)
        return gallery, str(head["embedder_hash"])
    except _OtherVersion:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise about ten types for a damaged file
        raise _Damaged(str(error) or type(error).__name__) from error


def _check(gallery: Gallery) -> None:
    """Raise ValueError if the arrays do not fit together, or hold values that no run writes."""
    people, cameras = len(gallery.global_id), len(gallery.camera_ids)
    features = gallery.features.shape[1:2]
    shapes: dict[str, tuple[np.ndarray[Any, Any], tuple[int, ...]]] = {
        "global_id": (gallery.global_id, (people,)),
        "class_id": (gallery.class_id, (people,)),
        "last_seen_s": (gallery.last_seen_s, (people, cameras)),
        "features": (gallery.features, (people, *gallery.features.shape[1:])),
        "has_feature": (gallery.has_feature, (people, *features)),
        "feature_camera": (gallery.feature_camera, (people, *features)),
        "last_floor_s": (gallery.last_floor_s, (people,)),
        "last_floor_xy_m": (gallery.last_floor_xy_m, (people, 2)),
        "camera_mean": (gallery.centres.mean, (cameras, *gallery.centres.mean.shape[1:])),
        "camera_tracks": (gallery.centres.tracks, (cameras,)),
    }
    kinds = {"global_id": "iu", "class_id": "iu", "feature_camera": "iu", "has_feature": "b"}
    odd = [name for name, (array, _) in shapes.items() if array.dtype.kind not in kinds.get(name, "f")]
    if odd:
        raise ValueError(f"wrong types: {', '.join(odd)}")
    # A gallery without people has no cameras and no features.
    wrong = [name for name, (array, shape) in shapes.items() if people and array.shape != shape]
    if wrong or gallery.features.ndim != 3 or gallery.centres.mean.ndim != 2:
        raise ValueError(f"wrong shapes: {', '.join(wrong) or 'features or camera_mean'}")
    if len(set(gallery.camera_ids)) != cameras:
        raise ValueError("a camera is in it twice")
    ids = gallery.global_id
    if len(np.unique(ids)) != people or not ((ids > 0) & (ids < gallery.next_id)).all():
        raise ValueError("an id is in it twice, or is not below the first free id")
    if not 0 < gallery.next_id <= LARGEST_ID:
        raise ValueError(f"the first free id is {gallery.next_id}")
    used = gallery.feature_camera[gallery.has_feature]
    if not ((used >= 0) & (used < max(cameras, 1))).all():
        raise ValueError("an embedding is of no camera")
    finite = (gallery.features[gallery.has_feature], gallery.centres.mean, gallery.centres.tracks)
    if not all(np.isfinite(values).all() for values in finite) or np.isnan(gallery.last_seen_s).any():
        raise ValueError("a value is not a number")


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


def _free_id(folder: Path, since_ns: int = 0) -> int:
    """Return the first global id above all in the segments that were modified since `since_ns`; 1 if there is none.

    Damaged segments are set aside and their readable rows stay. The rows that were lost may have had larger ids, so
    ids then continue after a gap.
    """
    largest = 0
    damaged = any(
        path.name.startswith("traj-") and path.stat().st_mtime_ns >= since_ns for path in files_put_aside(folder)
    )
    for path in segments(folder):
        try:
            if path.stat().st_mtime_ns < since_ns:
                continue
            rows = ReadableRows(path)
            for row in rows:
                largest = max(largest, int(row[_GLOBAL_ID]))
            damaged |= rows.needs_repair
            repair_rows(rows, COLUMNS, ours=is_of_a_run(path))
        except (OSError, InputError) as error:
            _log.error("%s cannot be read or repaired (%s); it stays as it is", path, error)
            damaged = True
    if damaged:
        with suppress(OSError, InputError):
            for fields in corrections(folder):
                correction = correction_of(fields)
                largest = max(largest, correction.provisional_id, correction.global_id)
        largest += _RESERVED_IDS
    return largest + 1


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


def keep_people(path: Path, stay: Callable[[int, float], bool], *, forget_means: bool = False) -> int:
    """Rewrite the file without some of its people; their ids are not assigned again in any case.

    The camera means are sums over everybody, and with few people close to each of them. Nobody can be subtracted from
    them, so they are forgotten with the first person who goes, and learned again.

    Args:
        forget_means: whether to forget the camera means also if nobody goes; somebody may have been forgotten already.
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
    known = any(arrays[name].any() for name in _MEANS)
    if kept.all() and not (forget_means and known):
        return 0
    left: dict[str, Any] = {
        name: values if name == "head" else np.zeros_like(values) if name.startswith("camera_") else values[kept]
        for name, values in arrays.items()
    }
    buffer = io.BytesIO()
    np.savez(buffer, **left)
    _rewrite(path, buffer.getvalue())
    return int((~kept).sum())


def empty_gallery(path: Path) -> None:
    """Replace a file that cannot be read by one without people, which continues the ids.

    Raises:
        RunError: it cannot be written.
    """
    try:
        data = read_regular(path)
    except OSError:
        data = b""
    if path.is_dir():
        raise RunError(f"{path} is a folder; move it away")
    gallery = _only_ids(max(_counter(data), _free_id(path.parent)))
    buffer = io.BytesIO()
    _save(buffer, gallery, "", gallery.next_id)
    _rewrite(path, buffer.getvalue())


def _rewrite(path: Path, data: bytes) -> None:
    try:
        before = path.stat()
        write_whole(path, data)
        # `load_gallery` compares with this time: newer rows may have ids that are not in the file.
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; it is unchanged") from error


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


def read_gallery(path: Path) -> tuple[Gallery, str]:
    """Return the identities in the file and the hash of their embedder; unlike `load_gallery`, change nothing.

    Raises:
        InputError: the file cannot be read, or is damaged or of another version.
    """
    try:
        return _parse(read_regular(path))
    except _OtherVersion as error:
        raise InputError(f"{path} {error}; delete it; then nobody is recognised") from error
    except (OSError, _Damaged) as error:
        raise InputError(f"{path} is damaged ({error}); delete it; then nobody is recognised") from error


def _arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    read_gallery(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
