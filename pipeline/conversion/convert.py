"""Converts a run into the files of another tool."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.conversion.boxes import RunRows, Told, collected, names_in, usable_rows
from pipeline.conversion.coco import coco_files
from pipeline.conversion.cvat import cvat_files
from pipeline.conversion.datumaro import datumaro_files
from pipeline.conversion.fiftyone import fiftyone_files
from pipeline.conversion.mot import mot_files
from pipeline.conversion.parquet import write_parquet
from pipeline.core.errors import InputError, RunError
from pipeline.files.copies import note_copy
from pipeline.files.whole_files import FOLDER_MODE, write_whole
from pipeline.stored.run import StoredRun


class Format(StrEnum):
    """A format of another tool."""

    COCO = "coco"
    CVAT = "cvat"
    DATUMARO = "datumaro"
    PARQUET = "parquet"
    MOT = "mot"
    FIFTYONE = "fiftyone-script"


#: Formats that also hold the frames in which nobody was seen.
_WITH_EMPTY_FRAMES = (Format.COCO, Format.CVAT, Format.DATUMARO)


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        files: their paths.
        rows: number of rows in them.
        cameras: number of cameras.
        told: what was left out or assumed.
    """

    files: Sequence[Path]
    rows: int
    cameras: int
    told: Told


def convert(
    run: StoredRun,
    target: Format,
    output: Path,
    *,
    overwrite: bool = False,
    observed_only: bool = False,
    sizes_wh: Mapping[str, tuple[int, int]] | None = None,
) -> Converted:
    """Write the rows of a run in another format, and note in the folder of the run where they are.

    Args:
        output: a file for parquet, a folder for all other formats.
        overwrite: whether to replace files that are there.
        observed_only: whether to leave out interpolated rows.
        sizes_wh: picture sizes by camera, instead of those that the run has noted.

    Raises:
        InputError: the rows cannot be read or do not fit the format, or there are files already; nothing is written.
        RunError: a file cannot be written.
    """
    told = Told()
    _check_place(run.folder, output)
    if target is Format.PARQUET:
        _check_free([output], overwrite)
        seen: set[str] = set()

        def counted() -> Iterable[object]:
            for linked in usable_rows(run, told, observed_only=observed_only):
                seen.add(linked.row.camera_id)
                yield linked

        try:
            output.parent.mkdir(parents=True, mode=FOLDER_MODE, exist_ok=True)
            rows = write_parquet(output, counted(), run.epoch_utc, names_in(run, told))  # type: ignore[arg-type]
        except OSError as error:
            raise RunError(f"{output} cannot be written: {error.strerror or error}") from error
        _note(run.folder, output, target, told)
        written, cameras = [output], len(seen)
    else:
        content = collected(run, told, observed_only=observed_only, sizes_wh=sizes_wh or {})
        if target in _WITH_EMPTY_FRAMES:
            told.notes += [
                f"camera {camera.camera_id}: it is unknown which frames were tracked, so those without rows are missing"
                for camera in content.cameras
                if not camera.knows_frames
            ]
        before = sum(told.left_out.values())
        files = [(output / name, data) for name, data in _files(run, content, target, told)]
        rows = content.count - (sum(told.left_out.values()) - before)
        _check_free([path for path, _ in files], overwrite)
        # Before the files: some of them may be written when the disk is full.
        _note(run.folder, output, target, told)
        _write(output, files, told)
        written, cameras = [path for path, _ in files], len(content.cameras)
    return Converted(written, rows, cameras, told)


def _files(run: StoredRun, content: RunRows, target: Format, told: Told) -> Iterable[tuple[str, bytes]]:
    match target:
        case Format.COCO:
            return coco_files(content)
        case Format.CVAT:
            return cvat_files(content, told)
        case Format.DATUMARO:
            return datumaro_files(content)
        case Format.MOT:
            return mot_files(content, told)
        case Format.FIFTYONE:
            return fiftyone_files(content, run.folder.resolve().name)
        case Format.PARQUET:
            raise ValueError("a table is written row by row")


def _check_place(folder: Path, output: Path) -> None:
    """Raise InputError if the output would be among the files of the run itself."""
    if output.resolve() in (folder.resolve(), (folder / "mot").resolve()):
        raise InputError(f"--output {output} is a folder of the run itself: choose another one")


def _check_free(paths: Sequence[Path], overwrite: bool) -> None:
    for path in paths:
        if path.is_dir():
            raise InputError(f"--output: {path} is a folder, but a file of this name is to be written")
        if os.path.lexists(path) and not overwrite:
            raise InputError(f"{path} already exists. Use --overwrite to replace it, or choose another --output")


def _write(output: Path, files: Sequence[tuple[Path, bytes]], told: Told) -> None:
    for path, data in files:
        try:
            path.parent.mkdir(parents=True, mode=FOLDER_MODE, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror or error}") from error
    ours = {path.resolve() for path, _ in files}
    others = [path for path in sorted(output.rglob("*")) if path.is_file() and path.resolve() not in ours]
    if others:
        told.notes.append(
            f"{output} holds {len(others)} other files, such as {others[0]}; they are unchanged and not of this run"
        )


def _note(folder: Path, output: Path, target: Format, told: Told) -> None:
    try:
        note_copy(folder, output, target)
    except OSError as error:
        told.notes.append(
            f"{folder} cannot be written ({error.strerror}): `mtmc person purge` will not name {output} among what it "
            "does not reach"
        )
