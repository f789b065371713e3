"""The identities of a run while a person corrects them: which track belongs to whom after each step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, IntArray, Link
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.review.described_people import DescribedPeople
from pipeline.review.steps import Confirm, Delete, Merge, Rename, Split, Step


@dataclass(frozen=True, eq=False)
class OriginalTrack:
    """A track as the run wrote it.

    Attributes:
        frame_index: (N,) int64, ascending.
        time_s: (N,) float64 on the clock of the run.
        observed: (N,) bool, False for interpolated boxes.
        link: of its last row.
    """

    class_name: str
    link: Link
    frame_index: IntArray
    time_s: NDArray[np.float64]
    observed: BoolArray


@dataclass(frozen=True)
class Part:
    """A track after some steps: an original track, or a part of one.

    Attributes:
        origin: the original track.
        begin, end: its boxes are those from `begin` to before `end` of the original track.
        global_id: whose it is; None if it was deleted.
        moved: whether a person decided whose it is.
    """

    origin: TrackKey
    begin: int
    end: int
    global_id: int | None
    moved: bool = False


class Identities:
    """Applies steps in their order; a step that cannot be applied changes nothing.

    Invariant: steps never give two boxes of one frame of a camera the same global id.

    Attributes:
        parts: by (camera, track id).
        people: names and confirmations of everybody who has a track.
    """

    def __init__(self, original: Mapping[TrackKey, OriginalTrack]) -> None:
        self.original = original
        self.parts: dict[TrackKey, Part] = {
            key: Part(key, 0, len(track.frame_index), track.link.global_id) for key, track in original.items()
        }
        self.people = DescribedPeople()
        self._of_id: dict[int, set[TrackKey]] = defaultdict(set)
        self._free_track: dict[str, int] = defaultdict(lambda: 1)
        for key, part in self.parts.items():
            self._of_id[part.global_id or 0].add(key)
            self._free_track[key[0]] = max(self._free_track[key[0]], key[1] + 1)
        self.free_id = 1 + max(self._of_id, default=0)

    @property
    def names(self) -> dict[int, str]:
        """Display names by global id."""
        return self.people.names

    @property
    def confirmed(self) -> set[int]:
        """Global ids of people who were confirmed as correct."""
        return self.people.confirmed

    def free_track_id(self, camera_id: str) -> int:
        """Return a track id that no track of a camera has had."""
        return self._free_track[camera_id]

    def tracks_of(self, global_id: int) -> list[TrackKey]:
        """Return the tracks of an identity, in order of time; InputError if nobody has this id."""
        tracks = self._of_id.get(global_id)
        if not tracks:
            raise InputError(f"nobody has the id {global_id} now")
        return sorted(tracks, key=lambda key: (self.times(key)[0], key))

    def ids(self) -> list[int]:
        """Return the global ids of everybody, ascending."""
        return sorted(global_id for global_id, tracks in self._of_id.items() if tracks)

    def part(self, camera_id: str, track_id: int) -> Part:
        """Return a track that was not deleted; InputError if there is none."""
        found = self.parts.get((camera_id, track_id))
        if found is None or found.global_id is None:
            gone = "there is no track" if found is None else "deleted was the track"
            raise InputError(f"{gone} {camera_id}:{track_id}")
        return found

    def frames(self, key: TrackKey) -> IntArray:
        """Return the frame indices of a track, (N,) int64, ascending."""
        part = self.parts[key]
        return self.original[part.origin].frame_index[part.begin : part.end]

    def times(self, key: TrackKey) -> NDArray[np.float64]:
        """Return the times of a track, (N,) float64 in seconds on the clock of the run."""
        part = self.parts[key]
        return self.original[part.origin].time_s[part.begin : part.end]

    def parts_of(self, origin: TrackKey) -> list[tuple[TrackKey, Part]]:
        """Return the tracks that an original track has become, in order of time."""
        found = [(key, part) for key, part in self.parts.items() if part.origin == origin]
        return sorted(found, key=lambda one: one[1].begin)

    @property
    def cut(self) -> set[TrackKey]:
        """The tracks that are only a part of an original track."""
        return {
            key
            for key, part in self.parts.items()
            if part.end - part.begin != len(self.original[part.origin].frame_index)
        }

    @property
    def deleted_rows(self) -> int:
        """Number of rows, with interpolated ones, of the tracks that were deleted."""
        return sum(part.end - part.begin for part in self.parts.values() if part.global_id is None)

    def apply_all(self, steps: Iterable[Step]) -> Identities:
        """Apply steps and return the identities themselves."""
        for step in steps:
            self.apply(step)
        return self

    def apply(self, step: Step) -> None:
        """Apply a step.

        Raises:
            InputError: it is impossible; the message says why, and where.
        """
        match step:
            case Merge():
                self._merge(step)
            case Split():
                self._split(step)
            case Delete():
                part = self.part(step.camera_id, step.track_id)
                self._move((step.camera_id, step.track_id), part, None)
            case Rename() | Confirm():
                self.tracks_of(step.global_id)
                self.people.apply(step)

    def _merge(self, step: Merge) -> None:
        if step.into == step.merged:
            raise InputError(f"{step.into} cannot be merged with itself: give the id of another person")
        into, merged = self.tracks_of(step.into), self.tracks_of(step.merged)
        kinds = [self.original[self.parts[tracks[0]].origin].class_name for tracks in (into, merged)]
        if kinds[0] != kinds[1]:
            raise InputError(f"{step.into} is a {kinds[0]} and {step.merged} a {kinds[1]}: they cannot be merged")
        for key in merged:
            for other in into:
                if key[0] == other[0]:
                    self._check_apart(step, key, other)
        self.people.apply(step)
        for key in merged:
            self._move(key, self.parts[key], step.into)

    def _check_apart(self, step: Merge, key: TrackKey, other: TrackKey) -> None:
        frames = self.frames(key)
        both = frames[np.isin(frames, self.frames(other))]
        if len(both):
            time_s = float(self.times(key)[np.searchsorted(frames, both[0])])
            raise InputError(
                f"{step.merged} cannot be merged with {step.into}: both are in camera {key[0]} in frame {both[0]} "
                f"({time_s:.1f} s), as tracks {key[1]} and {other[1]}"
                + (f", and in {len(both) - 1} more frames" if len(both) > 1 else "")
                + ". Split or delete one of these tracks first"
            )

    def _split(self, step: Split) -> None:
        key = (step.camera_id, step.track_id)
        part = self.part(*key)
        if step.global_id < self.free_id:
            raise InputError(f"a split needs an id that nobody has had, from {self.free_id}, not {step.global_id}")
        if step.from_frame is None or step.new_track_id is None:
            if len(self._of_id[part.global_id or 0]) == 1:
                raise InputError(
                    f"track {key[0]}:{key[1]} is all of {part.global_id}: there is nothing to split off"
                )
            self._move(key, part, step.global_id)
            return
        if step.new_track_id < self._free_track[step.camera_id]:
            raise InputError(
                f"a part of a track needs a track id that none has had, from {self._free_track[step.camera_id]}, not "
                f"{step.new_track_id}"
            )
        frames = self.frames(key)
        at = int(np.searchsorted(frames, step.from_frame))
        if not 0 < at < len(frames):
            raise InputError(
                f"track {key[0]}:{key[1]} is in view in frames {frames[0]} to {frames[-1]}: it cannot be split at "
                f"frame {step.from_frame}"
            )
        self.parts[key] = replace(part, end=part.begin + at)
        new_key = (step.camera_id, step.new_track_id)
        self.parts[new_key] = Part(part.origin, part.begin + at, part.end, part.global_id, part.moved)
        self._of_id[part.global_id or 0].add(new_key)
        self._free_track[step.camera_id] = step.new_track_id + 1
        self._move(new_key, self.parts[new_key], step.global_id)

    def _move(self, key: TrackKey, part: Part, global_id: int | None) -> None:
        """Give a track to another identity, or to nobody."""
        before = part.global_id
        self.parts[key] = replace(part, global_id=global_id, moved=True)
        if before is not None:
            self._of_id[before].discard(key)
            if not self._of_id[before]:
                self.people.forget(before)
        if global_id is not None:
            self._of_id[global_id].add(key)
            self.free_id = max(self.free_id, global_id + 1)
