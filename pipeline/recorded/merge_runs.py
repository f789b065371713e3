"""Makes one run of the runs of single cameras, or of parts of a site, before the second pass links all of them."""

from __future__ import annotations

import heapq
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.datatypes import LinkedRow
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.files.origin import origin
from pipeline.files.results_csv import TrajectoryWriter
from pipeline.files.run_folder import DECISIONS_NAME, EVENTS_NAME, NOTE_NAME
from pipeline.files.tracklet_file import IntactBatches, TrackletFileInfo, TrackletWriter, read_info
from pipeline.files.whole_files import SHARED_MODE, write_whole
from pipeline.recorded.countable_run import rows_in_order
from pipeline.recorded.run_note import EarlierNote

# Settings that decide what the rows and embeddings are; those of the other sections say where and how fast.
_COMPARED = ("detector", "embedder", "tracker", "recording", "linker", "second_pass", "output", "counting")
# Settings of these sections that do not: the hashes say which models were used.
_FREE = {
    "detector": {"weights", "device", "runtime", "half", "max_batch"},
    "embedder": {"weights", "site", "device", "runtime", "half", "batch_size"},
    "linker": {"transit_windows"},
    "output": {"video", "show", "save_detections", "save_embeddings", "save_decisions"},
}
_LINKING = {"linker", "second_pass", "output", "counting"}
_LISTS = ("zones", "lines")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RunPart:
    """One of the runs to merge.

    Attributes:
        note: its run.json.
        info: the metadata of its tracklets.
        offset_s: what its times need to be on the clock of the merged run.
    """

    folder: Path
    note: EarlierNote
    info: TrackletFileInfo
    offset_s: float


def open_parts(folders: Sequence[Path], *, other_settings: bool) -> list[RunPart]:
    """Open runs of `mtmc track` that can be merged.

    Args:
        other_settings: whether they will be linked with other settings than their own, which may then differ.

    Raises:
        InputError: a folder holds no run or one that has not ended; or the runs do not fit together: a camera is in two
            of them, models or settings differ, or the date of the recordings is known for some of them only.
    """
    notes = [_note(folder) for folder in folders]
    infos = [read_info(folder / "tracklets.arrow") for folder in folders]
    _check_cameras(folders, infos)
    _check_models(folders, notes, infos)
    _check_settings(folders, notes, other_settings=other_settings)
    dated = [note.epoch_utc for note in notes]
    if None in dated and any(dated):
        without = folders[dated.index(None)]
        dated_one = folders[next(place for place, epoch in enumerate(dated) if epoch is not None)]
        raise InputError(
            f"the recordings of {without} have no date, but those of {dated_one} do, so that nobody knows which "
            "moments belong together: set cameras.start_utc and track again"
        )
    epoch = min((moment for moment in dated if moment is not None), default=None)
    return [
        RunPart(folder, note, info, _offset_s(note.epoch_utc, epoch))
        for folder, note, info in zip(folders, notes, infos, strict=True)
    ]


def merge_runs(parts: Sequence[RunPart], folder: Path) -> list[str]:
    """Write trajectories.csv, with distinct online ids, tracklets.arrow and run.json of all runs into `folder`; return
    the names of the files of the runs that have no place in it.

    Raises:
        InputError: a file cannot be read.
        RunError: a file cannot be written.
    """
    camera_ids = [camera_id for part in parts for camera_id in part.info.camera_ids]
    epoch = next((part.note.epoch_utc for part in parts if not part.offset_s), None)
    with TrajectoryWriter(folder, camera_ids, epoch) as writer:
        for linked in _rows(parts, camera_ids):
            writer.write(linked)
    _write_tracklets(parts, camera_ids, folder / "tracklets.arrow")
    content = json.dumps(_merged_note(parts, epoch), indent=1) + "\n"
    write_whole(folder / NOTE_NAME, content.encode(), mode=SHARED_MODE)
    for part in parts:
        if part.note.state != "complete":
            _log.warning("%s ended as %s: what it holds is linked", part.folder, part.note.state)
    return _left_out(parts)


def _note(folder: Path) -> EarlierNote:
    if not (folder / "tracklets.arrow").is_file() or not (folder / "trajectories.csv").is_file():
        raise InputError(f"{folder} holds no results of `track` (trajectories.csv and tracklets.arrow)")
    note = EarlierNote(folder / NOTE_NAME)
    if note.running:
        raise InputError(
            f"{folder} is half-written: its run is going on, or was killed. Wait for its end, or give it final ids "
            f"with `mtmc link {folder} --overwrite`"
        )
    return note


def _offset_s(own: datetime | None, epoch: datetime | None) -> float:
    return 0.0 if own is None or epoch is None else (own - epoch).total_seconds()


def _check_cameras(folders: Sequence[Path], infos: Sequence[TrackletFileInfo]) -> None:
    of_camera: dict[str, Path] = {}
    for folder, info in zip(folders, infos, strict=True):
        for camera_id in info.camera_ids:
            if camera_id in of_camera:
                raise InputError(
                    f"camera {shown(camera_id)} is in {of_camera[camera_id]} and in {folder}: give each camera once, "
                    "and a name of its own"
                )
            of_camera[camera_id] = folder


def _check_models(
    folders: Sequence[Path], notes: Sequence[EarlierNote], infos: Sequence[TrackletFileInfo]
) -> None:
    for folder, note, info in zip(folders[1:], notes[1:], infos[1:], strict=True):
        models = {"embedding model": (infos[0].embedder_hash, info.embedder_hash)}
        # The hash of saved detections is that of their files.
        if all("detector" in _dict(one.content, "computed_by") for one in (notes[0], note)):
            models["detector"] = (notes[0].hashes.get("detector", ""), note.hashes.get("detector", ""))
        for model, (first, other) in models.items():
            if first != other:
                raise InputError(
                    f"the {model} of {folders[0]} is {first or 'none'}, that of {folder} {other or 'none'}: track with "
                    "the same models, or link the runs separately"
                )
        if dict(infos[0].class_names) != dict(info.class_names):
            raise InputError(f"the class names of {folders[0]} and {folder} differ: track with the same detector")


def _check_settings(folders: Sequence[Path], notes: Sequence[EarlierNote], *, other_settings: bool) -> None:
    sections = [name for name in _COMPARED if not (other_settings and name in _LINKING)]
    for folder, note in zip(folders[1:], notes[1:], strict=True):
        for section in sections:
            first, other = (_settings(one, section) for one in (notes[0], note))
            for key in sorted(first.keys() | other.keys()):
                if first.get(key) != other.get(key):
                    advice = "give --config" if section in _LINKING else "track with the same settings"
                    raise InputError(
                        f"{section}.{key} is {shown(first.get(key))} in {folders[0]}, but {shown(other.get(key))} in "
                        f"{folder}: {advice}"
                    )
        for name in _LISTS:
            of_name = {one.get("name"): one for one in _list(notes[0], name)}
            for one in _list(note, name):
                if of_name.setdefault(one.get("name"), one) != one:
                    raise InputError(
                        f"{name} {shown(one.get('name'))} differs between {folders[0]} and {folder}: give them "
                        "different names"
                    )


def _settings(note: EarlierNote, section: str) -> dict[str, Any]:
    content = note.config.get(section)
    free = _FREE.get(section, set())
    return {key: value for key, value in content.items() if key not in free} if isinstance(content, dict) else {}


def _list(note: EarlierNote, name: str) -> list[dict[str, Any]]:
    content = note.config.get(name)
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def _rows(parts: Sequence[RunPart], camera_ids: Sequence[str]) -> Iterator[LinkedRow]:
    """Yield the rows of all runs in order of time and camera; online ids of different runs are different."""
    place = {camera_id: number for number, camera_id in enumerate(camera_ids)}
    largest = [max((linked.link.global_id for linked in _own_rows(part)), default=0) for part in parts]
    first_id = [sum(largest[:number]) for number in range(len(parts))]

    def shifted(part: RunPart, add_id: int) -> Iterator[LinkedRow]:
        for linked in _own_rows(part):
            row = linked.row._replace(time_s=linked.row.time_s + part.offset_s)
            yield LinkedRow(row, replace(linked.link, global_id=linked.link.global_id + add_id))

    return heapq.merge(
        *(shifted(part, add_id) for part, add_id in zip(parts, first_id, strict=True)),
        key=lambda linked: (round(linked.row.time_s, 3), place[linked.row.camera_id], linked.row.track_id),
    )


def _own_rows(part: RunPart) -> Iterator[LinkedRow]:
    for linked in rows_in_order(part.folder / "trajectories.csv"):
        if linked.row.camera_id not in part.info.camera_ids:
            raise InputError(
                f"{part.folder / 'trajectories.csv'} has rows of camera {linked.row.camera_id!r}, but the cameras of "
                f"the run are {', '.join(part.info.camera_ids)}. Correct or remove these rows"
            )
        if not linked.row.interpolated:
            yield linked


def _write_tracklets(parts: Sequence[RunPart], camera_ids: Sequence[str], path: Path) -> None:
    info = replace(parts[0].info, camera_ids=tuple(camera_ids))

    def shifted(part: RunPart) -> Iterator[dict[str, Any]]:
        for _, rows in IntactBatches(part.folder / "tracklets.arrow").with_rows():
            for row in rows:
                yield {
                    **row,
                    "start_s": row["start_s"] + part.offset_s,
                    "end_s": row["end_s"] + part.offset_s,
                    "floor_time_s": [time_s + part.offset_s for time_s in row["floor_time_s"]],
                }

    with TrackletWriter(path, info) as writer:
        for row in heapq.merge(*map(shifted, parts), key=lambda row: row["end_s"]):
            writer.write_row(row)


def _merged_note(parts: Sequence[RunPart], epoch: datetime | None) -> dict[str, Any]:
    """Return the content of run.json for the merged run."""
    contents = [part.note.content for part in parts]
    config = dict(parts[0].note.config)
    config["cameras"] = [camera for part in parts for camera in _list(part.note, "cameras")]
    for name in _LISTS:
        merged = {one.get("name"): one for part in parts for one in _list(part.note, name)}
        config[name] = list(merged.values())
    windows = [
        window
        for part in parts
        if isinstance(linker := part.note.config.get("linker"), dict)
        for window in linker.get("transit_windows", [])
    ]
    config["linker"] = {**config.get("linker", {}), "transit_windows": windows}
    classes: dict[str, Counter[str]] = {}
    for content in contents:
        for name, counts in _dict(content, "classes").items():
            if isinstance(counts, dict):
                classes.setdefault(name, Counter()).update(counts)
    computed = [_dict(content, "computed_by") for content in contents]
    if any(one != computed[0] for one in computed):
        _log.warning("the runs were computed with different libraries, precisions or devices: see their run.json")
    return {
        "state": "complete" if all(part.note.state == "complete" for part in parts) else "incomplete",
        "cameras": {name: noted for content in contents for name, noted in _dict(content, "cameras").items()},
        "classes": {name: dict(counts) for name, counts in classes.items()},
        "unembedded_classes": list(
            dict.fromkeys(name for content in contents for name in content.get("unembedded_classes", []))
        ),
        **{name: sum(int(content.get(name) or 0) for content in contents) for name in ("rows", "global_ids")},
        "fragments": None,
        **{
            name: sum(int(content.get(name) or 0) for content in contents)
            for name in ("embedded_crops", "rejected_crops")
        },
        "unknown_cameras": {
            name: used for content in contents for name, used in _dict(content, "unknown_cameras").items()
        },
        "hashes": parts[0].note.hashes,
        "computed_by": computed[0],
        "wall_s": round(sum(float(content.get("wall_s") or 0) for content in contents), 3),
        "stage_s": dict(_sum(_dict(content, "stage_s") for content in contents)),
        **origin(),
        "versions": _dict(contents[0], "versions"),
        "config": config,
        "epoch_utc": epoch.isoformat() if epoch else None,
        "linked_from": [
            {
                "folder": str(part.folder.resolve()),
                "cameras": list(part.info.camera_ids),
                "offset_s": part.offset_s,
                "state": part.note.state,
                "started_utc": part.note.content.get("started_utc"),
            }
            for part in parts
        ],
    }


def _dict(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _sum(of_parts: Iterator[dict[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for seconds in of_parts:
        for stage, spent_s in seconds.items():
            total[stage] = round(total.get(stage, 0.0) + float(spent_s), 3)
    return total


def _left_out(parts: Sequence[RunPart]) -> list[str]:
    found: Counter[str] = Counter()
    for part in parts:
        for name in (DECISIONS_NAME, EVENTS_NAME, "trajectories.mp4", "detections"):
            found[name] += (part.folder / name).exists()
    return [f"{name} of {count} run{'s' * (count != 1)}" for name, count in found.items() if count]
