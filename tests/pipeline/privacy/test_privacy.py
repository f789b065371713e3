"""One person's data is found, handed out and deleted in all files of a run."""

from __future__ import annotations

import json
import os
import stat
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.config.config import load_config
from pipeline.core.datatypes import Link, LinkedRow
from pipeline.core.errors import InputError
from pipeline.core.redaction import Redactor
from pipeline.cross_camera.camera_centres import CentreState
from pipeline.cross_camera.gallery import Gallery
from pipeline.files.results_csv import COLUMNS, TrajectoryWriter, read_trajectories
from pipeline.files.run_folder import REWRITING_NAME, OutputFolder
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter, read_tracklets
from pipeline.live.output.gallery_file import GALLERY_NAME, load_gallery, save_gallery
from pipeline.live.output.manifest import Manifest
from pipeline.live.output.segments import REMAP_COLUMNS, remap_line, row_line
from pipeline.live.sinks.json_lines import JsonLines
from pipeline.live.sinks.json_sink import JsonSink
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_before, purge_person
from pipeline.privacy.run_folder import RunFolder
from tests.helpers.factories import limits_of, make_tracklet, one_hot
from tests.helpers.live.examples import NOW_S, make_remap, make_row, make_status

DAY_S = 86_400.0


@pytest.fixture
def live_folder(tmp_path: Path) -> Path:
    """Person 1 was there yesterday and today, person 2 today, at first with the provisional id 5; person 3 yesterday.
    The newest segment was left by a kill, in the middle of a row."""
    folder = tmp_path / "live"
    OutputFolder(folder).close()
    yesterday = [make_row(1, "hall", 1, NOW_S - DAY_S), make_row(3, "hall", 2, NOW_S - DAY_S + 1)]
    today = [make_row(1, "hall", 1, NOW_S), make_row(5, "entrance", 2, NOW_S), make_row(2, "hall", 3, NOW_S + 1)]
    header = ",".join(COLUMNS) + "\n"
    (folder / "traj-20260430T100000Z-aa-0001.csv").write_text(header + "".join(map(row_line, yesterday)))
    torn = row_line(make_row(2, "hall", 3, NOW_S + 2))[:-9]
    (folder / "traj-20260501T100000Z-bb-0001.csv.part").write_text(header + "".join(map(row_line, today)) + torn)
    remap = remap_line(make_remap(5, 2, "entrance", 2), "20260501T100000Z-bb")
    (folder / "remap.csv").write_text(",".join(REMAP_COLUMNS) + "\n" + remap)
    gallery = Gallery(
        camera_ids=("entrance", "hall"),
        next_id=6,
        global_id=np.array([1, 2, 3]),
        class_id=np.zeros(3, np.int64),
        last_seen_s=np.array([[-np.inf, NOW_S], [NOW_S, NOW_S + 2], [-np.inf, NOW_S - DAY_S + 1]]),
        features=np.stack([one_hot(0, 1), one_hot(2, 3), one_hot(4, 5)]),
        has_feature=np.array([[True, True], [True, False], [True, True]]),
        feature_camera=np.array([[1, 1], [0, 1], [1, 1]]),
        centres=CentreState(one_hot(6, 7), np.array([2.0, 2.0])),
        last_floor_s=np.full(3, np.nan),
        last_floor_xy_m=np.full((3, 2), np.nan),
    )
    save_gallery(folder / GALLERY_NAME, gallery, "model", closing=True)
    sink = JsonSink("json_lines", JsonLines(folder / "rows.jsonl"), "run")
    sink.write([*yesterday, *today])
    sink.remap([make_remap(5, 2)])
    sink.close()
    return folder


@pytest.fixture
def recorded_folder(tmp_path: Path) -> Path:
    """Output of `track`: person 1 in both cameras, person 2 in the hall."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    epoch = datetime(2026, 5, 1, 10, tzinfo=UTC)
    with TrajectoryWriter(folder, ["entrance", "hall"], epoch) as writer:
        for linked in (
            make_row(1, "entrance", 1, 0.0),
            make_row(1, "hall", 1, 1.0),
            make_row(2, "hall", 2, 7200.0),
        ):
            writer.write(LinkedRow(linked.row, Link(linked.link.global_id, 0.9, True)))
    info = TrackletFileInfo(("entrance", "hall"), {0: "person"}, "model")
    with TrackletWriter(folder / "tracklets.arrow", info) as tracklets:
        for camera, track in (("entrance", 1), ("hall", 1), ("hall", 2)):
            tracklets.write(make_tracklet(camera, track, embeddings=one_hot(track)))
    (folder / "run.json").write_text(json.dumps({"state": "complete", "epoch_utc": epoch.isoformat()}))
    return folder


def ids_left(folder: Path) -> list[int]:
    return [linked.link.global_id for path in RunFolder(folder).csv_files for linked in read_trajectories(path)]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


# -- purge by id -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("global_id", [2, 5], ids=["the id that counts", "the provisional one"])
def test_a_person_is_gone_from_every_file_under_every_id(live_folder: Path, global_id: int) -> None:
    purged = purge_person(RunFolder(live_folder), global_id, delete_shared=False)
    assert (purged.rows, purged.identities, purged.corrections, purged.messages) == (2, 1, 1, 3)
    assert ids_left(live_folder) == [1, 3, 1]
    gallery = load_gallery(live_folder, "model")
    assert gallery is not None
    assert gallery.global_id.tolist() == [1, 3]
    assert gallery.next_id == 6  # the ids of the person are given to nobody else
    np.testing.assert_allclose(gallery.features[0], one_hot(0, 1))
    assert (live_folder / "remap.csv").read_text().splitlines() == [",".join(REMAP_COLUMNS)]
    lines = [json.loads(line) for line in (live_folder / "rows.jsonl").read_text().splitlines()]
    assert [line["global_id"] for line in lines] == [1, 3, 1]
    # Nothing of the person is left, not even in the line that a kill cut off.
    part = (live_folder / "traj-20260501T100000Z-bb-0001.csv.part").read_text()
    assert part.endswith("\n")
    assert len(part.splitlines()) == 2


def test_what_stays_is_the_same_byte_for_byte_and_only_for_its_owner(live_folder: Path) -> None:
    other = live_folder / "traj-20260430T100000Z-aa-0001.csv"
    before = other.read_bytes()
    purge_person(RunFolder(live_folder), 2, delete_shared=False)
    assert other.read_bytes() == before
    part = live_folder / "traj-20260501T100000Z-bb-0001.csv.part"
    assert part.read_text().splitlines()[1] + "\n" == row_line(make_row(1, "hall", 1, NOW_S))
    assert {stat.S_IMODE(path.stat().st_mode) for path in live_folder.iterdir() if path.suffix == ".part"} == {
        0o600
    }
    assert not list(live_folder.glob(".*"))


def test_a_run_that_is_writing_is_left_alone(live_folder: Path) -> None:
    held = OutputFolder(live_folder)
    before = {path: path.read_bytes() for path in live_folder.iterdir()}
    with pytest.raises(InputError, match=r"another `mtmc live` writes into .*: stop it first"):
        purge_person(RunFolder(live_folder), 2, delete_shared=False)
    assert {path: path.read_bytes() for path in live_folder.iterdir()} == before
    held.close()
    assert purge_person(RunFolder(live_folder), 2, delete_shared=False).rows == 2


def test_an_id_that_nobody_has_is_said(live_folder: Path) -> None:
    with pytest.raises(InputError, match="has the id 77"):
        purge_person(RunFolder(live_folder), 77, delete_shared=False)


def test_a_full_disk_leaves_the_file_as_it_was(live_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in live_folder.glob("traj-*")}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert run("purge", str(live_folder), "--id", "2") == 1
    assert {path.name: path.read_bytes() for path in live_folder.glob("traj-*")} == before
    monkeypatch.undo()
    assert run("purge", str(live_folder), "--id", "2") == 0
    assert ids_left(live_folder) == [1, 3, 1]


def test_tracked_recordings_lose_rows_features_and_mot_lines(recorded_folder: Path) -> None:
    purged = purge_person(RunFolder(recorded_folder), 1, delete_shared=False)
    assert (purged.rows, purged.tracklets) == (2, 2)
    assert [tracklet.key for tracklet in read_tracklets(recorded_folder / "tracklets.arrow")] == [("hall", 2)]
    assert (recorded_folder / "mot" / "entrance.txt").read_text() == ""
    (line,) = (recorded_folder / "mot" / "hall.txt").read_text().splitlines()
    assert line.split(",")[1] == "2"


def test_files_that_show_everybody_are_deleted_only_when_asked(recorded_folder: Path) -> None:
    video = recorded_folder / "trajectories.mp4"
    video.write_bytes(b"moving pictures")
    with pytest.raises(InputError, match=r"trajectories\.mp4 .* give --delete-shared"):
        purge_person(RunFolder(recorded_folder), 1, delete_shared=False)
    assert ids_left(recorded_folder) == [1, 1, 2]
    assert purge_person(RunFolder(recorded_folder), 1, delete_shared=True).files == ("trajectories.mp4",)
    assert not video.exists()


def test_a_purge_that_was_cut_off_is_finished_by_running_it_again(
    recorded_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file it was writing: afterwards neither rows nor the video show the person."""
    video = recorded_folder / "trajectories.mp4"

    class Killed(BaseException):
        pass

    whole = {path: path.read_bytes() for path in recorded_folder.rglob("*") if path.is_file()}
    replace = os.replace
    for survived in range(4):  # tracklets, CSV, one MOT text, the other
        for path, content in {**whole, video: b"moving pictures"}.items():
            path.write_bytes(content)
        left = iter(range(survived))

        def killed(source: Path, target: Path, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed
            replace(source, target)

        monkeypatch.setattr("os.replace", killed)
        with pytest.raises(Killed):
            purge_person(RunFolder(recorded_folder), 1, delete_shared=True)
        monkeypatch.undo()
        with suppress(InputError):  # that nothing was left to delete
            purge_person(RunFolder(recorded_folder), 1, delete_shared=True)
        assert ids_left(recorded_folder) == [2]
        assert not video.exists()
        assert [tracklet.key for tracklet in read_tracklets(recorded_folder / "tracklets.arrow")] == [("hall", 2)]
        assert (recorded_folder / "mot" / "entrance.txt").read_text() == ""


def test_a_full_disk_leaves_a_recording_as_it_was(recorded_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in recorded_folder.glob("tra*.csv")}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert run("purge", str(recorded_folder), "--id", "1") == 1
    assert {path.name: path.read_bytes() for path in recorded_folder.glob("tra*.csv")} == before
    assert not list(recorded_folder.rglob(".*"))


def test_rows_are_not_held_in_memory(tmp_path: Path) -> None:
    """Forty thousand rows are 5 MB on the disk; as lists of texts they would be 50."""
    folder = tmp_path / "recorded"
    with TrajectoryWriter(folder, ["hall"], datetime(2026, 5, 1, tzinfo=UTC)) as writer:
        for number in range(40_000):
            writer.write(make_row(number % 100 + 1, "hall", number % 100 + 1, number / 10))
    tracemalloc.start()
    assert purge_person(RunFolder(folder), 7, delete_shared=False).rows == 400
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6
    assert len((folder / "mot" / "hall.txt").read_text().splitlines()) == 39_600


def test_features_left_by_kills_and_put_aside_go_with_any_purge(live_folder: Path) -> None:
    left = [".gallery.npz.purging", "gallery.npz.part", "gallery.damaged", "gallery.other_version"]
    for name in left:
        (live_folder / name).write_bytes(b"features")
    purged = purge_person(RunFolder(live_folder), 2, delete_shared=False)
    assert purged.files == ("gallery.damaged", "gallery.other_version")
    assert not [name for name in left if (live_folder / name).exists()]


def test_rows_that_a_kill_left_half_rewritten_go_with_any_purge(recorded_folder: Path) -> None:
    """The second pass was giving them their final ids."""
    with TrajectoryWriter(recorded_folder / REWRITING_NAME, ["entrance", "hall"], None) as writer:
        writer.write(make_row(4, "hall", 1, 1.0))
    purge_person(RunFolder(recorded_folder), 1, delete_shared=False)
    assert not (recorded_folder / REWRITING_NAME).exists()


def test_files_of_sinks_elsewhere_are_found_by_the_manifests(
    live_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those of a run whose manifest is deleted; what another folder's runs wrote into them stays."""
    first, second, other = "20260501T100000Z-bb", "20260502T100000Z-cc", "20260501T100000Z-ff"
    site = tmp_path / "site.yaml"
    for run_id, name in ((first, "old.jsonl"), (second, "new.jsonl")):
        sinks = [{"type": "json_lines", "path": name}, {"type": "mqtt", "host": "broker.example"}]
        site.write_text(json.dumps({"live": {"sinks": sinks}}))
        manifest = Manifest(live_folder, run_id, versions={}, hashes={}, redact=Redactor())
        config = load_config(site)
        manifest.write("complete", config, limits_of(config), make_status(), [])
    (live_folder / f"manifest-{first}.json").unlink()
    files = [
        tmp_path / "old.jsonl",
        tmp_path / "old.jsonl.1",
        tmp_path / "new.jsonl-20260502",
        live_folder / "x.jsonl.1",
    ]
    for path in files:
        for run_id in (first, other):
            sink = JsonSink("json_lines", JsonLines(path), run_id)
            sink.write([make_row(2), make_row(1)])
            sink.close()
    (tmp_path / "new.jsonl.2.gz").write_bytes(b"compressed")
    assert run("purge", str(live_folder), "--id", "2") == 0
    assert f"not reached: {tmp_path}/new.jsonl.2.gz, mqtt broker.example:1883" in capsys.readouterr().out
    for path in files:
        left = [json.loads(line) for line in path.read_text().splitlines()]
        theirs = [(other, 2)] if path.parent == tmp_path else []
        assert [(one["run_id"], one["global_id"]) for one in left] == [(first, 1), *theirs, (other, 1)]


# -- purge by date ---------------------------------------------------------------------------------------------


def test_everything_before_a_date_is_gone_and_whoever_came_later_stays_known(live_folder: Path) -> None:
    purged = purge_before(RunFolder(live_folder), datetime(2026, 5, 1, tzinfo=UTC), delete_shared=False)
    assert (purged.rows, purged.identities, purged.messages) == (2, 1, 2)
    assert purged.files == ("traj-20260430T100000Z-aa-0001.csv",)
    assert ids_left(live_folder) == [1, 5, 2]
    gallery = load_gallery(live_folder, "model")
    assert gallery is not None
    assert gallery.global_id.tolist() == [1, 2]


def test_a_time_with_a_zone_cuts_a_recording(recorded_folder: Path) -> None:
    assert run("purge", str(recorded_folder), "--before", "2026-05-01T13:00+02:00") == 0
    assert ids_left(recorded_folder) == [2]
    assert [tracklet.key for tracklet in read_tracklets(recorded_folder / "tracklets.arrow")] == [("hall", 2)]


def test_a_video_without_anybody_from_before_the_date_is_kept(recorded_folder: Path) -> None:
    video = recorded_folder / "trajectories.mp4"
    video.write_bytes(b"moving pictures")
    purged = purge_before(RunFolder(recorded_folder), datetime(2026, 4, 1, tzinfo=UTC), delete_shared=True)
    assert not purged.anything
    assert (purged.files, video.exists()) == ((), True)
    purged = purge_before(RunFolder(recorded_folder), datetime(2026, 5, 1, 11, tzinfo=UTC), delete_shared=True)
    assert (purged.files, video.exists()) == (("trajectories.mp4",), False)


def test_rows_without_dates_cannot_be_purged_by_date(tmp_path: Path) -> None:
    with TrajectoryWriter(tmp_path, ["hall"], None) as writer:
        writer.write(make_row(1, "hall", 1, 0.0))
    with pytest.raises(InputError, match="have no dates"):
        purge_before(RunFolder(tmp_path), datetime(2026, 5, 1, tzinfo=UTC), delete_shared=False)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "either --id or --before"),
        (["--id", "1", "--before", "2026-05-01"], "either --id or --before"),
        (["--before", "yesterday"], "not 'yesterday'"),
    ],
)
def test_bad_usage_is_explained(
    live_folder: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("purge", str(live_folder), *arguments) == 2
    assert text in capsys.readouterr().err


def test_a_folder_without_results_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", str(tmp_path), "--id", "1") == 2
    assert "holds no results" in capsys.readouterr().err


# -- export ----------------------------------------------------------------------------------------------------


def test_a_person_is_handed_out_whole_while_the_run_goes_on(live_folder: Path, tmp_path: Path) -> None:
    held = OutputFolder(live_folder)
    assert run("export", str(live_folder), "--id", "5", "--output", str(tmp_path / "out")) == 0
    held.close()
    rows = list(read_trajectories(tmp_path / "out" / "person-2.csv"))
    assert [linked.link.global_id for linked in rows] == [5, 2]
    content = json.loads((tmp_path / "out" / "person-2.json").read_text())
    assert (content["global_id"], content["all_ids"]) == (2, [2, 5])
    assert [visit["camera_id"] for visit in content["visits"]] == ["entrance", "hall"]
    assert content["known_in_memory"]["last_seen_s"] == {"entrance": NOW_S, "hall": NOW_S + 2}
    assert content["known_in_memory"]["features"] == one_hot(2).tolist()
    assert [row["track_id"] for row in content["rows"]] == [2, 3]
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()} == {0o600}


def test_nobody_is_left_to_hand_out_after_a_purge(live_folder: Path, tmp_path: Path) -> None:
    purge_person(RunFolder(live_folder), 2, delete_shared=False)
    with pytest.raises(InputError, match="has the id 2"):
        export_person(RunFolder(live_folder), 2, tmp_path / "out")


def test_a_day_of_rows_is_purged_in_time(tmp_path: Path) -> None:
    """A hundred thousand rows take seconds, not minutes."""
    header = ",".join(COLUMNS) + "\n"
    lines = "".join(row_line(make_row(number, "hall", number, NOW_S + number)) for number in range(1, 1001))
    folder = tmp_path / "live"
    OutputFolder(folder).close()
    for segment in range(1, 11):
        (folder / f"traj-20260501T100000Z-bb-{segment:04}.csv").write_text(header + lines * 10)
    began = time.monotonic()
    assert purge_person(RunFolder(folder), 7, delete_shared=False).rows == 100
    assert time.monotonic() - began < 60
