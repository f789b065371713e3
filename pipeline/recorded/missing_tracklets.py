"""Tracks whose tracklets are missing: the run was killed before they ended, or tracklets.arrow is damaged.

Their tracklets are rebuilt from the rows: with times and floor positions, but without embeddings, which only the
tracklets hold. What the embeddings said during the run survives in the online ids of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.core.datatypes import Link, LinkedRow, Tracklet
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.cross_camera.floor_path import SLOT_S, FloorPath

# Floor positions that are kept of a track: four minutes, then every second slot, and so on.
_FLOOR_SLOTS = 1024


@dataclass(eq=False)
class TrackRows:
    """What the rows say about one track.

    Attributes:
        start_s, end_s: times of its first and its last row.
        class_name: of its rows.
        link: of its last row.
        observations: number of its rows that a detector saw.
        floor: its path on the floor.
    """

    start_s: float
    end_s: float
    class_name: str
    link: Link
    observations: int = 0
    floor: FloorPath = field(default_factory=lambda: FloorPath(_FLOOR_SLOTS))


def tracks_in(rows: Iterable[LinkedRow], camera_ids: Sequence[str] | None = None) -> dict[TrackKey, TrackRows]:
    """Return what the rows say about each track; interpolated rows are ignored.

    Args:
        camera_ids: of the run; None accepts all cameras.

    Raises:
        InputError: a row is of another camera.
    """
    tracks: dict[TrackKey, TrackRows] = {}
    for linked in rows:
        row = linked.row
        if camera_ids is not None and row.camera_id not in camera_ids:
            raise InputError(
                f"trajectories.csv has rows of camera {row.camera_id!r}, but the cameras of the run are "
                f"{', '.join(camera_ids)}. Correct or remove these rows"
            )
        if row.interpolated:
            continue
        track = tracks.setdefault(
            (row.camera_id, row.track_id), TrackRows(row.time_s, row.time_s, row.class_name, linked.link)
        )
        if row.world_xy_m is not None and row.time_s >= track.end_s:
            track.floor.add(row.time_s, row.world_xy_m)
        track.start_s, track.end_s = min(track.start_s, row.time_s), max(track.end_s, row.time_s)
        track.link = linked.link
        track.observations += 1
    return tracks


def rebuilt_tracklets(
    tracks: Mapping[TrackKey, TrackRows], known: Iterable[TrackKey], class_names: Mapping[int, str]
) -> list[Tracklet]:
    """Return tracklets without embeddings for the tracks that are not `known`, in the order in which they ended.

    Args:
        class_names: of the detector.

    Raises:
        InputError: the class of a track is not among them.
    """
    ids = {name: class_id for class_id, name in reversed(list(class_names.items()))}
    missing = {key: tracks[key] for key in tracks.keys() - set(known)}
    if strange := sorted({track.class_name for track in missing.values()} - ids.keys()):
        raise InputError(
            f"trajectories.csv has rows of the class {strange[0]!r}, but the classes of the run are "
            f"{', '.join(ids)}. Correct or remove these rows"
        )
    rebuilt = [
        Tracklet(
            camera_id=key[0],
            track_id=key[1],
            class_id=ids[track.class_name],
            start_s=track.start_s,
            end_s=track.end_s,
            embeddings=np.zeros((0, 0), np.float32),
            floor_time_s=(track.floor.slots + 0.5) * np.float64(SLOT_S),
            floor_xy_m=track.floor.xy_m,
            observations=track.observations,
        )
        for key, track in missing.items()
    ]
    return sorted(rebuilt, key=lambda tracklet: (tracklet.end_s, tracklet.key))


def joined_as_online(
    links: Mapping[TrackKey, Link], rebuilt: Iterable[TrackKey], tracks: Mapping[TrackKey, TrackRows]
) -> dict[TrackKey, Link]:
    """Return the links with rebuilt tracks joined to the people to whom the online linker had given them.

    A rebuilt track that the second pass joined with nothing goes to the person who has most of the other tracks with
    its online id, unless that person is in the same camera at the same time. Its confidence is the online one. Global
    ids count from 1 again, in the same order.
    """
    rebuilt = sorted(rebuilt, key=lambda key: (tracks[key].start_s, key))
    result = dict(links)
    people: dict[int, set[TrackKey]] = {}
    of_online: dict[int, list[TrackKey]] = {}
    for key, link in links.items():
        people.setdefault(link.global_id, set()).add(key)
        if key in tracks:
            of_online.setdefault(tracks[key].link.global_id, []).append(key)
    embedded = links.keys() - set(rebuilt)
    # First to people of whom there are embeddings, then to each other.
    for among in (embedded, links.keys()):
        for key in rebuilt:
            own = result[key].global_id
            if len(people[own]) > 1:
                continue
            same = [other for other in of_online[tracks[key].link.global_id] if other != key and other in among]
            for person, _ in Counter(result[other].global_id for other in same).most_common():
                if not any(_together(key, other, tracks) for other in people[person]):
                    del people[own]
                    people[person].add(key)
                    result[key] = Link(person, tracks[key].link.confidence, final=True)
                    break
    number = {old: new for new, old in enumerate(sorted({link.global_id for link in result.values()}), start=1)}
    return {key: replace(link, global_id=number[link.global_id]) for key, link in result.items()}


def _together(one: TrackKey, other: TrackKey, tracks: Mapping[TrackKey, TrackRows]) -> bool:
    """Return whether two tracks are in one camera at the same time."""
    if one[0] != other[0] or other not in tracks:
        return False
    return tracks[one].start_s <= tracks[other].end_s and tracks[other].start_s <= tracks[one].end_s
