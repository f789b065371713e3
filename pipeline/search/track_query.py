"""Tracks and people of a run as queries: who else looks like this person?"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.errors import InputError
from pipeline.search.live_site import LiveSite
from pipeline.search.query import Query, QueryView
from pipeline.search.recorded_run import RecordedRun
from pipeline.search.searched_run import SearchedRun

_LISTED = 8


def query_of_track(run: SearchedRun, text: str) -> Query:
    """Return the query for the track that CAMERA:TRACK names.

    Raises:
        InputError: there is no such track, or it has no embedding.
    """
    camera_id, colon, number = text.rpartition(":")
    if not (colon and camera_id and number.isdecimal()):
        raise InputError(f"--track {text!r}: expected CAMERA:TRACK, such as hall:3")
    if not isinstance(run, RecordedRun):
        raise InputError(
            f"--track {text!r}: {run.name} is a live site, which keeps no embeddings of tracks: give --id"
        )
    key = (camera_id, int(number))
    of_camera = run.ids.of_camera.get(camera_id, {})
    if not of_camera:
        raise InputError(
            f"--track {text!r}: {run.name} has no track of a camera {camera_id!r}; its cameras are "
            f"{_some(run.comparing.camera_ids)}"
        )
    if key[1] not in of_camera:
        raise InputError(
            f"--track {text!r}: camera {camera_id!r} has no track {number}; it has {_some(of_camera)}"
        )
    embeddings = run.embeddings_of({key}).get(key)
    if embeddings is None:
        raise InputError(f"--track {text!r}: this track has no good crop, so it cannot be compared with others")
    person = of_camera[key[1]]
    return Query(
        [QueryView(camera_id, embeddings)],
        f"track {key[1]} of camera {camera_id} in {run.name} (person {person})",
        at=run.comparing,
        run_name=run.name,
        track=key,
        shown_by=key,
    )


def query_of_person(run: SearchedRun, global_id: int) -> Query:
    """Return the query for all tracks of a person.

    Raises:
        InputError: nobody has this id, or none of the tracks has an embedding.
    """
    shown_by = None
    if isinstance(run, LiveSite):
        views = [QueryView(camera, found) for camera, found in run.embeddings_of_person(global_id).items()]
        if not views:
            raise InputError(f"--id {global_id}: {run.name} has no embeddings of this person (any more)")
    else:
        assert isinstance(run, RecordedRun)
        keys = {
            (camera, track)
            for camera, tracks in run.ids.of_camera.items()
            for track, person in tracks.items()
            if person == global_id
        }
        if not keys:
            ids = sorted({person for tracks in run.ids.of_camera.values() for person in tracks.values()})
            raise InputError(f"--id {global_id}: nobody in {run.name} has this id; the ids are {_some(ids)}")
        found = run.embeddings_of(keys)
        views = [QueryView(key[0], found[key]) for key in sorted(found)]
        if not views:
            raise InputError(f"--id {global_id}: no track of this person has a good crop")
        shown_by = max(sorted(found), key=lambda key: len(found[key]))
    return Query(
        views,
        f"person {global_id} of {run.name}",
        at=run.comparing,
        run_name=run.name,
        person=global_id,
        shown_by=shown_by,
    )


def _some(values: Iterable[object]) -> str:
    listed = list(values)
    return ", ".join(map(str, listed[:_LISTED])) + (", ..." if len(listed) > _LISTED else "")
