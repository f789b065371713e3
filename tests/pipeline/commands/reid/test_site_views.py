"""Pairs of one person and of two people in runs that were reviewed, with numbers that can be checked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.commands.reid.site_views import PairCounts, site_views
from pipeline.core.errors import InputError
from pipeline.files.run_folder import ORIGINAL_ROWS_NAME
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Confirm, Delete, Merge, Rename, Split, Step
from tests.helpers.factories import make_tracklet, one_hot
from tests.helpers.stored_runs import recorded_run, row

#: Camera, track, global id, first frame of ten; 1 and 2 meet in the hall, 4 and 5 at the door.
TRACKS = [
    ("hall", 1, 1, 0),
    ("hall", 2, 2, 5),
    ("hall", 3, 1, 20),
    ("door", 1, 3, 40),
    ("door", 2, 4, 60),
    ("door", 3, 5, 65),
    ("door", 4, 6, 90),
]
#: Of this track there is one good crop only.
WITHOUT_CROPS = ("door", 4)


def made_run(folder: Path, steps: Sequence[Step] = (), *, late_s: float = 0.0) -> Path:
    recorded_run(
        folder,
        [
            row(person, camera, track, first + step)
            for camera, track, person, first in TRACKS
            for step in range(10)
        ],
    )
    with TrackletWriter(
        folder / "tracklets.arrow", TrackletFileInfo(("door", "hall"), {0: "person"}, "model")
    ) as file:
        for camera, track, person, first in TRACKS:
            crops = 1 if (camera, track) == WITHOUT_CROPS else 2
            start_s = first / 10 + late_s
            file.write(make_tracklet(camera, track, start_s, start_s + 0.9, one_hot(person, 7)[:crops]))
    if steps:
        with ReviewedRun(folder) as run:
            for step in steps:
                run.do(lambda _, step=step: step)  # type: ignore[misc]
    return folder


@pytest.mark.parametrize(
    ("steps", "pairs", "left_out"),
    [
        pytest.param([], PairCounts(0, 0, 0, 2), [1], id="not reviewed"),
        pytest.param([Rename(1, "Ana")], PairCounts(0, 0, 0, 2), [1], id="nobody is confirmed"),
        # hall:1 and hall:3 are 1, so hall:2, whom hall:1 meets, is not hall:3 either
        pytest.param([Confirm(1)], PairCounts(0, 1, 0, 3), [1], id="two tracks in one camera"),
        # and the two tracks of 1 with that of 2, now both confirmed
        pytest.param([Confirm(1), Confirm(2)], PairCounts(0, 1, 2, 1), [1], id="two confirmed people who meet"),
        # hall:1, hall:3, door:1 are three pairs of one person; 4 does not meet them, but both are confirmed
        pytest.param(
            [Merge(1, 3), Confirm(1), Confirm(4)], PairCounts(2, 1, 3, 4), [1], id="also between two cameras"
        ),
        pytest.param(
            [Merge(1, 3), Confirm(1), Confirm(1, False)], PairCounts(0, 0, 0, 2), [1], id="no longer confirmed"
        ),
        # the tracklet of hall:1 is of two people, and neither meets nor joins anybody
        pytest.param(
            [Split("hall", 1, 7, 5, 4), Confirm(1), Confirm(7)], PairCounts(0, 0, 0, 1), [1, 1], id="cut in two"
        ),
        pytest.param([Delete("door", 2), Confirm(5)], PairCounts(0, 0, 0, 1), [1, 1], id="deleted"),
        pytest.param([Confirm(6), Confirm(1)], PairCounts(0, 1, 0, 3), [1], id="confirmed without good crops"),
    ],
)
def test_pairs_are_of_these_kinds(
    tmp_path: Path, steps: list[Step], pairs: PairCounts, left_out: list[int]
) -> None:
    found = site_views([made_run(tmp_path / "run", steps)], "model")
    assert found.pairs == pairs
    assert list(found.left_out.values()) == left_out
    assert len(found.views) + sum(left_out) == len(TRACKS)


def test_people_of_two_runs_are_not_compared(tmp_path: Path) -> None:
    runs = [made_run(tmp_path / name, [Confirm(1), Confirm(2), Rename(1, "Ana")]) for name in ("one", "two")]
    found = site_views(runs, None)
    assert found.pairs == PairCounts(0, 2, 4, 2)
    assert len(found.confirmed) == 4


def test_the_user_is_told_which_pairs_are_used_and_what_is_left_out(tmp_path: Path) -> None:
    steps: list[Step] = [Split("hall", 2, 7, 10, 4), Merge(1, 3), Confirm(1), Confirm(4)]
    assert site_views([made_run(tmp_path / "run", steps)], None).sentences == [
        "Confirmed people: 2",
        "Pairs of one person: 3 of confirmed people, 2 of them between two cameras; and the halves of each of 5 "
        "tracks, because 3 pairs are few",
        "Pairs of two people: 3 of two confirmed people, 1 of others whom one camera saw at the same time",
        "Tracks left out: 1 that were split at a moment, because their embeddings are of two people; 1 with fewer "
        "than 2 good crops",
    ]


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        pytest.param(
            [Rename(1, "Ana"), Confirm(1), Rename(4, "Ana"), Confirm(4)],
            r"1 and 4 are both confirmed, and both have the name 'Ana': merge them",
            id="one name for two people",
        ),
    ],
)
def test_confirmed_people_that_contradict_each_other(tmp_path: Path, steps: list[Step], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        site_views([made_run(tmp_path / "run", steps)], None)


def test_somebody_who_is_twice_in_a_frame(tmp_path: Path) -> None:
    """The links of a run that was edited by hand may say so; steps of a review cannot."""
    folder = made_run(tmp_path / "run")
    path = folder / "trajectories.csv"
    path.write_text(path.read_text().replace("\n2,hall,2,", "\n1,hall,2,"))
    for text in (folder / "mot").glob("*.txt"):
        text.unlink()
    with ReviewedRun(folder) as run:
        run.do(lambda _: Confirm(1))
    with pytest.raises(
        InputError, match="1 is confirmed, but is twice in frame 5 of camera hall, as tracks 1 and 2"
    ):
        site_views([folder], None)


def test_tracklets_of_another_run(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", [Confirm(1)], late_s=100)
    with pytest.raises(
        InputError, match=r"hall:1 is in view from 0\.0 s to 0\.9 s .* but from 100\.0 s .* another run"
    ):
        site_views([folder], None)


def test_steps_without_the_rows_that_they_changed(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", [Merge(1, 3), Confirm(1)])
    (folder / ORIGINAL_ROWS_NAME).unlink()
    with pytest.raises(InputError, match="is missing, so it is not known which tracks were corrected"):
        site_views([folder], None)


def test_steps_of_another_run(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", [Confirm(1)])
    with (folder / "review.ndjson").open("a") as file:
        file.write('{"step": "confirm", "global_id": 77, "confirmed": true}\n')
    with pytest.raises(InputError, match=r"review\.ndjson does not fit the rows of the run: nobody has the id 77"):
        site_views([folder], None)
