"""After a purge, a person is in no file that the project wrote, however damaged; what is not reached is named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.files.results_csv import COLUMNS, read_trajectories
from pipeline.files.run_folder import SECOND_RUN_NAMES
from pipeline.files.tracklet_file import read_tracklets
from pipeline.live.output.gallery_file import GALLERY_NAME, load_gallery
from pipeline.live.output.segments import row_line
from pipeline.live.sinks.json_lines import JsonLines
from pipeline.live.sinks.json_sink import JsonSink
from pipeline.privacy.export_person import export_person
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from tests.helpers.live.examples import NOW_S, make_row
from tests.pipeline.files.test_readable_rows import DAMAGES
from tests.pipeline.privacy.test_privacy import (  # noqa: F401 - the folders are fixtures
    ids_left,
    live_folder,
    recorded_folder,
    run,
)

FIRST = "traj-20260430T100000Z-aa-0001.csv"


def damage_line(path: Path, damage: bytes, before: int = 2) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:before], damage, *lines[before:]]))


def test_the_camera_means_go_with_the_person(live_folder: Path) -> None:  # noqa: F811
    """When nobody else was seen, the mean is the person."""
    before = load_gallery(live_folder, "model")
    assert before is not None
    assert before.centres.mean.any()
    purge_person(RunFolder(live_folder), 2, delete_shared=False)
    after = load_gallery(live_folder, "model")
    assert after is not None
    assert not after.centres.mean.any()
    assert not after.centres.tracks.any()
    assert len(after) == 2


def test_the_camera_means_go_also_if_the_person_is_forgotten_already(live_folder: Path) -> None:  # noqa: F811
    (live_folder / "traj-20260501T110000Z-cc-0001.csv").write_text(
        ",".join(COLUMNS) + "\n" + row_line(make_row(9, "hall", 9, NOW_S + 9))
    )
    assert purge_person(RunFolder(live_folder), 9, delete_shared=False).identities == 0
    after = load_gallery(live_folder, "model")
    assert after is not None
    assert not after.centres.mean.any()
    assert len(after) == 3


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_is_deleted_and_hinders_nothing(
    live_folder: Path,  # noqa: F811
    tmp_path: Path,
    damage: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage_line(live_folder / FIRST, DAMAGES[damage])
    assert len(export_person(RunFolder(live_folder), 1, tmp_path / "export")["rows"]) == 2
    assert run("person", "purge", str(live_folder), "--id", "2") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 rows, 1 known identities" in said
    assert "1 damaged lines, of which it is not known whose they are, were deleted" in said
    assert ids_left(live_folder) == [1, 3, 1]
    assert [linked.link.global_id for linked in read_trajectories(live_folder / FIRST)] == [1, 3]


@pytest.mark.parametrize(
    "damage", [b"\0\0\0\n", b'{"global_id": 2,\n', b"\xff\xfe\n", b"[1, 2]\n", b"[" * 100_000 + b"\n"]
)
def test_a_line_that_is_no_message(live_folder: Path, damage: bytes) -> None:  # noqa: F811
    path = live_folder / "rows.jsonl"
    damage_line(path, damage)
    purged = purge_person(RunFolder(live_folder), 2, delete_shared=False)
    assert (purged.rows, purged.messages, purged.damaged) == (2, 3, 1)
    assert [json.loads(line)["global_id"] for line in path.read_text().splitlines()] == [1, 3, 1]


@pytest.mark.parametrize("value", [[2], {"a": 2}, None, 1e999, "2", 10**400])
def test_a_message_with_odd_values(live_folder: Path, value: object) -> None:  # noqa: F811
    path = live_folder / "rows.jsonl"
    line = json.dumps({"global_id": value, "run_id": value, "time_s": value, "kind": "row"})
    damage_line(path, f"{line}\n".encode())
    assert purge_person(RunFolder(live_folder), 2, delete_shared=False).messages == 3
    assert len(path.read_text().splitlines()) == 4
    assert run("person", "purge", str(live_folder), "--before", "2026-05-01") == 0


def test_a_text_of_the_user_is_left_and_named(
    live_folder: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    (live_folder / "notes.jsonl.txt").write_text("my notes\nabout the sink\n")
    (live_folder / "traj-notes-2026.csv").write_text("my notes\nabout the rows\n")
    assert run("person", "purge", str(live_folder), "--id", "2") == 0
    said = capsys.readouterr().out
    assert "notes.jsonl.txt" in said.partition("not reached")[2]
    assert "traj-notes-2026.csv" in said.partition("not reached")[2]
    assert (live_folder / "notes.jsonl.txt").read_text().startswith("my notes")
    assert (live_folder / "traj-notes-2026.csv").read_text().startswith("my notes")


def test_other_columns_stop_the_purge_before_anything_is_deleted(live_folder: Path) -> None:  # noqa: F811
    path = live_folder / FIRST
    path.write_text(path.read_text().replace("global_id", "person", 1).replace("world_y_m", "world_y_m,speed", 1))
    before = {each: each.read_bytes() for each in live_folder.iterdir() if each.name != "run.lock"}
    with pytest.raises(InputError, match="not those of a run"):
        purge_person(RunFolder(live_folder), 2, delete_shared=False)
    assert {each: each.read_bytes() for each in live_folder.iterdir() if each.name != "run.lock"} == before


def test_an_id_that_nobody_has_changes_nothing_whatever_is_damaged(live_folder: Path) -> None:  # noqa: F811
    damage_line(live_folder / FIRST, b"\0\n")
    damage_line(live_folder / "rows.jsonl", b"\0\n")
    (live_folder / "run.lock").unlink()
    before = {each: each.read_bytes() for each in live_folder.iterdir()}
    with pytest.raises(InputError, match=r"nobody in .* has the id 70"):
        purge_person(RunFolder(live_folder), 70, delete_shared=False)
    assert {each: each.read_bytes() for each in live_folder.iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"no archive", bytes(900)])
def test_a_damaged_gallery_is_emptied_and_keeps_the_counter(live_folder: Path, content: bytes) -> None:  # noqa: F811
    (live_folder / GALLERY_NAME).write_bytes(content + b'{"next_id": 77}')
    purged = purge_person(RunFolder(live_folder), 2, delete_shared=False)
    assert "gallery.npz (damaged)" in purged.files
    after = load_gallery(live_folder, "model")
    assert after is not None
    assert (len(after), after.next_id) == (0, 77)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("lost", [True, False], ids=["lost", "zeroed"])
def test_damaged_tracklets_keep_nobody_who_is_to_go(recorded_folder: Path, share: float, lost: bool) -> None:  # noqa: F811
    path = recorded_folder / "tracklets.arrow"
    whole = path.read_bytes()
    at = int(len(whole) * share)
    path.write_bytes(whole[:at] + (b"" if lost else bytes(16)) + whole[at + 16 :])
    purge_person(RunFolder(recorded_folder), 1, delete_shared=False)
    assert not path.exists() or {tracklet.key for tracklet in read_tracklets(path)} <= {("hall", 2)}
    assert ids_left(recorded_folder) == [2]


def test_the_embeddings_of_a_track_whose_rows_cannot_be_read_go(recorded_folder: Path) -> None:  # noqa: F811
    path = recorded_folder / "trajectories.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + b"\0\0\n" + lines[3])
    purged = purge_person(RunFolder(recorded_folder), 1, delete_shared=False)
    assert (purged.rows, purged.tracklets, purged.damaged) == (1, 2, 1)


def test_a_moved_folder_with_a_sink_file_of_any_name(
    live_folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The manifest names the old place."""
    for name in ("rows.txt", "rows.txt.1"):
        sink = JsonSink("json_lines", JsonLines(live_folder / name), "20260501T100000Z-bb")
        sink.write([make_row(2), make_row(1)])
        sink.close()
    gone = ["/nowhere/rows.txt", "/nowhere/other.txt"]
    manifest = live_folder / "manifest-20260501T100000Z-bb.json"
    manifest.write_text(json.dumps({"so_far": {"sink_files": gone}}))
    (live_folder / "manifest-20260502T100000Z-cc.json").write_bytes(b"\xff")
    moved = tmp_path / "moved"
    live_folder.rename(moved)
    assert run("person", "purge", str(moved), "--id", "2") == 0
    for name in ("rows.txt", "rows.txt.1"):
        assert [json.loads(line)["global_id"] for line in (moved / name).read_text().splitlines()] == [1]
    said = capsys.readouterr().out.partition("not reached")[2]
    assert "/nowhere/other.txt (no longer there)" in said
    assert "rows.txt (no longer there)" not in said
    assert "sinks that only manifest-20260502T100000Z-cc.json names, which is damaged" in said


@pytest.mark.parametrize("name_of_second", SECOND_RUN_NAMES)
def test_pictures_and_the_second_run_of_the_demo(
    recorded_folder: Path,  # noqa: F811
    name_of_second: str,
) -> None:
    second = recorded_folder / name_of_second
    second.mkdir()
    for name in ("trajectories.csv", "tracklets.arrow"):
        (second / name).write_bytes((recorded_folder / name).read_bytes())
    (recorded_folder / "still.png").write_bytes(b"a picture")
    with pytest.raises(
        InputError, match=r"(still\.png, without_site|floor_alone, still\.png) .* give --delete-shared"
    ):
        purge_person(RunFolder(recorded_folder), 1, delete_shared=False)
    assert run("person", "purge", str(recorded_folder), "--id", "1", "--delete-shared") == 0
    assert not second.exists()
    assert not (recorded_folder / "still.png").exists()


def test_what_cannot_be_reached_is_named(
    recorded_folder: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = recorded_folder / "strict"
    other.mkdir()
    (other / "trajectories.csv").write_bytes((recorded_folder / "trajectories.csv").read_bytes())
    (recorded_folder / "export").mkdir()
    (recorded_folder / "export" / "person-1.json").write_text("{}")
    note = {"state": "complete", "epoch_utc": None, "config": {"embedder": {"site": "hall.site.safetensors"}}}
    (recorded_folder / "run.json").write_text(json.dumps(note))
    assert run("person", "purge", str(recorded_folder), "--id", "1") == 0
    said = capsys.readouterr().out.partition("not reached")[2]
    assert f"the results in {other}" in said
    assert "export/person-1.json" in said
    assert "the camera means in hall.site.safetensors" in said
    assert (other / "trajectories.csv").read_text().count("\n") == 4


def test_another_text_beside_the_mot_files_stays(recorded_folder: Path) -> None:  # noqa: F811
    (recorded_folder / "mot" / "notes.txt").write_text("mine\n")
    purge_person(RunFolder(recorded_folder), 1, delete_shared=False)
    assert (recorded_folder / "mot" / "notes.txt").read_text() == "mine\n"
    assert np.genfromtxt(recorded_folder / "mot" / "hall.txt", delimiter=",")[1] == 2


def test_a_file_that_cannot_be_deleted_is_named(
    recorded_folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (recorded_folder / "trajectories.mp4").write_bytes(b"moving pictures")
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".mp4":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    assert run("person", "purge", str(recorded_folder), "--id", "1", "--delete-shared") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "trajectories.mp4 cannot be read or deleted: Permission denied" in said
    assert "run the purge again" in said
    monkeypatch.undo()
    assert run("person", "purge", str(recorded_folder), "--id", "1", "--delete-shared") == 0
    assert ids_left(recorded_folder) == [2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize(
    "names",
    [
        ("remap.csv.damaged", "notes.jsonl", "traj-20260430T100000Z-aa-0009.csv", "manifest-x.json"),
        (GALLERY_NAME,),
    ],
)
def test_named_pipes_are_not_waited_for(
    live_folder: Path,  # noqa: F811
    tmp_path: Path,
    names: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = tmp_path / "person.json"
    for name in names:
        (live_folder / name).unlink(missing_ok=True)
        os.mkfifo(live_folder / name)
    export_person(RunFolder(live_folder), 2, output)
    said = f"{GALLERY_NAME} is damaged ([Errno 22] it is no regular file"
    assert (said in caplog.text and "embeddings are not exported" in caplog.text) is (GALLERY_NAME in names)
    purge_person(RunFolder(live_folder), 2, delete_shared=False)
    assert 2 not in ids_left(live_folder)
    assert load_gallery(live_folder, "model") is not None
