"""The first rows of a track may carry an id of their own, and nobody may have written down whose that is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.core.datatypes import LinkedRow
from pipeline.files.results_csv import COLUMNS, TrajectoryWriter, read_trajectories
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter, read_tracklets
from pipeline.live.output.segments import REMAP_COLUMNS, remap_line, row_line
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from tests.helpers.factories import make_tracklet, one_hot
from tests.helpers.live.examples import NOW_S, make_remap, make_row
from tests.helpers.simulated_run import ONLINE, SimulatedRun, csv_rows, person_of

HALL_1 = [make_row(17, "hall", 1, 0.0), make_row(3, "hall", 1, 1.0)]
ROWS = [
    *HALL_1,
    make_row(3, "entrance", 4, 2.0),
    make_row(18, "hall", 2, 3.0),
    make_row(2, "hall", 2, 4.0),
    make_row(2, "entrance", 1, 5.0),  # the number of a track of person 3 in the other camera
]


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """What a run of `track` left without its second pass: person 3 was undecided in the hall for a second, and so was
    person 2."""
    folder = tmp_path / "recorded"
    with TrajectoryWriter(folder, ["entrance", "hall"], None) as writer:
        for linked in ROWS:
            writer.write(linked)
    with TrackletWriter(
        folder / "tracklets.arrow", TrackletFileInfo(("entrance", "hall"), {0: "person"}, "")
    ) as tracklets:
        for camera, track in (("hall", 1), ("entrance", 4), ("hall", 2), ("entrance", 1)):
            tracklets.write(make_tracklet(camera, track, embeddings=one_hot(track)))
    (folder / "run.json").write_text(json.dumps({"state": "interrupted", "epoch_utc": None}))
    return folder


def rows_in(folder: Path) -> list[tuple[int, str, int]]:
    """Of all CSV files: id, camera and track."""
    return [
        (linked.link.global_id, linked.row.camera_id, linked.row.track_id)
        for path in RunFolder(folder).csv_files
        for linked in read_trajectories(path)
    ]


def segment(folder: Path, name: str, rows: Iterable[LinkedRow]) -> Path:
    path = folder / name
    path.write_text(",".join(COLUMNS) + "\n" + "".join(map(row_line, rows)))
    return path


@pytest.mark.parametrize("global_id", [3, 17], ids=["the id that counts", "the one from before"])
def test_a_recording_keeps_nothing_of_the_tracks_of_a_person(interrupted: Path, global_id: int) -> None:
    purged = purge_person(RunFolder(interrupted), global_id, delete_shared=False)
    assert (purged.rows, purged.tracklets) == (3, 2)
    assert rows_in(interrupted) == [(18, "hall", 2), (2, "hall", 2), (2, "entrance", 1)]
    lines = [(interrupted / "mot" / f"{name}.txt").read_text().splitlines() for name in ("entrance", "hall")]
    assert [[line.split(",")[1] for line in some] for some in lines] == [["2"], ["18", "2"]]
    tracklets = [tracklet.key for tracklet in read_tracklets(interrupted / "tracklets.arrow")]
    assert tracklets == [("hall", 2), ("entrance", 1)]
    # Nor does linking again bring the person back.
    with pytest.raises(SystemExit) as stop:
        main(["link", str(interrupted), "--overwrite"])
    assert stop.value.code in (None, 0)
    assert [row[1:] for row in rows_in(interrupted)] == [("hall", 2), ("hall", 2), ("entrance", 1)]


@pytest.mark.parametrize("global_id", [3, 17], ids=["the id that counts", "the one from before"])
def test_the_tracks_of_a_person_are_handed_out_whole(interrupted: Path, tmp_path: Path, global_id: int) -> None:
    content = export_person(RunFolder(interrupted), global_id, tmp_path / "out")
    assert (content["global_id"], content["all_ids"]) == (3, [3, 17])
    assert [(row["global_id"], row["camera_id"]) for row in content["rows"]] == [
        (17, "hall"),
        (3, "hall"),
        (3, "entrance"),
    ]


@pytest.mark.parametrize("told", [None, 17], ids=["without a word", "whose last word let the id stand"])
def test_a_live_run_that_was_killed_too(tmp_path: Path, told: int | None) -> None:
    """Tracks of another run, and of another camera, have the same numbers."""
    segment(tmp_path, "traj-1-aa-0001.csv", [make_row(9, "hall", 1)])
    segment(tmp_path, "traj-2-bb-0001.csv", [*HALL_1[:1], make_row(8, "entrance", 1)])
    segment(tmp_path, "traj-2-bb-0002.csv.part", [*HALL_1[1:], make_row(3, "entrance", 5)])
    if told is not None:
        word = remap_line(make_remap(17, told, "hall", 1), "2-bb")
        (tmp_path / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n" + word)
    assert purge_person(RunFolder(tmp_path), 3, delete_shared=False).rows == 3
    assert rows_in(tmp_path) == [(9, "hall", 1), (8, "entrance", 1)]
    assert (tmp_path / "remap.csv").read_text() == ",".join(REMAP_COLUMNS) + "\n"


@pytest.mark.parametrize("global_id", [3, 17], ids=["the id that counts", "the one from before"])
@pytest.mark.parametrize("torn", ["", "2026-05-01T10:06:40.0"], ids=["", "torn"])
def test_a_purge_that_was_cut_off_between_two_segments_still_knows_the_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, global_id: int, torn: str
) -> None:
    segment(tmp_path, "traj-1-aa-0001.csv", [*HALL_1, make_row(8, "hall", 2)])
    segment(tmp_path, "traj-1-aa-0002.csv.part", [make_row(3, "entrance", 5), make_row(8, "hall", 2)])
    (tmp_path / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n" + torn)

    class Killed(BaseException):
        pass

    def killed(path: Path) -> None:
        raise Killed

    monkeypatch.setattr("pipeline.files.whole_files.sync_folder", killed)
    with pytest.raises(Killed):
        purge_person(RunFolder(tmp_path), global_id, delete_shared=False)
    monkeypatch.undo()
    assert rows_in(tmp_path) == [(8, "hall", 2), (3, "entrance", 5), (8, "hall", 2)]
    purge_person(RunFolder(tmp_path), global_id, delete_shared=False)
    assert rows_in(tmp_path) == [(8, "hall", 2)] * 2
    assert (tmp_path / "remap.csv").read_text() == ",".join(REMAP_COLUMNS) + "\n"


def test_of_a_simulated_recording_everybody_goes_alone_and_whole(tmp_path: Path) -> None:
    """Rows leave .1 s after their frame, long before anybody is known."""
    world = SimulatedWorld(cameras=3, people=6)
    SimulatedRun(world, 300, settings={**ONLINE, "linker": {"hold_s": 0.1, "few_crops_factor": 0.0}}).into(
        tmp_path
    )
    before = [(person_of(world, row), row["global_id"]) for row in csv_rows(tmp_path)]
    ids_of = {person: {global_id for one, global_id in before if one == person} for person, _ in before}
    assert max(map(len, ids_of.values())) >= 3
    gone = set()
    for person, ids in ids_of.items():
        purge_person(RunFolder(tmp_path), int(min(ids)), delete_shared=False)
        gone.add(person)
        left = [(person_of(world, row), row["global_id"]) for row in csv_rows(tmp_path)]
        assert left == [row for row in before if row[0] not in gone]
        tracks = {(row["camera_id"], int(row["track_id"])) for row in csv_rows(tmp_path)}
        assert {tracklet.key for tracklet in read_tracklets(tmp_path / "tracklets.arrow")} == tracks


def test_features_in_a_batch_that_a_kill_cut_off_go_with_any_purge(interrupted: Path) -> None:
    """Whose they are cannot be read any more."""
    path = interrupted / "tracklets.arrow"
    with TrackletWriter(path, TrackletFileInfo(("entrance", "hall"), {0: "person"}, "")) as tracklets:
        tracklets.write(make_tracklet("hall", 2, embeddings=one_hot(2)))
        tracklets.flush()
        whole = path.stat().st_size
        tracklets.write(make_tracklet("hall", 1, embeddings=one_hot(1)))
    path.write_bytes(path.read_bytes()[: whole + 500])
    purge_person(RunFolder(interrupted), 3, delete_shared=False)
    assert path.stat().st_size < whole + 100
    assert [tracklet.key for tracklet in read_tracklets(path)] == [("hall", 2)]


def test_ids_do_not_depend_on_when_rows_were_seen(tmp_path: Path) -> None:
    """A box from before its track was confirmed may come late; what stands later in the file counts."""
    segment(tmp_path, "traj-1-aa-0001.csv", [make_row(17, time_s=NOW_S), make_row(3, time_s=NOW_S - 1)])
    assert export_person(RunFolder(tmp_path), 17, tmp_path / "out")["global_id"] == 3
