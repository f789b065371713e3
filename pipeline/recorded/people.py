"""The people of a run: whom which camera saw when, and what is a fragment instead."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pipeline.core.datatypes import Link, Tracklet
from pipeline.core.decisions import TrackKey
from pipeline.cross_camera.fragments import NOT_COMPARED, fragments

#: Tracks of a person in one camera that follow each other within this time are one stay; the page of `mtmc live` joins
#: them in the same way.
STAY_GAP_S = 3.0


@dataclass(frozen=True)
class TrackSpan:
    """A track without its boxes.

    Attributes:
        start_s, end_s: times of the first and the last observed box.
        boxes: number of observed boxes.
        good_crops: number of different good crops, None if it is unknown.
        link: its global id.
    """

    camera_id: str
    track_id: int
    class_name: str
    start_s: float
    end_s: float
    boxes: int
    good_crops: int | None
    link: Link

    @property
    def key(self) -> TrackKey:
        """(camera_id, track_id), unique in a run."""
        return (self.camera_id, self.track_id)


@dataclass(frozen=True)
class Stay:
    """A person in view of one camera, without an absence of more than `STAY_GAP_S`.

    Attributes:
        tracks: in order of time.
    """

    tracks: tuple[TrackSpan, ...]

    @property
    def camera_id(self) -> str:
        """The camera."""
        return self.tracks[0].camera_id

    @property
    def start_s(self) -> float:
        """Time of the first box."""
        return self.tracks[0].start_s

    @property
    def end_s(self) -> float:
        """Time of the last box."""
        return max(track.end_s for track in self.tracks)

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last box."""
        return self.end_s - self.start_s

    @property
    def boxes(self) -> int:
        """Number of observed boxes."""
        return sum(track.boxes for track in self.tracks)

    @property
    def confidence(self) -> float:
        """Smallest link confidence of its tracks."""
        return min(track.link.confidence for track in self.tracks)

    @property
    def final(self) -> bool:
        """Whether all its links are final."""
        return all(track.link.final for track in self.tracks)


@dataclass(frozen=True)
class Person:
    """All that has one global id: a person, an object of another class, or a fragment.

    Attributes:
        stays: in order of time.
        is_fragment: see `pipeline.cross_camera.fragments`.
        name: that a review gave; '' without one.
    """

    global_id: int
    class_name: str
    stays: tuple[Stay, ...]
    is_fragment: bool
    name: str = ""

    @property
    def tracks(self) -> list[TrackSpan]:
        """All tracks, in the order of the stays."""
        return [track for stay in self.stays for track in stay.tracks]

    @property
    def camera_ids(self) -> list[str]:
        """The cameras, in the order of the first stays."""
        return list(dict.fromkeys(stay.camera_id for stay in self.stays))

    @property
    def start_s(self) -> float:
        """Time of the first box."""
        return self.stays[0].start_s

    @property
    def end_s(self) -> float:
        """Time of the last box."""
        return max(stay.end_s for stay in self.stays)

    @property
    def boxes(self) -> int:
        """Number of observed boxes."""
        return sum(stay.boxes for stay in self.stays)

    @property
    def in_view_s(self) -> float:
        """Seconds in view of any camera; a time in view of several counts once."""
        total_s, until_s = 0.0, self.start_s
        for stay in self.stays:
            total_s += max(stay.end_s - max(stay.start_s, until_s), 0.0)
            until_s = max(until_s, stay.end_s)
        return total_s

    @property
    def confidence(self) -> float:
        """Smallest link confidence of its tracks."""
        return min(stay.confidence for stay in self.stays)

    @property
    def came_back(self) -> bool:
        """Whether a camera saw this person again after an absence of more than `STAY_GAP_S`."""
        return len(self.stays) > len(self.camera_ids)

    def stays_in(self, camera_id: str) -> list[Stay]:
        """Return the stays in one camera."""
        return [stay for stay in self.stays if stay.camera_id == camera_id]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, as for JSON; times in seconds on the clock of the run."""
        return {
            "global_id": self.global_id,
            "class_name": self.class_name,
            "is_fragment": self.is_fragment,
            "boxes": self.boxes,
            "in_view_s": round(self.in_view_s, 3),
            "link_confidence": round(self.confidence, 3),
            "stays": [
                {
                    "camera_id": stay.camera_id,
                    "start_s": round(stay.start_s, 3),
                    "end_s": round(stay.end_s, 3),
                    "boxes": stay.boxes,
                    "link_confidence": round(stay.confidence, 3),
                    "track_ids": [track.track_id for track in stay.tracks],
                }
                for stay in self.stays
            ],
        }


def span_of(tracklet: Tracklet, class_names: Mapping[int, str]) -> TrackSpan:
    """Return a track without its embeddings, which has no link yet: id 0 stands for none."""
    return TrackSpan(
        camera_id=tracklet.camera_id,
        track_id=tracklet.track_id,
        class_name=class_names[tracklet.class_id],
        start_s=tracklet.start_s,
        end_s=tracklet.end_s,
        boxes=tracklet.observations,
        good_crops=tracklet.good_crops,
        link=Link(0, NOT_COMPARED),
    )


def linked(tracks: Iterable[TrackSpan], links: Mapping[TrackKey, Link]) -> list[TrackSpan]:
    """Return the tracks with these links; a track without a link is left out."""
    return [replace(track, link=links[track.key]) for track in tracks if track.key in links]


def people_of(tracks: Iterable[TrackSpan], names: Mapping[int, str] = MappingProxyType({})) -> list[Person]:
    """Return everybody to whom the tracks belong, in the order of global ids. Tracks of which the number of good crops
    is unknown are no fragments.

    Args:
        names: by global id.
    """
    tracks = list(tracks)
    loose = fragments(
        {track.key: track.link for track in tracks}, {track.key for track in tracks if track.good_crops != 0}
    )
    of_id: dict[int, list[TrackSpan]] = defaultdict(list)
    for track in tracks:
        of_id[track.link.global_id].append(track)
    return [
        Person(
            global_id,
            own[0].class_name,
            _stays(own),
            is_fragment=own[0].key in loose,
            name=names.get(global_id, ""),
        )
        for global_id, own in sorted(of_id.items())
    ]


def fragments_by_class(people: Iterable[Person]) -> Counter[str]:
    """Return the number of fragments of each class."""
    return Counter(person.class_name for person in people if person.is_fragment)


def _stays(tracks: Sequence[TrackSpan]) -> tuple[Stay, ...]:
    """Return the stays of one person, in order of time."""
    open_stays: dict[str, list[TrackSpan]] = {}
    stays: list[list[TrackSpan]] = []
    for track in sorted(tracks, key=lambda track: (track.start_s, track.key)):
        before = open_stays.get(track.camera_id)
        if before is not None and track.start_s - max(one.end_s for one in before) < STAY_GAP_S:
            before.append(track)
        else:
            open_stays[track.camera_id] = [track]
            stays.append(open_stays[track.camera_id])
    return tuple(Stay(tuple(own)) for own in stays)
