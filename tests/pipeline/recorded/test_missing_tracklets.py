"""Tracks without tracklets are rebuilt from their rows, and stay with the people of the online linker."""

from __future__ import annotations

import pytest

from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.core.errors import InputError
from pipeline.recorded.missing_tracklets import joined_as_online, rebuilt_tracklets, tracks_in


def rows_of(
    camera_id: str, track_id: int, online_id: int, times_s: range, *, class_name: str = "person"
) -> list[LinkedRow]:
    return [
        LinkedRow(
            TrajectoryRow(
                camera_id,
                track_id,
                time_s,
                float(time_s),
                class_name,
                (0.0, 0.0, 9.0, 9.0),
                0.9,
                world_xy_m=(float(time_s), 2.0),
            ),
            Link(online_id, 0.5, False),
        )
        for time_s in times_s
    ]


def test_a_tracklet_is_rebuilt_with_times_class_and_floor_positions() -> None:
    interpolated = rows_of("a", 1, 4, range(20, 25))
    rows = rows_of("a", 1, 4, range(3, 6)) + rows_of("a", 2, 5, range(4), class_name="dog")
    rows += [one._replace(row=one.row._replace(interpolated=True)) for one in interpolated]
    tracks = tracks_in(rows, ["a", "b"])
    assert (tracks["a", 1].start_s, tracks["a", 1].end_s, tracks["a", 1].observations) == (3, 5, 3)
    (dog, person) = rebuilt_tracklets(tracks, [], {0: "person", 7: "dog"})
    assert (dog.key, dog.class_id, person.key, person.class_id) == (("a", 2), 7, ("a", 1), 0)
    assert (person.start_s, person.end_s, person.observations, len(person.embeddings)) == (3, 5, 3, 0)
    assert person.floor_xy_m.tolist() == [[3, 2], [4, 2], [5, 2]]
    assert person.floor_time_s.tolist() == [3.125, 4.125, 5.125]
    assert rebuilt_tracklets(tracks, [("a", 2)], {0: "person"})[0].key == ("a", 1)
    with pytest.raises(InputError, match=r"rows of the class 'dog', but the classes of the run are person\."):
        rebuilt_tracklets(tracks, [], {0: "person"})


def test_a_row_of_another_camera_is_told() -> None:
    with pytest.raises(InputError, match=r"rows of camera 'c', but the cameras of the run are a, b"):
        tracks_in(rows_of("c", 1, 1, range(2)), ["a", "b"])


def final(*ids: int) -> list[Link]:
    return [Link(global_id, 0.9, True) for global_id in ids]


def test_rebuilt_tracks_stay_with_the_people_of_the_online_linker() -> None:
    tracks = tracks_in(
        [
            *rows_of("a", 1, 5, range(10)),  # ended with a tracklet
            *rows_of("b", 1, 5, range(20, 30)),  # rebuilt: the same person, says the online linker
            *rows_of("a", 2, 6, range(5, 15)),  # rebuilt, alone
            *rows_of("a", 3, 5, range(5, 9)),  # rebuilt: cannot be the person of ("a", 1), who is there, too
            *rows_of("b", 2, 6, range(20, 22)),  # rebuilt: with ("a", 2)
        ],
        ["a", "b"],
    )
    rebuilt = [("b", 1), ("a", 2), ("a", 3), ("b", 2)]
    keys = [("a", 1), *rebuilt]
    links = dict(zip(keys, final(1, 4, 2, 3, 5), strict=True))
    joined = joined_as_online(links, rebuilt, tracks)
    ids = [joined[key].global_id for key in keys]
    assert ids[0] == ids[1]
    assert ids[2] == ids[4]
    assert len(set(ids)) == 3
    assert sorted(set(ids)) == [1, 2, 3]
    assert all(link.final for link in joined.values())
    assert joined["b", 1].confidence == 0.5
    assert joined["a", 1].confidence == 0.9
