"""Tracks of finished runs for `mtmc reid calibrate`: which show one person, and which certainly two."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.datatypes import Tracklet
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.cross_camera.match_threshold import Views
from pipeline.files.tracklet_file import read_info, read_tracklets
from pipeline.review.identities import Identities
from pipeline.review.read_identities import read_identities

#: With fewer pairs of confirmed people than this, the halves of tracks are pairs of one person, too.
ENOUGH_CONFIRMED_PAIRS = 20
# Times in rows are rounded to milliseconds.
_ROUNDING_S = 0.001
_FEWEST_CROPS = 2


@dataclass(frozen=True)
class PairCounts:
    """Number of pairs of two tracks, of one person and of two people.

    Attributes:
        between_cameras, in_one_camera: of one confirmed person.
        confirmed_people: of two confirmed people.
        simultaneous: of two people, at most one of them confirmed, because one camera saw them at the same time.
    """

    between_cameras: int
    in_one_camera: int
    confirmed_people: int
    simultaneous: int

    @property
    def genuine(self) -> int:
        """Of one person."""
        return self.between_cameras + self.in_one_camera


@dataclass(frozen=True, eq=False)
class SiteViews:
    """Tracks of finished runs.

    Attributes:
        views: one for each track that is used; numbers of persons are unique over all runs.
        confirmed: numbers of the persons whom somebody has confirmed in a review.
        left_out: number of tracks that are not used, by the reason.
    """

    views: Sequence[Views]
    confirmed: frozenset[int]
    left_out: Mapping[str, int]

    @property
    def pairs(self) -> PairCounts:
        """Number of pairs of two tracks."""
        persons = np.array([one.person for one in self.views], np.int64)
        cameras = np.array([one.camera for one in self.views])
        sure = np.isin(persons, sorted(self.confirmed))
        counts = np.zeros(4, np.int64)
        for row, one in enumerate(self.views):
            later = slice(row + 1, None)
            same, here = persons[later] == one.person, cameras[later] == cameras[row]
            differs = np.isin(persons[later], sorted(one.not_persons or ()))
            both_sure = sure[later] & sure[row]
            counts += [
                int(kind.sum()) for kind in (same & ~here, same & here, differs & both_sure, differs & ~both_sure)
            ]
        return PairCounts(*counts.tolist())

    @property
    def sentences(self) -> list[str]:
        """What to tell the user: which pairs of two tracks are measured, and which tracks are left out."""
        pairs = self.pairs
        halves = f"the halves of each of {len(self.views)} tracks"
        genuine = (
            f"{pairs.genuine} of confirmed people, {pairs.between_cameras} of them between two cameras"
            if pairs.genuine
            else halves
        )
        if 0 < pairs.genuine < ENOUGH_CONFIRMED_PAIRS:
            genuine += f"; and {halves}, because {pairs.genuine} pairs are few"
        said = [
            f"Pairs of one person: {genuine}",
            f"Pairs of two people: {pairs.confirmed_people} of two confirmed people, {pairs.simultaneous} of others "
            "whom one camera saw at the same time",
        ]
        if self.confirmed:
            said.insert(0, f"Confirmed people: {len(self.confirmed)}")
        if self.left_out:
            said.append(
                "Tracks left out: "
                + "; ".join(f"{count} {reason}" for reason, count in sorted(self.left_out.items()))
            )
        return said


def site_views(folders: Sequence[Path], expected_hash: str | None) -> SiteViews:
    """Return the tracks of finished runs of `mtmc track`.

    Tracks of one confirmed person show one person. Two people are those of two confirmed people of one run, and those
    that one camera saw at the same time; then also all other tracks of a confirmed person among them.

    Args:
        expected_hash: of the model and site file that the embeddings must be of; None accepts any, if all runs agree.

    Raises:
        InputError: a run has no usable embeddings, they are of different models, or a review contradicts itself or the
            run.
    """
    views: list[Views] = []
    confirmed: set[int] = set()
    left_out: Counter[str] = Counter()
    hashes: dict[str, Path] = {}
    first_person = 0
    for folder in folders:
        path = folder / "tracklets.arrow"
        _check_embedder(path, folder, expected_hash, hashes)
        identities = read_identities(folder)
        tracklets = list(read_tracklets(path))
        if identities is not None:
            _check_confirmed(folder, identities, {one.key: one for one in tracklets})
        used = list(_usable(tracklets, identities, left_out))
        person_of = _persons(used, identities, first_person)
        if identities is not None:
            confirmed |= {
                person_of[one.key] for one in used if identities.parts[one.key].global_id in identities.confirmed
            }
        others = _others(used, person_of, confirmed)
        views += [
            Views(person_of[one.key], one.camera_id, one.embeddings, frozenset(others[person_of[one.key]]))
            for one in used
        ]
        first_person += len(used)
    return SiteViews(views, frozenset(confirmed), left_out)


def _check_embedder(path: Path, folder: Path, expected_hash: str | None, hashes: dict[str, Path]) -> None:
    if not path.is_file():
        raise InputError(f"{folder} holds no tracklets.arrow: name an output folder of `track`")
    embedder_hash = read_info(path).embedder_hash
    if not embedder_hash:
        raise InputError(f"{path}: the tracks have no embeddings; track with an embedding model")
    if expected_hash is not None and embedder_hash != expected_hash:
        raise InputError(
            f"{path}: its embeddings are of the model {embedder_hash}, but the file that stores the result "
            f"belongs to {expected_hash}; track with that model (and site file) first"
        )
    if hashes and embedder_hash not in hashes:
        raise InputError(
            f"{path} and {next(iter(hashes.values()))} hold embeddings of two models, which cannot be compared"
        )
    hashes.setdefault(embedder_hash, path)


def _check_confirmed(folder: Path, identities: Identities, tracklets: Mapping[TrackKey, Tracklet]) -> None:
    """Raise InputError if confirmed people contradict themselves, each other or the tracklets."""
    named: dict[str, int] = {}
    for person in sorted(identities.confirmed):
        name = identities.names.get(person)
        if name is not None and named.setdefault(name, person) != person:
            raise InputError(
                f"{folder}: {named[name]} and {person} are both confirmed, and both have the name {name!r}: merge them "
                "in `mtmc review`, or give one of them another name"
            )
        seen: dict[tuple[str, int], int] = {}
        for camera_id, track_id in identities.tracks_of(person):
            for frame in identities.frames((camera_id, track_id)).tolist():
                other = seen.setdefault((camera_id, frame), track_id)
                if other != track_id:
                    raise InputError(
                        f"{folder}: {person} is confirmed, but is twice in frame {frame} of camera {camera_id}, as "
                        f"tracks {other} and {track_id}: split one of them off in `mtmc review`"
                    )
            tracklet = tracklets.get((camera_id, track_id))
            times = identities.times((camera_id, track_id))
            if tracklet is not None and not (
                tracklet.start_s <= times[-1] + _ROUNDING_S and times[0] - _ROUNDING_S <= tracklet.end_s
            ):
                raise InputError(
                    f"{folder}: track {camera_id}:{track_id} is in view from {times[0]:.1f} s to {times[-1]:.1f} s in "
                    f"the rows, but from {tracklet.start_s:.1f} s to {tracklet.end_s:.1f} s in tracklets.arrow, which "
                    "is of another run: restore the files of one run"
                )


def _usable(
    tracklets: Sequence[Tracklet], identities: Identities | None, left_out: Counter[str]
) -> Iterator[Tracklet]:
    """Yield the tracklets that describe one person, and count the others."""
    cut = set() if identities is None else identities.cut
    for one in tracklets:
        part = None if identities is None else identities.parts.get(one.key)
        if one.key in cut:
            left_out["that were split at a moment, because their embeddings are of two people"] += 1
        elif identities is not None and part is None:
            left_out["without rows"] += 1
        elif part is not None and part.global_id is None:
            left_out["that were deleted as false detections"] += 1
        elif one.good_crops < _FEWEST_CROPS:
            left_out[f"with fewer than {_FEWEST_CROPS} good crops"] += 1
        else:
            yield one


def _persons(tracklets: Sequence[Tracklet], identities: Identities | None, first: int) -> dict[TrackKey, int]:
    """Return the number of each track's person: one number for a confirmed person, else one for each track."""
    numbers: dict[TrackKey, int] = {}
    of_confirmed: dict[int, int] = {}
    for number, one in enumerate(tracklets, first):
        global_id = None if identities is None else identities.parts[one.key].global_id
        if identities is not None and global_id in identities.confirmed and global_id is not None:
            number = of_confirmed.setdefault(global_id, number)
        numbers[one.key] = number
    return numbers


def _others(
    tracklets: Sequence[Tracklet], person_of: Mapping[TrackKey, int], confirmed: set[int]
) -> dict[int, set[int]]:
    """Return for each person of a run those who are certainly somebody else."""
    persons = np.array([person_of[one.key] for one in tracklets], np.int64)
    cameras = np.array([one.camera_id for one in tracklets])
    starts, ends = (np.array([getattr(one, name) for one in tracklets]) for name in ("start_s", "end_s"))
    sure = np.isin(persons, sorted(confirmed))
    others: dict[int, set[int]] = defaultdict(set)
    for row, person in enumerate(persons.tolist()):
        meets = (cameras == cameras[row]) & (starts <= ends[row]) & (starts[row] <= ends)
        differing = meets | sure if sure[row] else meets
        # Both ways: a confirmed person differs with all of his tracks from whom one of them meets.
        for other in persons[differing & (persons != person)].tolist():
            others[person].add(other)
            others[other].add(person)
    return others


def _kinds(views: Sequence[Views], confirmed: frozenset[int]) -> Iterator[str]:
    """Yield the kind of each pair of two tracks that is used."""
    for row, one in enumerate(views):
        for other in views[row + 1 :]:
            if one.person == other.person:
                yield f"one person, {'one camera' if one.camera == other.camera else 'two cameras'}"
            elif one.not_persons is not None and other.person in one.not_persons:
                both = one.person in confirmed and other.person in confirmed
                yield "two confirmed people" if both else "two people at a time"
