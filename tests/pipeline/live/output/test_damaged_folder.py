"""Nothing in the output folder, however damaged, keeps `mtmc live` from starting, and no id is used twice."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.output_settings import RetentionSettings
from pipeline.files.results_csv import COLUMNS, read_trajectories
from pipeline.live.output.gallery_file import GALLERY_NAME, load_gallery, save_gallery
from pipeline.live.output.killed_runs import finish_killed_runs
from pipeline.live.output.manifest import recorded
from pipeline.live.output.retention import Retention
from pipeline.live.output.segments import REMAP_COLUMNS, remap_line, row_line, segments
from tests.helpers.live.fakes import FakeStream, steady
from tests.helpers.live.rows import START_S, correction, row
from tests.helpers.live.simulated_run import live_run
from tests.helpers.live.waiting import eventually
from tests.pipeline.files.test_readable_rows import DAMAGES
from tests.pipeline.live.output.test_gallery_file import gallery

RUN = "20270115T080000Z-0a1b"
HEADER = (",".join(COLUMNS) + "\n").encode()


def segment(folder: Path, content: bytes, number: int = 1, suffix: str = ".csv") -> Path:
    path = folder / f"traj-{RUN}-{number:04}{suffix}"
    path.write_bytes(content)
    return path


def lines(*ids: int) -> bytes:
    return "".join(row_line(row(index, global_id=one)) for index, one in enumerate(ids)).encode()


def start(folder: Path) -> int:
    """Do with the folder what a run does at its start; return the first free id."""
    finish_killed_runs(folder)
    loaded = load_gallery(folder, "model")
    settings = RetentionSettings(max_age_days=30.0, max_bytes=None, check_interval_s=60.0)
    retention = Retention(folder, "new", settings, time.time)
    retention.prune_remaps()
    retention.enforce()
    recorded(folder)
    assert loaded is not None
    return loaded.next_id


@pytest.mark.parametrize("suffix", [".csv", ".csv.part"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_of_the_newest_segment(tmp_path: Path, damage: str, suffix: str) -> None:
    path = segment(tmp_path, HEADER + lines(7) + DAMAGES[damage] + lines(3), suffix=suffix)
    # The lost row may have had any of the ids that were reserved.
    assert start(tmp_path) == 7 + 10_000 + 1
    assert path.with_name(f"{path.name}.damaged").exists()
    (repaired,) = segments(tmp_path)
    assert repaired.name == f"traj-{RUN}-0001.csv"
    assert [linked.link.global_id for linked in read_trajectories(repaired)] == [7, 3]
    save_gallery(tmp_path / GALLERY_NAME, replace(gallery(), next_id=20_000), "model", closing=True)
    assert start(tmp_path) == 20_000


def test_ids_go_on_if_nothing_can_be_read_any_more(tmp_path: Path) -> None:
    """Also without the file of identities: the rows that are set aside had ids."""
    segment(tmp_path, b"\0" * 100 + b"\n", suffix=".csv.part")
    assert start(tmp_path) == 10_000 + 1


def test_the_gallery_has_a_counter_of_its_own(tmp_path: Path) -> None:
    """Both the newest rows and the end of the gallery are damaged."""
    save_gallery(tmp_path / GALLERY_NAME, gallery(), "model", closing=True)
    data = (tmp_path / GALLERY_NAME).read_bytes()
    (tmp_path / GALLERY_NAME).write_bytes(data.replace(b'"next_id": 8', b'"next_id": 90000')[:-40])
    segment(tmp_path, HEADER + bytes(100) + b"\n" + lines(2))
    assert start(tmp_path) == 90_000
    assert (tmp_path / "gallery.damaged").exists()


@pytest.mark.parametrize("name", ["traj-notes.csv", "traj-2027-notes.csv", "traj-notes-2027.csv"])
def test_files_of_the_user_are_left_alone(tmp_path: Path, name: str) -> None:
    segment(tmp_path, HEADER + lines(4))
    for text in ("camera,remark\na,dirty lens\n", "one word", ""):
        (tmp_path / name).write_text(text)
        first_free = start(tmp_path)
        assert first_free in (5, 10_005)
        assert (tmp_path / name).read_text() == text


def broken_gallery(change: Callable[[dict[str, np.ndarray]], None]) -> Callable[[Path], None]:
    """A gallery whose checksums are right, but whose content is not."""

    def make(path: Path) -> None:
        save_gallery(path, gallery(), "model", closing=True)
        with np.load(path) as file:
            arrays = dict(file)
        change(arrays)
        with path.open("wb") as file_of_arrays:
            np.savez(file_of_arrays, **arrays)  # type: ignore[arg-type]

    return make


def head(**values: object) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        content = json.loads(arrays["head"].tobytes()) | values
        arrays["head"] = np.frombuffer(json.dumps(content).encode(), np.uint8)

    return change


def changed(name: str, values: object) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda arrays: arrays.update({name: np.array(values)})


GALLERIES: dict[str, Callable[[Path], None]] = {
    "folder": Path.mkdir,
    "empty": Path.touch,
    "other content": lambda path: path.write_text("no archive") and None,
    "head is a list": broken_gallery(changed("head", np.frombuffer(b"[1, 2]", np.uint8))),
    "head is nested deeply": broken_gallery(changed("head", np.frombuffer(b"[" * 100_000, np.uint8))),
    "negative counter": broken_gallery(head(next_id=-4)),
    "counter below the ids": broken_gallery(head(next_id=2)),
    "huge counter": broken_gallery(head(next_id=1 << 80)),
    "cameras are a number": broken_gallery(head(camera_ids=7)),
    "one camera twice": broken_gallery(head(camera_ids=["a", "a"])),
    "one camera too few": broken_gallery(head(camera_ids=["a"])),
    "an id twice": broken_gallery(changed("global_id", [1, 1, 2])),
    "too few people": broken_gallery(changed("last_seen_s", [[1.0, 2.0]])),
    "a feature of no camera": broken_gallery(changed("feature_camera", np.full((3, 4), 9))),
    "a feature that is no number": broken_gallery(changed("features", np.full((3, 4, 8), np.nan))),
    "flat means": broken_gallery(changed("camera_mean", [1.0, 2.0])),
    "text": broken_gallery(changed("last_floor_s", ["a", "b", "c"])),
}


@pytest.mark.parametrize("damage", GALLERIES)
def test_a_gallery_that_no_run_writes(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    GALLERIES[damage](tmp_path / GALLERY_NAME)
    segment(tmp_path, HEADER + lines(4, 2))
    assert start(tmp_path) in (5, gallery().next_id)
    assert (tmp_path / "gallery.damaged").exists()
    assert "nobody is recognised" in caplog.text


def test_every_changed_byte_of_a_gallery_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / GALLERY_NAME
    save_gallery(path, gallery(), "model", closing=True)
    whole = path.read_bytes()
    before = load_gallery(tmp_path, "model")
    assert before is not None
    rng = random.Random(0)
    for _ in range(150):
        data = bytearray(whole)
        at = rng.randrange(len(data))
        data[at : at + rng.choice((1, 4, 64))] = bytes(rng.choice((1, 4, 64)))
        path.write_bytes(data)
        loaded = load_gallery(tmp_path, "model")
        if loaded is None or not len(loaded):
            continue
        np.testing.assert_array_equal(loaded.features, before.features)
        np.testing.assert_array_equal(loaded.last_seen_s, before.last_seen_s)
        assert loaded.next_id == before.next_id


REMAP = (",".join(REMAP_COLUMNS) + "\n").encode()
REMAP_LINE = remap_line(correction(), RUN).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\n",
        bytes(300),
        REMAP + b"\0\0\n" + REMAP_LINE,
        REMAP + REMAP_LINE.replace(b"Z,", b","),
        REMAP + REMAP_LINE.replace(b"2027", b"9999"),
        REMAP + REMAP_LINE.replace(b"0.800", b"\xe9"),
        REMAP.replace(b"utc", b"date") + REMAP_LINE,
        b",\n" * 3,
        None,
    ],
)
def test_a_damaged_file_of_corrections(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "remap.csv").mkdir()
    else:
        (tmp_path / "remap.csv").write_bytes(content)
    segment(tmp_path, HEADER + lines(4))
    segment(tmp_path, HEADER + row_line(row(1, global_id=6, final=False)).encode(), 2, ".csv.part")
    assert start(tmp_path) == 7
    text = (tmp_path / "remap.csv").read_text().splitlines()
    assert text[0] == ",".join(REMAP_COLUMNS)
    assert text[-1].split(",")[4:6] == ["6", "4"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"\xff", b'{"so_far": 3}', b'{"so_far": {"run_ids": 5}}', b"[" * 100_000, None],
)
def test_a_damaged_manifest(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / f"manifest-{RUN}.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    segment(tmp_path, HEADER + lines(4))
    assert start(tmp_path) == 5
    assert recorded(tmp_path).run_ids == (RUN,)
    if content is None or b"run_ids" not in content:
        assert recorded(tmp_path).damaged == (path.name,)


@pytest.mark.parametrize("time", ["1e300", "-5", "nan", "inf", "x"])
def test_retention_with_damaged_times(tmp_path: Path, time: str) -> None:
    damaged = lines(1).replace(b"1800000000.000", time.encode())
    path = segment(tmp_path, HEADER + damaged)
    (tmp_path / "remap.csv").write_bytes(REMAP + REMAP_LINE)
    os.utime(path, (START_S, START_S))
    settings = RetentionSettings(max_age_days=1.0, max_bytes=None, check_interval_s=60.0)
    retention = Retention(tmp_path, "new", settings, lambda: START_S + 86_400.0)
    retention.enforce()
    retention.prune_remaps()
    assert path.exists()


def test_a_run_starts_in_a_folder_in_which_everything_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir(mode=0o700)
    (folder / "run.lock").mkdir()
    (folder / GALLERY_NAME).mkdir()
    (folder / "remap.csv").write_bytes(bytes(100))
    (folder / f"manifest-{RUN}.json").write_bytes(b"\xff")
    (folder / "rewriting").write_text("no folder")
    (folder / "gallery.npz.part").mkdir()
    (folder / f"traj-{RUN}-0003.csv").mkdir()
    (folder / "traj-notes.csv").write_text("mine\n")
    segment(folder, HEADER + lines(7) + bytes(50) + b"\n")
    segment(folder, bytes(500), 2, ".csv.part")
    with live_run(tmp_path, {"a": lambda: FakeStream(steady(20))}) as run:
        eventually(lambda: run.status().rows_written >= 5, 15)
    own = [path for path in segments(folder) if run.run_id in path.name]
    ids = [linked.link.global_id for path in own for linked in read_trajectories(path)]
    assert min(ids) > 10_000
    assert (folder / "traj-notes.csv").read_text() == "mine\n"


PIPES = [
    GALLERY_NAME,
    "gallery.damaged",
    "gallery.npz.part",
    "remap.csv",
    "remap.csv.damaged",
    "rewriting",
    "run.json",
    "trajectories.csv",
    f"manifest-{RUN}.json",
    f"traj-{RUN}-0001.csv",
    f"traj-{RUN}-0002.csv.part",
    f"traj-{RUN}-0003.csv.damaged",
]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_run_starts_in_a_folder_of_named_pipes(tmp_path: Path) -> None:
    """Opened as files, each would be waited for."""
    folder = tmp_path / "out"
    folder.mkdir(mode=0o700)
    for name in PIPES:
        os.mkfifo(folder / name)
    with live_run(tmp_path, {"a": lambda: FakeStream(steady(20))}) as run:
        eventually(lambda: run.status().rows_written >= 5, 15)
    assert [path for path in segments(folder) if run.run_id in path.name]
    assert (folder / GALLERY_NAME).is_file()
    assert recorded(folder).damaged == (f"manifest-{RUN}.json",)
