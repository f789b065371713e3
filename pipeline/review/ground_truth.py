"""Confirmed people as MOTChallenge ground truth of each camera, as `mtmc evaluate` reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.datatypes import LinkedRow
from pipeline.core.errors import InputError, RunError
from pipeline.files.mot_files import PEDESTRIAN
from pipeline.files.whole_files import FILE_MODE, FOLDER_MODE, replacing

_PERSON = "person"


@dataclass
class Exported:
    """What was exported.

    Attributes:
        people: their global ids.
        rows, interpolated: number of boxes, and of those among them that no detector saw.
        unconfirmed, others: rows left out: of ids that are not confirmed, and of confirmed ones of another class.
        files: by camera.
    """

    people: set[int] = field(default_factory=set)
    rows: int = 0
    interpolated: int = 0
    unconfirmed: int = 0
    others: Counter[str] = field(default_factory=Counter)
    files: dict[str, Path] = field(default_factory=dict)


def export_ground_truth(
    rows: Iterable[LinkedRow], confirmed: Iterable[int], cameras: Iterable[str], output: Path
) -> Exported:
    """Write CAMERA.txt for each camera, in the columns of MOT16 ground truth; a camera without rows has an empty file.

    Args:
        rows: in order of time.
        confirmed: global ids.

    Raises:
        InputError: nobody is confirmed, or one of the files exists.
        RunError: a file cannot be written; then there is none.
    """
    people = set(confirmed)
    if not people:
        raise InputError(
            "nobody is confirmed, so there is no ground truth to export: confirm people in `mtmc review`"
        )
    exported = Exported(files={name: output / f"{name}.txt" for name in cameras})
    for path in exported.files.values():
        if path.exists():
            raise InputError(f"{path} already exists: choose another folder, or delete it")
    try:
        output.mkdir(parents=True, mode=FOLDER_MODE, exist_ok=True)
        with ExitStack() as opened:
            files = {}
            for name, path in exported.files.items():
                part = opened.enter_context(replacing(path, mode=FILE_MODE))
                files[name] = opened.enter_context(part.open("w", encoding="utf-8"))
            for linked in rows:
                row = linked.row
                if linked.link.global_id not in people:
                    exported.unconfirmed += 1
                elif row.class_name != _PERSON:
                    exported.others[row.class_name] += 1
                else:
                    files[row.camera_id].write(f"{_line(linked)}\n")
                    exported.people.add(linked.link.global_id)
                    exported.rows += 1
                    exported.interpolated += row.interpolated
    except OSError as error:
        raise RunError(f"{error.filename or output} cannot be written: {error.strerror}") from error
    return exported


def _line(linked: LinkedRow) -> str:
    row = linked.row
    left, top, right, bottom = row.xyxy
    return (
        f"{row.frame_index + 1},{linked.link.global_id},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},"
        f"1,{PEDESTRIAN},1"
    )


def sentences(exported: Exported, names: Mapping[int, str]) -> list[str]:
    """Return what to tell the user about an export."""
    people = f"{len(exported.people)} people" if len(exported.people) != 1 else "1 person"
    named = sum(one in names for one in exported.people)
    told = [
        f"{exported.rows} boxes of {people} ({named} with a name) in {len(exported.files)} cameras; "
        f"{exported.interpolated} boxes are interpolated"
    ]
    if exported.unconfirmed:
        told.append(
            f"left out: {exported.unconfirmed} rows of people who are not confirmed. Where these are in view, an "
            "evaluation counts them as false boxes"
        )
    told += [f"left out: {count} rows of the class {name}" for name, count in sorted(exported.others.items())]
    return told
