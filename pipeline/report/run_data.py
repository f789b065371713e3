"""Reads the folder of a recorded run for its report. What is missing or damaged is told, and the rest is used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.datatypes import LinkedRow
from pipeline.core.decisions import Decision, TrackKey
from pipeline.core.errors import InputError
from pipeline.files.decision_file import read_decisions
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import DECISIONS_NAME, NOTE_NAME, read_note
from pipeline.files.tracklet_file import read_tracklets
from pipeline.recorded.missing_tracklets import TrackRows, tracks_in
from pipeline.recorded.people import Person, TrackSpan, people_of
from pipeline.report.best_boxes import BestBoxes, ChosenBox
from pipeline.review.described_people import described_people

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NotedCamera:
    """What run.json says about a camera.

    Attributes:
        settings: of the camera, as in a configuration.
        size_wh: (width, height) of its images in pixels, None if it is not noted.
        frames, late_frames: number of frames that were used, and of those left out because they were not later than
            the previous one.
        problem: why its recording could not be read to the end.
    """

    settings: Mapping[str, Any]
    size_wh: tuple[int, int] | None
    frames: int
    late_frames: int
    problem: str | None

    @property
    def crop_xyxy_px(self) -> Sequence[float] | None:
        """Left, top, right, bottom of the part of the image that the run used; None for all of it."""
        crop = self.settings.get("crop_xyxy_px")
        if not isinstance(crop, list) or len(crop) != 4 or not all(isinstance(value, int) for value in crop):
            return None
        return crop if crop[0] < crop[2] and crop[1] < crop[3] else None


@dataclass(frozen=True, eq=False)
class RunData:
    """A run, as its report needs it.

    Attributes:
        state: how the run ended, as in run.json; None without that file.
        started_utc: when it was started, as in run.json; '' if that is unknown.
        epoch_utc: date and time of second 0 of the run's clock, None if it is unknown.
        cameras: in the order of the run.
        people: everybody, with the fragments, in the order of global ids.
        rows, interpolated: number of rows, and of those that no detector saw.
        tracks: with the path of each on the floor.
        boxes: the best boxes of each track, the best one first; empty without the image sizes.
        decisions: of each track, in order; None if they were not recorded.
        gaps: sentences about what is missing, damaged or left out.
    """

    folder: Path
    state: str | None
    started_utc: str
    epoch_utc: datetime | None
    cameras: Mapping[str, NotedCamera]
    people: Sequence[Person]
    rows: int
    interpolated: int
    tracks: Mapping[TrackKey, TrackRows]
    boxes: Mapping[TrackKey, Sequence[ChosenBox]]
    decisions: Mapping[TrackKey, Sequence[Decision]] | None
    gaps: Sequence[str]

    @property
    def persons(self) -> list[Person]:
        """Everybody who is no fragment."""
        return [person for person in self.people if not person.is_fragment]

    @property
    def fragments(self) -> list[Person]:
        """The fragments."""
        return [person for person in self.people if person.is_fragment]

    @property
    def start_s(self) -> float:
        """Time of the first row, 0 without rows."""
        return min((person.start_s for person in self.people), default=0.0)

    @property
    def end_s(self) -> float:
        """Time of the last row, 0 without rows."""
        return max((person.end_s for person in self.people), default=0.0)


def read_run(
    folder: Path,
    watch: Callable[[Iterator[LinkedRow]], Iterator[LinkedRow]] = lambda rows: rows,
    rows: Path | None = None,
) -> RunData:
    """Read the run in `folder`; each thing that is missing or damaged is logged in one line, and is in `gaps`.

    Args:
        watch: yields all rows that it is called with.
        rows: read these rows instead of trajectories.csv.

    Raises:
        InputError: there is no recorded run, or its trajectories.csv is damaged.
    """
    rows_path = folder / "trajectories.csv"
    if not rows_path.is_file():
        live = any(folder.glob("manifest-*.json"))
        reason = "it is a live run, which `mtmc view` shows" if live else "it holds no results of `mtmc track`"
        raise InputError(f"{folder} cannot be reported: {reason}")
    gaps: list[str] = []

    def tell(sentence: str) -> None:
        gaps.append(sentence)
        _log.warning("%s", sentence)

    note = _note(folder / NOTE_NAME, tell)
    state = note.get("state")
    _tell_state(folder, state, tell)
    _tell_review(note.get("review"), gaps)
    cameras = _cameras(note)
    best = BestBoxes({name: camera.size_wh for name, camera in cameras.items() if camera.size_wh})
    counts = _Counts()
    tracks = tracks_in(best.watch(counts.watch(watch(read_trajectories(rows or rows_path)))))
    for camera_id in sorted({camera_id for camera_id, _ in tracks} - cameras.keys()):
        cameras[camera_id] = NotedCamera({}, None, 0, 0, None)
    for name, camera in cameras.items():
        if camera.problem:
            tell(f"The recording of camera {name} could not be read to its end: {camera.problem}")
        if camera.late_frames:
            tell(
                f"{camera.late_frames} frames of camera {name} were left out: they were not later than the one before"
            )
    good_crops = _good_crops(folder / "tracklets.arrow", tracks, tell)
    return RunData(
        folder=folder,
        state=state if isinstance(state, str) else None,
        started_utc=str(note.get("started_utc") or ""),
        epoch_utc=_moment(note.get("epoch_utc")),
        cameras=cameras,
        people=people_of(
            (_span(key, track, good_crops.get(key)) for key, track in tracks.items()), _names(folder, tell)
        ),
        rows=counts.rows,
        interpolated=counts.interpolated,
        tracks=tracks,
        boxes=best.of_tracks(),
        decisions=_decisions(folder / DECISIONS_NAME, tracks, tell),
        gaps=gaps,
    )


@dataclass
class _Counts:
    rows: int = 0
    interpolated: int = 0

    def watch(self, rows: Iterable[LinkedRow]) -> Iterator[LinkedRow]:
        """Yield the rows and count them."""
        for linked in rows:
            self.rows += 1
            self.interpolated += linked.row.interpolated
            yield linked


def _note(path: Path, tell: Callable[[str], None]) -> Mapping[str, Any]:
    if not path.is_file():
        tell(f"{path} is missing: there are no pictures, and it is not known how the run ended")
        return {}
    try:
        note = read_note(path)
        if isinstance(note, dict):
            return note
        problem = "it holds no JSON object"
    except (OSError, ValueError, RecursionError) as error:
        problem = str(error)
    tell(f"{path} is damaged ({problem}): there are no pictures, and it is not known how the run ended")
    return {}


def _tell_state(folder: Path, state: object, tell: Callable[[str], None]) -> None:
    advice = f"the ids are online ones; `mtmc link {folder} --overwrite` gives final ids"
    if state == "running":
        tell(f"The run was killed, or is still running: {advice}")
    elif state in ("interrupted", "failed"):
        tell(f"The run was {'interrupted' if state == 'interrupted' else 'ended by an error'}: {advice}")
    elif state == "killed":
        tell("The run was killed; `mtmc link` gave it final ids up to that moment")


def _tell_review(noted: object, gaps: list[str]) -> None:
    """Add what a person corrected; that is no problem, and is not logged."""
    if not isinstance(noted, dict):
        return
    steps, permanent, deleted = (_count(noted.get(name)) for name in ("steps", "permanent_steps", "deleted_rows"))
    gaps.append(
        f"A person corrected the ids in {steps + permanent} steps (`mtmc review`)"
        + (f"; {deleted} rows of false detections were deleted" if deleted else "")
    )


def _names(folder: Path, tell: Callable[[str], None]) -> Mapping[int, str]:
    """Return the names that a review gave."""
    try:
        return described_people(folder).names
    except InputError as error:
        tell(f"{error}: names of people are missing")
        return {}


def _cameras(note: Mapping[str, Any]) -> dict[str, NotedCamera]:
    """Return what the note says about each camera; what it does not say, or says in another form, is left out."""
    config, noted = note.get("config"), note.get("cameras")
    listed = config.get("cameras") if isinstance(config, dict) else None
    settings = {
        one["name"]: one
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    }
    found = {}
    for name, counts in (noted if isinstance(noted, dict) else {}).items():
        counts = counts if isinstance(counts, dict) else {}
        size_wh = None
        with suppress(KeyError, TypeError, ValueError):
            width, height = counts["size_wh"]
            size_wh = (int(width), int(height))
        found[name] = NotedCamera(
            settings.get(name, {}),
            size_wh,
            _count(counts.get("frames")),
            _count(counts.get("late_frames")),
            counts["problem"] if isinstance(counts.get("problem"), str) else None,
        )
    return found


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _moment(text: object) -> datetime | None:
    with suppress(ValueError):
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    return None


def _good_crops(path: Path, tracks: Mapping[TrackKey, object], tell: Callable[[str], None]) -> dict[TrackKey, int]:
    """Return the number of good crops of the tracks whose tracklet can be read."""
    found: dict[TrackKey, int] = {}
    problem = ""
    if path.is_file():
        try:
            found = {tracklet.key: tracklet.good_crops for tracklet in read_tracklets(path)}
        except InputError as error:
            problem = str(error)
    else:
        problem = f"{path} is missing"
    missing = len(tracks.keys() - found.keys())
    if problem:
        tell(f"{problem}: it is not known which tracks are fragments, so all count as people")
    elif missing:
        tell(
            f"{missing} of {len(tracks)} tracks are not in {path}, because the run was killed, the file is damaged, "
            "or a review cut them: it is not known whether they are fragments, so they count as people"
        )
    return found


def _span(key: TrackKey, track: TrackRows, good_crops: int | None) -> TrackSpan:
    return TrackSpan(
        *key, track.class_name, track.start_s, track.end_s, track.observations, good_crops, track.link
    )


def _decisions(
    path: Path, tracks: Mapping[TrackKey, object], tell: Callable[[str], None]
) -> dict[TrackKey, list[Decision]] | None:
    if not path.is_file():
        tell(f"{path} is missing: doubtful links are found by their confidence alone")
        return None
    found: dict[TrackKey, list[Decision]] = {}
    try:
        for decision in read_decisions(path):
            if decision.key in tracks:
                found.setdefault(decision.key, []).append(decision)
    except InputError as error:
        tell(f"{error}: doubtful links are found by their confidence alone")
        return None
    return found
