"""Finds in the folder of a run what was decided about a track or a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline.core.decisions import Decision, Outcome, Stage, TrackKey
from pipeline.core.errors import InputError
from pipeline.files.decision_file import read_decisions
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import DECISIONS_NAME
from pipeline.recorded.missing_tracklets import TrackRows, tracks_in
from pipeline.review.described_people import described_people
from pipeline.review.track_history import ReviewHistory, review_history

_LISTED = 8  # of a message; a run may have thousands of tracks


@dataclass(frozen=True, eq=False)
class DecidedRun:
    """The tracks of a run, and the decisions about each, in order.

    Attributes:
        folder: of the run.
        tracks: by camera and number.
        decisions: of the same tracks; a track about which nothing is recorded is left out.
        left_out: decisions of tracks that are not in `trajectories.csv`, because they never moved.
        deleted: decisions of tracks that are not in `trajectories.csv`, because a review deleted or cut them.
        names: of people, which a review gave.
        review: what a review did to the tracks.
    """

    folder: Path
    tracks: Mapping[TrackKey, TrackRows]
    decisions: Mapping[TrackKey, Sequence[Decision]]
    left_out: Mapping[TrackKey, Sequence[Decision]]
    deleted: Mapping[TrackKey, Sequence[Decision]] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    review: ReviewHistory = field(default_factory=ReviewHistory)

    @cached_property
    def persons_of_online_id(self) -> Mapping[int, Sequence[int]]:
        """The global ids in trajectories.csv of the tracks that have an online id."""
        found: dict[int, set[int]] = defaultdict(set)
        for key, decisions in self.decisions.items():
            for decision in decisions:
                if decision.stage is Stage.ONLINE and decision.global_id is not None:
                    found[decision.global_id].add(self.tracks[key].link.global_id)
        return {online: sorted(persons) for online, persons in found.items()}

    def track(self, text: str) -> TrackKey:
        """Return the track that CAMERA:TRACK names; InputError if there is none."""
        camera_id, colon, number = text.rpartition(":")
        if not (colon and camera_id and number.isdecimal()):
            raise InputError(f"--track {text!r}: expected CAMERA:TRACK, such as {self._example()}")
        key = (camera_id, int(number))
        if key in self.tracks or key in self.left_out or self.is_deleted(key):
            return key
        of_camera = [track_id for camera, track_id in sorted(self.tracks) if camera == camera_id]
        if not of_camera:
            cameras = sorted({camera for camera, _ in self.tracks})
            raise InputError(
                f"--track {text!r}: {self.folder} has no track of a camera {camera_id!r}; its cameras are "
                f"{_some(cameras)}"
            )
        raise InputError(
            f"--track {text!r}: camera {camera_id!r} has no track {number}; its tracks are {_some(of_camera)}"
        )

    def is_deleted(self, key: TrackKey) -> bool:
        """Return whether a review deleted a track."""
        history = self.review.tracks.get(key)
        return history is not None and history.deleted

    def decisions_about(self, key: TrackKey) -> Sequence[Decision]:
        """Return the decisions about a track, or about the track that it was a part of."""
        history = self.review.tracks.get(key)
        origin = key if history is None else history.origin
        return self.decisions.get(origin) or self.left_out.get(origin) or self.deleted.get(origin, ())

    def tracks_of(self, global_id: int) -> list[TrackKey]:
        """Return the tracks of a person, in order of time; InputError if nobody has the id."""
        found = [key for key, track in self.tracks.items() if track.link.global_id == global_id]
        if not found:
            ids = sorted({track.link.global_id for track in self.tracks.values()})
            raise InputError(f"--id {global_id}: nobody in {self.folder} has this id; the ids are {_some(ids)}")
        return sorted(found, key=lambda key: (self.tracks[key].start_s, key))

    def _example(self) -> str:
        return next((f"{camera_id}:{track_id}" for camera_id, track_id in sorted(self.tracks)), "hall:3")


def read_decided_run(folder: Path) -> DecidedRun:
    """Read the tracks and decisions of the run in `folder`.

    Raises:
        InputError: there is no run, or no decisions were recorded.
    """
    rows = folder / "trajectories.csv"
    if not rows.is_file():
        live = any(folder.glob("manifest-*.json"))
        reason = "live runs record no decisions" if live else "it holds no results of `mtmc track`"
        raise InputError(f"{folder} cannot be explained: {reason}")
    path = folder / DECISIONS_NAME
    if not path.is_file():
        raise InputError(
            f"{folder} has no {DECISIONS_NAME}: track the recordings again with output.save_decisions, which is on by "
            f"default; or `mtmc link {folder} --overwrite --set output.save_decisions=true` records the second pass"
        )
    tracks = tracks_in(read_trajectories(rows))
    decisions: dict[TrackKey, list[Decision]] = defaultdict(list)
    missing: dict[TrackKey, list[Decision]] = defaultdict(list)
    for decision in read_decisions(path):
        (decisions if decision.key in tracks else missing)[decision.key].append(decision)
    left_out = {
        key: of_track
        for key, of_track in missing.items()
        if any(decision.outcome is Outcome.LEFT_OUT for decision in of_track)
    }
    review = review_history(folder)
    deleted = {key: missing[key] for key in review.tracks.keys() & missing.keys()}
    try:
        names = described_people(folder).names
    except InputError:  # `review` says so
        names = {}
    return DecidedRun(folder, tracks, dict(decisions), left_out, deleted, names, review)


def _some(values: Collection[str] | Collection[int]) -> str:
    shown = ", ".join(map(str, list(values)[:_LISTED]))
    return shown + (", ..." if len(values) > _LISTED else "")
