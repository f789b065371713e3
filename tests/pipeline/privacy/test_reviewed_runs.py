"""Purge and export of people in a run that was corrected: no file keeps a name, a step or an original row of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import InputError
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter, read_tracklets
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from pipeline.review.revert import revert
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Confirm, Delete, Merge, Rename, Split, Step
from tests.helpers.factories import make_tracklet, one_hot
from tests.helpers.stored_runs import recorded_run, row

NAMES = ("Ana-Maria", "Boris-K")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """1 is in hall in frames 0 to 9, but from frame 5 on it is somebody else; 2 and 3 are one person; 4 is nobody."""
    tracks = [("hall", 1, 1, 0), ("hall", 2, 2, 20), ("door", 1, 3, 40), ("door", 2, 4, 60)]
    rows = [
        row(person, camera, track, first + step) for camera, track, person, first in tracks for step in range(10)
    ]
    made = recorded_run(tmp_path / "run", rows)
    info = TrackletFileInfo(("door", "hall"), {0: "person"}, "")
    with TrackletWriter(made / "tracklets.arrow", info) as tracklets:
        for camera, track, person, _ in tracks:
            tracklets.write(make_tracklet(camera, track, embeddings=one_hot(person)))
    steps: list[Step] = [
        Split("hall", 1, 5, 5, 3),
        Merge(2, 3),
        Delete("door", 2),
        Rename(5, NAMES[0]),
        Rename(2, NAMES[1]),
        Confirm(2),
    ]
    with ReviewedRun(made) as run:
        for step in steps:
            run.do(lambda _, step=step: step)  # type: ignore[misc]
    return made


def ids(folder: Path) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for line in (folder / "trajectories.csv").read_text().splitlines()[1:]:
        person, camera, track, *_ = line.split(",")
        found.setdefault((camera, track), set()).add(person)
    return found


def words(folder: Path) -> str:
    return "".join(
        path.read_text(encoding="utf-8", errors="replace") for path in folder.rglob("*") if path.is_file()
    )


def noted(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text())["review"]


def test_nothing_knows_a_purged_person_any_more_and_the_others_stay(folder: Path) -> None:
    purge_person(RunFolder(folder), 5, delete_shared=False)
    assert ids(folder) == {("hall", "1"): {"1"}, ("hall", "2"): {"2"}, ("door", "1"): {"2"}}
    assert NAMES[0] not in words(folder)
    assert NAMES[1] in words(folder)
    assert sorted(path.name for path in folder.rglob("*") if "original" in path.name) == []
    # The tracklet of hall:1 describes both people, and that of door:2 nobody.
    assert [one.key for one in read_tracklets(folder / "tracklets.arrow")] == [("hall", 2), ("door", 1)]
    assert (noted(folder)["steps"], noted(folder)["permanent_steps"]) == (2, 3)
    with ReviewedRun(folder) as run:
        assert run.identities.names == {2: NAMES[1]}
        assert run.identities.confirmed == {2}
        run.do(lambda _: Rename(1, "Cy"))
    assert noted(folder)["permanent_steps"] == 3
    restored, stays = revert(folder)
    assert "Restored" in restored
    assert "3 steps from before a purge stay" in stays
    assert ids(folder) == {("hall", "1"): {"1"}, ("hall", "2"): {"2"}, ("door", "1"): {"2"}}


def test_a_merged_person_is_purged_under_both_original_ids(folder: Path) -> None:
    purge_person(RunFolder(folder), 2, delete_shared=False)
    assert ids(folder) == {("hall", "1"): {"1"}, ("hall", "3"): {"5"}}
    assert NAMES[1] not in words(folder)
    assert noted(folder)["confirmed"] == 0
    assert "3 steps from before a purge stay" in revert(folder)[1]
    assert not (folder / "review.ndjson").exists()
    with pytest.raises(InputError, match="was not corrected"):
        revert(folder)


def test_a_purge_waits_for_the_rows(folder: Path) -> None:
    with (folder / "review.ndjson").open("a") as file:
        file.write('{"step": "undo"}\n')
    with pytest.raises(InputError, match=r"are not in its trajectories\.csv yet"):
        purge_person(RunFolder(folder), 5, delete_shared=False)
    assert NAMES[0] in words(folder)


def test_a_purge_of_a_run_whose_steps_are_damaged_forgets_all_names(folder: Path) -> None:
    with (folder / "review.ndjson").open("a") as file:
        file.write("damage\n")
    purge_person(RunFolder(folder), 5, delete_shared=False)
    assert not any(name in words(folder) for name in NAMES)
    assert ids(folder) == {("hall", "1"): {"1"}, ("hall", "2"): {"2"}, ("door", "1"): {"2"}}


def test_an_export_has_names_and_steps_of_the_person_only(folder: Path, tmp_path: Path) -> None:
    content = export_person(RunFolder(folder), 2, tmp_path / "out")
    assert content["review"] == {
        "names": [NAMES[1]],
        "confirmed": True,
        "steps": [
            {"step": "merge", "into": 2, "merged": 3},
            {"step": "rename", "global_id": 2, "name": NAMES[1]},
            {"step": "confirm", "global_id": 2, "confirmed": True},
        ],
    }
    assert NAMES[0] not in (tmp_path / "out" / "person-2.json").read_text()
    assert len(content["rows"]) == 20
