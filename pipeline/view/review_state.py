"""What the page of a review shows: people and doubtful links after the steps in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.core.datatypes import IntArray, Link
from pipeline.core.decisions import TrackKey
from pipeline.recorded.people import Person, TrackSpan, people_of
from pipeline.report.best_boxes import ChosenBox
from pipeline.report.doubtful import links_by_doubt
from pipeline.report.run_data import RunData
from pipeline.review.identities import Identities

#: Links that the page lists at a time; others follow when these are done.
MOST_LINKS = 200
_PICTURES = 6


def corrected(run: RunData, identities: Identities) -> RunData:
    """Return a run with the people and tracks after the steps.

    Args:
        run: as the run wrote it.
    """
    spans: list[TrackSpan] = []
    boxes: dict[TrackKey, Sequence[ChosenBox]] = {}
    good_crops = {track.key: track.good_crops for person in run.people for track in person.tracks}
    for key, part in identities.parts.items():
        original = identities.original[part.origin]
        if part.global_id is None or part.origin not in good_crops:
            continue  # a track without any observed box is nobody's in `run`
        observed = original.observed[part.begin : part.end]
        times = identities.times(key)
        seen = times[observed] if observed.any() else times
        link = Link(part.global_id, 1.0 if part.moved else original.link.confidence, original.link.final)
        whole = part.end - part.begin == len(original.frame_index)
        spans.append(
            TrackSpan(
                *key,
                original.class_name,
                float(seen[0]),
                float(seen[-1]),
                int(observed.sum()),
                # It is not known in which part the good crops are, if there are any.
                good_crops[part.origin] if whole or good_crops[part.origin] == 0 else None,
                link,
            )
        )
        frames = identities.frames(key)
        boxes[key] = [box for box in run.boxes.get(part.origin, ()) if frames[0] <= box.frame_index <= frames[-1]]
    return replace(run, people=people_of(spans), boxes=boxes)


def state_of(run: RunData, identities: Identities) -> dict[str, Any]:
    """Return people and doubtful links as JSON data.

    Args:
        run: from `corrected`.
    """
    open_links = [
        doubt
        for doubt in links_by_doubt(run)
        if (doubt.is_doubtful or doubt.beside is not None)
        and doubt.person.global_id not in identities.confirmed
        and not identities.parts[doubt.track.key].moved
    ]
    shown = [
        {
            **_side(doubt.person, doubt.track),
            "beside": None
            if doubt.beside is None or doubt.beside_person is None
            else _side(doubt.beside_person, doubt.beside),
            "reasons": list(doubt.reasons),
            "doubtful": doubt.is_doubtful,
        }
        for doubt in open_links[:MOST_LINKS]
    ]
    return {
        "people": [_person(person, identities) for person in run.people],
        "links": shown,
        "all_links": len(open_links),
        "doubtful": sum(doubt.is_doubtful for doubt in open_links),
        "deleted": sum(part.global_id is None for part in identities.parts.values()),
        "deleted_rows": identities.deleted_rows,
    }


def pictures_to_show(run: RunData, key: TrackKey) -> list[ChosenBox]:
    """Return boxes of a track to look at, in order of time."""
    return sorted(list(run.boxes.get(key, ()))[:_PICTURES], key=lambda box: box.time_s)


def ids_now(identities: Identities, camera_id: str, time_s: float, global_ids: IntArray) -> IntArray:
    """Return the ids that boxes have now.

    Args:
        time_s: of the boxes.
        global_ids: (N,) int64 as the run wrote them.

    Returns:
        (N,) int64; -1 for a box of a deleted track.
    """
    found = [_id_now(identities, camera_id, time_s, global_id) for global_id in global_ids.tolist()]
    return np.array(found, np.int64)


def _id_now(identities: Identities, camera_id: str, time_s: float, global_id: int) -> int:
    def apart_s(key: TrackKey) -> float:
        times = identities.times(key)
        return float(max(times[0] - time_s, time_s - times[-1], 0.0))

    near = [
        key
        for key, part in identities.parts.items()
        if key[0] == camera_id and identities.original[part.origin].link.global_id == global_id
    ]
    if not near:
        return global_id
    now = identities.parts[min(near, key=apart_s)].global_id
    return -1 if now is None else now


def _person(person: Person, identities: Identities) -> dict[str, Any]:
    return {
        "global_id": person.global_id,
        "name": identities.names.get(person.global_id, ""),
        "class_name": person.class_name,
        "fragment": person.is_fragment,
        "confirmed": person.global_id in identities.confirmed,
        "confidence": round(person.confidence, 3),
        "tracks": [_track(track) for track in person.tracks],
    }


def _side(person: Person, track: TrackSpan) -> dict[str, Any]:
    return {"global_id": person.global_id, **_track(track)}


def _track(track: TrackSpan) -> dict[str, Any]:
    return {
        "camera_id": track.camera_id,
        "track_id": track.track_id,
        "start_s": round(track.start_s, 3),
        "end_s": round(track.end_s, 3),
        "boxes": track.boxes,
        "confidence": round(track.link.confidence, 3),
    }
