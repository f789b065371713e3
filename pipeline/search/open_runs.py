"""Opens what a search names: output folders of `mtmc track` and `mtmc live`, or folders that contain such folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.files.run_folder import NOTE_NAME
from pipeline.live.output.gallery_file import GALLERY_NAME
from pipeline.search.live_site import LiveSite
from pipeline.search.recorded_run import TRACKLETS_NAME, RecordedRun
from pipeline.search.run_config import ConfigChoice
from pipeline.search.searched_run import SearchedRun


def open_runs(folders: Sequence[Path], choice: ConfigChoice, places: Sequence[str] = ()) -> list[SearchedRun]:
    """Open the runs in some folders, at least one.

    Args:
        folders: output folders, or folders of output folders.
        choice: what replaces the recorded settings.
        places: names of the runs to search; all if empty.

    Raises:
        InputError: a folder holds no run; no run has the name of a place; a run cannot be searched; or two runs have
            embeddings of different models.
    """
    found = [path for folder in folders for path in _run_folders(folder)]
    unique = list({path.resolve(): path for path in found}.values())
    names = _names(unique)
    if strange := [place for place in places if place not in names]:
        raise InputError(f"--place {strange[0]!r}: no run has this name; the runs are {', '.join(names)}")
    runs: list[SearchedRun] = []
    for path, name in zip(unique, names, strict=True):
        if not places or name in places:
            runs.append(_opened(path, name, choice))
    first = runs[0]
    for run in runs[1:]:
        one, other = first.comparing.embedder_hash, run.comparing.embedder_hash
        if one != other:
            raise InputError(
                f"{first.folder} has embeddings of the model {one}, but {run.folder} of {other}, so they cannot be "
                "searched together: search them one after the other"
            )
    return runs


def _opened(folder: Path, name: str, choice: ConfigChoice) -> SearchedRun:
    return RecordedRun(folder, name, choice) if _is_recorded(folder) else LiveSite(folder, name, choice)


def _is_recorded(folder: Path) -> bool:
    return (folder / TRACKLETS_NAME).exists() or (folder / NOTE_NAME).exists()


def _is_run(folder: Path) -> bool:
    return _is_recorded(folder) or (folder / GALLERY_NAME).exists() or any(folder.glob("manifest-*.json"))


def _run_folders(folder: Path) -> list[Path]:
    """Return the folder itself if it holds a run, else the runs directly below it."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name the output folder of `mtmc track` or `mtmc live`")
    if _is_run(folder):
        return [folder]
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and _is_run(path))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from error
    if not below:
        raise InputError(f"{folder} holds no results of `mtmc track` or `mtmc live`, and no folder in it does")
    return below


def _names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each run: that of its folder, with the folder above where names repeat."""
    short = [folder.resolve().name for folder in folders]
    longer = [f"{folder.resolve().parent.name}/{folder.resolve().name}" for folder in folders]
    names = [long if short.count(name) > 1 else name for name, long in zip(short, longer, strict=True)]
    return [
        str(folder.resolve()) if names.count(name) > 1 else name
        for folder, name in zip(folders, names, strict=True)
    ]
