"""Steps on identities: numbers that can be checked by hand, and what always holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.datatypes import Link
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError
from pipeline.review.described_people import described_by
from pipeline.review.identities import Identities, OriginalTrack
from pipeline.review.steps import Confirm, Delete, Merge, Rename, Split, Step, content_of, step_in


def original(global_id: int, first: int, last: int, class_name: str = "person") -> OriginalTrack:
    """A track in every frame from `first` to `last`, ten frames a second."""
    frames = np.arange(first, last + 1, dtype=np.int64)
    return OriginalTrack(
        class_name, Link(global_id, 0.75, True), frames, frames / 10, np.ones(len(frames), np.bool_)
    )


#     frames        0         10        20        30
#     hall:1  id 1  [--------]
#     hall:2  id 2            [--------]
#     hall:3  id 3      [--------]
#     door:1  id 1            [--------]
#     door:2  id 4  [--]                     a car
TRACKS: dict[TrackKey, OriginalTrack] = {
    ("hall", 1): original(1, 0, 9),
    ("hall", 2): original(2, 10, 19),
    ("hall", 3): original(3, 5, 14),
    ("door", 1): original(1, 10, 19),
    ("door", 2): original(4, 0, 3, "car"),
}


def ids(identities: Identities) -> dict[str, int | None]:
    return {f"{camera}:{track}": part.global_id for (camera, track), part in sorted(identities.parts.items())}


ORIGINAL_IDS = {"door:1": 1, "door:2": 4, "hall:1": 1, "hall:2": 2, "hall:3": 3}


@pytest.mark.parametrize(
    ("steps", "changes"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([Merge(1, 2)], {"hall:2": 1}, id="merge"),
        pytest.param([Merge(2, 1)], {"hall:1": 2, "door:1": 2}, id="merge the other way"),
        pytest.param([Split("door", 1, 5)], {"door:1": 5}, id="split a track off"),
        pytest.param([Split("hall", 3, 5, 10, 4)], {"hall:4": 5}, id="split at a frame"),
        pytest.param(
            [Split("hall", 3, 5, 10, 4), Merge(2, 3)], {"hall:3": 2, "hall:4": 5}, id="split, then merge"
        ),
        pytest.param([Delete("hall", 3)], {"hall:3": None}, id="delete"),
        pytest.param([Delete("hall", 1), Merge(3, 1)], {"hall:1": None, "door:1": 3}, id="delete, then merge"),
        pytest.param([Merge(1, 2), Split("hall", 2, 5)], {"hall:2": 5}, id="merge, then split"),
    ],
)
def test_steps_change_these_ids(steps: list[Step], changes: dict[str, int | None]) -> None:
    assert ids(Identities(TRACKS).apply_all(steps)) == ORIGINAL_IDS | changes


def test_a_split_track_has_two_parts_of_these_frames() -> None:
    identities = Identities(TRACKS).apply_all([Split("hall", 3, 5, 10, 4)])
    assert identities.frames(("hall", 3)).tolist() == [5, 6, 7, 8, 9]
    assert identities.frames(("hall", 4)).tolist() == [10, 11, 12, 13, 14]
    assert identities.cut == {("hall", 3), ("hall", 4)}
    assert (identities.free_id, identities.free_track_id("hall"), identities.free_track_id("door")) == (6, 5, 3)


def test_deleted_rows_are_counted() -> None:
    steps: list[Step] = [Split("hall", 3, 5, 8, 4), Delete("hall", 3), Delete("door", 2)]
    assert Identities(TRACKS).apply_all(steps).deleted_rows == 3 + 4


@pytest.mark.parametrize(
    ("steps", "names", "confirmed"),
    [
        pytest.param(
            [Rename(1, "Ana"), Rename(2, "Bo"), Merge(1, 2)], {1: "Ana"}, set(), id="the first name stays"
        ),
        pytest.param([Rename(2, "Bo"), Merge(1, 2)], {1: "Bo"}, set(), id="a name moves to somebody without one"),
        pytest.param([Rename(1, "Ana"), Rename(1, "")], {}, set(), id="no name again"),
        pytest.param([Confirm(2), Merge(1, 2)], {}, set(), id="what was confirmed is no more"),
        pytest.param([Confirm(1), Merge(1, 2)], {}, {1}, id="confirmed stays confirmed"),
        pytest.param([Rename(3, "Cy"), Confirm(3), Delete("hall", 3)], {}, set(), id="nobody is left"),
        pytest.param([Confirm(1), Confirm(1, False)], {}, set(), id="no longer confirmed"),
    ],
)
def test_names_and_confirmations(steps: list[Step], names: dict[int, str], confirmed: set[int]) -> None:
    identities = Identities(TRACKS).apply_all(steps)
    assert (identities.names, identities.confirmed) == (names, confirmed)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Merge(1, 3), "both are in camera hall in frame 5 \\(0.5 s\\), as tracks 3 and 1, and in 4 more frames"),
        (Merge(1, 1), "with itself"),
        (Merge(1, 9), "nobody has the id 9"),
        (Merge(1, 4), "1 is a person and 4 a car"),
        (Split("hall", 2, 5), "track hall:2 is all of 2"),
        (Split("hall", 2, 5, 10, 4), "in view in frames 10 to 19: it cannot be split at frame 10"),
        (Split("hall", 2, 5, 20, 4), "cannot be split at frame 20"),
        (Split("hall", 2, 4, 15, 4), "an id that nobody has had, from 5, not 4"),
        (Split("hall", 2, 5, 15, 3), "a track id that none has had, from 4, not 3"),
        (Delete("hall", 9), "there is no track hall:9"),
        (Rename(9, "Ana"), "nobody has the id 9"),
        (Confirm(9), "nobody has the id 9"),
    ],
)
def test_impossible_steps_say_why_and_change_nothing(step: Step, problem: str) -> None:
    identities = Identities(TRACKS)
    with pytest.raises(InputError, match=problem):
        identities.apply(step)
    assert ids(identities) == ORIGINAL_IDS
    assert identities.free_id == 5


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"step": "paint"},
        {"step": "merge", "into": 1},
        {"step": "merge", "into": 1, "merged": True},
        {"step": "merge", "into": -1, "merged": 1},
        {"step": "split", "camera_id": "hall", "track_id": 1, "global_id": 5, "from_frame": 3},
        {"step": "rename", "global_id": 1, "name": "a\nb"},
        {"step": "rename", "global_id": 1, "name": "a" * 81},
        {"step": "confirm", "global_id": 1, "confirmed": "yes"},
    ],
    ids=str,
)
def test_what_is_no_step(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        step_in(content)


def step_strategy() -> st.SearchStrategy[tuple[str, int, int, int]]:
    return st.tuples(
        st.sampled_from(["merge", "split", "cut", "delete", "rename", "confirm"]),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 20),
    )


def made(kind: str, one: int, other: int, frame: int, identities: Identities) -> Step | None:
    """A step about somebody who is there; None if nobody is."""
    tracks = sorted(key for key, part in identities.parts.items() if part.global_id is not None)
    if not tracks:
        return None
    key, people = tracks[one % len(tracks)], identities.ids()
    person = people[one % len(people)]
    return {
        "merge": Merge(person, people[other % len(people)]),
        "split": Split(*key, identities.free_id),
        "cut": Split(*key, identities.free_id, frame, identities.free_track_id(key[0])),
        "delete": Delete(*key),
        "rename": Rename(person, f"name {other}"),
        "confirm": Confirm(person, other % 2 == 0),
    }[kind]


@given(st.lists(step_strategy(), max_size=12))
def test_an_identity_is_at_most_once_in_a_frame_and_no_row_is_lost(
    wanted: list[tuple[str, int, int, int]],
) -> None:
    identities = Identities(TRACKS)
    done: list[Step] = []
    for kind, one, other, frame in wanted:
        step = made(kind, one, other, frame, identities)
        if step is None:
            break
        before = ids(identities)
        try:
            identities.apply(step)
        except InputError:
            assert ids(identities) == before
            continue
        done.append(step)
    seen: set[tuple[str, int, int]] = set()
    rows = 0
    for key, part in identities.parts.items():
        frames = identities.frames(key).tolist()
        rows += len(frames)
        for frame in frames if part.global_id is not None else []:
            place = (key[0], frame, part.global_id or 0)
            assert place not in seen
            seen.add(place)
    assert rows == sum(len(track.frame_index) for track in TRACKS.values())
    assert rows - len(seen) == identities.deleted_rows
    assert set(identities.names) | identities.confirmed <= set(identities.ids())
    # Who is described can be told without the rows.
    told, there = described_by(done), set(identities.ids())
    assert {one: name for one, name in told.names.items() if one in there} == identities.names
    assert told.confirmed & there == identities.confirmed
    # Written and read, in order, the steps give the same again.
    again = Identities(TRACKS).apply_all(step_in(content_of(step)) for step in done)
    assert (again.parts, again.names, again.confirmed) == (
        identities.parts,
        identities.names,
        identities.confirmed,
    )
