"""The people of a run: stays, fragments, times, the table in the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.core.datatypes import Link
from pipeline.recorded.people import Person, TrackSpan, people_of
from pipeline.recorded.people_table import people_table
from tests.helpers import looped_scene
from tests.helpers.simulated_run import csv_rows


def span(
    camera_id: str, track_id: int, start_s: float, end_s: float, global_id: int = 1, **more: object
) -> TrackSpan:
    values: dict[str, object] = {"boxes": 10, "good_crops": 2, "link": Link(global_id, 0.9, final=True), **more}
    return TrackSpan(camera_id, track_id, "person", start_s, end_s, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tracks", "stays", "in_view_s", "came_back"),
    [
        pytest.param([span("a", 1, 0, 5)], [("a", 0, 5)], 5, False, id="one"),
        pytest.param([span("a", 1, 0, 5), span("a", 2, 7.9, 9)], [("a", 0, 9)], 9, False, id="a short gap"),
        pytest.param(
            [span("a", 1, 0, 5), span("a", 2, 8, 9)], [("a", 0, 5), ("a", 8, 9)], 6, True, id="a gap of 3 s"
        ),
        pytest.param(
            [span("b", 1, 4, 6), span("a", 1, 0, 5)], [("a", 0, 5), ("b", 4, 6)], 6, False, id="overlapping"
        ),
        pytest.param([span("a", 1, 0, 9), span("b", 1, 2, 4)], [("a", 0, 9), ("b", 2, 4)], 9, False, id="inside"),
        pytest.param(
            [span("a", 1, 0, 9), span("a", 2, 1, 2), span("a", 3, 10, 11)],
            [("a", 0, 11)],
            11,
            False,
            id="long first",
        ),
    ],
)
def test_stays(
    tracks: list[TrackSpan], stays: list[tuple[str, float, float]], in_view_s: float, came_back: bool
) -> None:
    (person,) = people_of(tracks)
    assert [(stay.camera_id, stay.start_s, stay.end_s) for stay in person.stays] == stays
    assert person.in_view_s == pytest.approx(in_view_s)
    assert person.came_back == came_back
    assert person.tracks == [track for stay in person.stays for track in stay.tracks]


def test_fragments_are_told_apart_and_unknown_tracks_are_none() -> None:
    people = people_of(
        [
            span("a", 1, 0, 5, 1),
            span("a", 2, 0, 5, 2, good_crops=0),
            span("a", 3, 0, 5, 3, good_crops=None),
            span("a", 4, 0, 5, 4, good_crops=0),
            span("b", 4, 0, 5, 4, good_crops=0),
        ]
    )
    assert [(person.global_id, person.is_fragment) for person in people] == [
        (1, False),
        (2, True),
        (3, False),
        (4, False),
    ]


def told(people: list[Person], cameras: list[str]) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(people_table(people, cameras))
    return captured.get()


def cells(text: str, first: str) -> list[str]:
    """The cells of the row with this first cell."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    return next(row for row in rows if row[0] == first)


def test_the_table_has_a_row_for_each_person_and_counts_fragments() -> None:
    people = people_of(
        [span("a", 1, 0, 5), span("a", 2, 20, 22), span("b", 1, 4, 6), span("b", 2, 0, 1, 2, good_crops=0)]
    )
    text = told(people, ["a", "b"])
    assert cells(text, "1") == ["1", "7.0 (2)", "2.0", "8.0", "0.90"]
    assert cells(text, "fragments") == ["fragments", "", "1", "1", "not compared"]


def test_many_cameras_and_people_do_not_flood_the_terminal() -> None:
    cameras = [f"camera{number}" for number in range(9)]
    people = people_of([span(cameras[number % 9], number, 0, 5, number + 1) for number in range(45)])
    text = told(people, cameras)
    assert cells(text, "1") == ["1", "camera0", "5.0", "0.90"]
    assert cells(text, "and 15 more")
    assert all(len(line) <= 120 for line in text.splitlines())


def test_a_looped_scene_has_the_people_and_fragments_that_one_counts_by_hand(tmp_path: Path) -> None:
    summary = looped_scene.run_scene(tmp_path / "run", looped_scene.write_recordings(tmp_path))
    assert (summary.people, summary.fragments, summary.global_ids, summary.rows) == (2, 3, 5, 2 * 6 * 30 + 3 * 10)
    assert summary.persons is not None
    for person in (one for one in summary.persons if not one.is_fragment):
        assert [(stay.camera_id, stay.boxes) for stay in person.stays] == [("left", 30), ("right", 30)] * 3
        assert person.came_back
        assert person.in_view_s == pytest.approx(6 * 2.9)
    loose = [one for one in summary.persons if one.is_fragment]
    assert [(one.start_s, one.boxes, one.confidence) for one in loose] == [
        (pytest.approx(5.0 + 12 * loop), 10, 0.0) for loop in range(3)
    ]
    note = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (note["global_ids"], note["fragments"], note["classes"]["person"]["fragments"]) == (5, 3, 3)
    ids = {str(one.global_id) for one in loose}
    rows = csv_rows(tmp_path / "run")
    assert {row["link_confidence"] for row in rows if row["global_id"] in ids} == {"0.000"}
    assert all(float(row["link_confidence"]) > 0.9 for row in rows if row["global_id"] not in ids)
    content = json.loads(json.dumps(summary.to_dict()))
    assert (content["people"], content["fragments"]) == (2, 3)
    assert {name: (one["people"], one["fragments"]) for name, one in content["cameras"].items()} == {
        "left": (2, 3),
        "right": (2, 0),
    }
    console = Console(width=200)
    with console.capture() as captured:
        console.print(summary.tables())
    text = captured.get()
    assert "2 people and 3 fragments over all cameras (5 global ids)" in text
    assert "ms per camera frame" not in text
    assert cells(text, "1") == ["1", "8.7 (3)", "8.7 (3)", "17.4", "1.00"]


@pytest.mark.parametrize("max_wait_s", [3.0, 0.5], ids=["ended before it waited too long", "waited too long"])
def test_without_a_second_pass_the_online_links_are_counted(tmp_path: Path, max_wait_s: float) -> None:
    summary = looped_scene.run_scene(
        tmp_path / "run",
        looped_scene.write_recordings(tmp_path),
        second_pass={"enabled": False},
        linker={"max_wait_s": max_wait_s},
    )
    assert summary.fragments == 3
    assert summary.persons is not None
    loose = {str(one.global_id) for one in summary.persons if one.is_fragment}
    assert {row["link_confidence"] for row in csv_rows(tmp_path / "run") if row["global_id"] in loose} == {"0.000"}
