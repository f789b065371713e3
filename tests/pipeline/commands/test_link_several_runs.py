"""`mtmc link A B --output C`: what one run of all cameras would have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from pipeline.files.run_folder import MERGING_NAME, delete_leftovers
from pipeline.files.tracklet_file import IntactBatches, TrackletWriter, read_info
from tests.helpers.factories import make_tracklet
from tests.helpers.media import grey_picture, write_video
from tests.pipeline.commands.test_cli import BLIND, exit_code, rows_of, write_boxes

FRAMES = 24
NEAR = [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings of three cameras with one track each; the floor positions of a and b are those of one person."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        write_video(tmp_path / f"{name}.mp4", [grey_picture(i % 8, (160, 120)) for i in range(FRAMES)])
        write_boxes(tmp_path / f"{name}.txt", frames=FRAMES)
    return tmp_path


def track(output: str, *names: str, dates: dict[str, str] | None = None, settings: tuple[str, ...] = ()) -> int:
    """Track some of the cameras with a homography each."""
    cameras: list[dict[str, Any]] = [{"name": name, "source": f"{name}.mp4"} for name in names]
    for camera in cameras:
        camera["homography"] = NEAR if camera["name"] != "c" else [[0.01, 0, 50], [0, 0.01, 0], [0, 0, 1]]
        if dates:
            camera["start_utc"] = dates[camera["name"]]
    path = Path(f"{output}.yaml")
    path.write_text(yaml.safe_dump({"cameras": cameras}))
    boxes = [argument for name in names for argument in ("-d", f"{name}={name}.txt")]
    changed = [argument for setting in settings for argument in ("--set", setting)]
    return exit_code("track", "--config", str(path), *boxes, *BLIND, *changed, "-o", output)


def note_of(folder: str) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((Path(folder) / "run.json").read_text())
    return note


@pytest.mark.parametrize("parts", [("a", "b", "c"), ("ab", "c"), ("a", "bc")])
def test_the_parts_of_a_site_become_what_one_run_writes(
    recordings: Path, parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for part in parts:
        assert track(part, *part) == 0
    assert track("all", *"abc") == 0
    capsys.readouterr()
    assert exit_code("link", *parts, "-o", "site") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 tracks of 3 cameras are 1 person and 1 fragment; 72 rows" in said
    assert "all are taken to begin at the same moment" in said
    assert f"decisions.jsonl of {len(parts)} runs" in said
    for name in ("trajectories.csv", "mot/a.txt", "mot/b.txt", "mot/c.txt"):
        assert Path("site", name).read_bytes() == Path("all", name).read_bytes()
    site, one = note_of("site"), note_of("all")
    for key in ("state", "cameras", "classes", "global_ids", "rows", "hashes", "epoch_utc"):
        if key != "hashes":  # those of saved detections
            assert site[key] == one[key]
    assert site["config"]["cameras"] == one["config"]["cameras"]
    assert [part["cameras"] for part in site["linked_from"]] == [list(part) for part in parts]
    assert not Path("site", MERGING_NAME).exists()
    # It is a run like others.
    assert exit_code("link", "site", "-o", "again") == 0
    assert Path("again/trajectories.csv").read_bytes() == Path("all/trajectories.csv").read_bytes()


def test_times_count_from_the_earliest_recording(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """b began 2.5 s before a: rows of a, in a run of its own from 0 s on, are 2.5 s later in the common run."""
    dates = {"a": "2026-05-01T10:00:02.500Z", "b": "2026-05-01T10:00:00Z", "c": "2026-05-01T10:00:00.250Z"}
    for name in "abc":
        assert track(name, name, dates=dates) == 0
    assert track("all", *"abc", dates=dates) == 0
    capsys.readouterr()
    assert exit_code("link", "a", "b", "c", "-o", "site") == 0
    assert "the same moment" not in capsys.readouterr().out
    assert Path("site/trajectories.csv").read_bytes() == Path("all/trajectories.csv").read_bytes()
    assert (
        min(float(row["time_s"]) for row in rows_of(Path("site/trajectories.csv")) if row["camera_id"] == "a")
        == 2.5
    )
    assert [part["offset_s"] for part in note_of("site")["linked_from"]] == [2.5, 0.0, 0.25]
    assert note_of("site")["epoch_utc"] == "2026-05-01T10:00:00+00:00"


def _dated(folder: Path) -> None:
    _change(folder, epoch_utc="2026-05-01T10:00:00+00:00")


def _change(folder: Path, **changes: object) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _other_embedder(folder: Path) -> None:
    path = folder / "tracklets.arrow"
    info = read_info(path)
    with TrackletWriter(path, type(info)(info.camera_ids, info.class_names, "abc123")):
        pass


def _other_detector(folder: Path) -> None:
    for each in (Path("a"), folder):
        _change(each, computed_by={"detector": {}}, hashes={"detector": str(each)})


def _other_tracker(folder: Path) -> None:
    content = json.loads((folder / "run.json").read_text())
    content["config"]["tracker"]["max_lost_s"] = 9.0
    _change(folder, config=content["config"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(_other_embedder, ["the embedding model of a is none, that of b abc123"], id="embedder"),
        pytest.param(_other_detector, ["the detector of a is a, that of b b"], id="detector"),
        pytest.param(_other_tracker, ["tracker.max_lost_s is 2.0 in a, but 9.0 in b"], id="settings"),
        pytest.param(_dated, ["the recordings of a have no date, but those of b do", "start_utc"], id="date"),
        pytest.param(
            lambda b: _change(b, state="running"), ["b is half-written", "mtmc link b"], id="half-written"
        ),
        pytest.param(lambda b: (b / "run.json").unlink(), ["b/run.json is missing"], id="no run.json"),
        pytest.param(lambda b: (b / "tracklets.arrow").unlink(), ["b holds no results"], id="no tracklets"),
    ],
)
def test_runs_that_do_not_fit_together_are_refused(
    recordings: Path, change: Callable[[Path], object], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert track("a", "a") == 0
    assert track("b", "b") == 0
    change(Path("b"))
    assert exit_code("link", "a", "b", "-o", "site") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert all(word in error for word in words), error
    assert not Path("site").exists()


def test_a_camera_in_two_runs_and_a_missing_output_are_refused(
    recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track("a", "a") == 0
    assert track("ab", "a", "b") == 0
    assert exit_code("link", "a", "ab", "-o", "site") == 2
    assert "camera 'a' is in a and in ab" in " ".join(capsys.readouterr().err.split())
    assert exit_code("link", "a", "a", "-o", "a") == 2
    assert "a is one of the runs" in capsys.readouterr().err
    assert exit_code("link", "a", "ab") == 2
    assert "name its folder with --output" in capsys.readouterr().err


def test_other_linker_settings_fit_together_if_both_are_replaced(
    recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track("a", "a") == 0
    assert track("b", "b", settings=("linker.max_floor_distance_m=1.0",)) == 0
    assert exit_code("link", "a", "b", "-o", "site") == 2
    assert "linker.max_floor_distance_m is 1.5 in a, but 1.0 in b: give --config" in capsys.readouterr().err
    assert exit_code("link", "a", "b", "--config", "a.yaml", *BLIND, "-o", "site") == 0
    assert len(rows_of(Path("site/trajectories.csv"))) == 2 * FRAMES


def test_a_run_that_was_interrupted_is_linked_and_it_is_said(
    recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track("a", "a") == 0
    assert track("b", "b") == 0
    _change(Path("b"), state="interrupted")
    _other = read_info(Path("b/tracklets.arrow"))
    with TrackletWriter(Path("b/tracklets.arrow"), _other):
        pass
    assert exit_code("link", "a", "b", "-o", "site") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "b ended as interrupted" in said
    assert "1 of 2 tracks are not in the tracklets.arrow of the runs" in said
    assert note_of("site")["state"] == "incomplete"
    assert (
        len({row["global_id"] for row in rows_of(Path("site/trajectories.csv"))}) == 1
    )  # one person on the floor


def test_embeddings_stay_the_same_bytes(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    path, copy = tmp_path / "a.arrow", tmp_path / "b.arrow"
    with TrackletWriter(path, read := _info()) as writer:
        writer.write(make_tracklet("a", 1, 0, 5, vectors))
    with TrackletWriter(copy, read) as writer:
        for _, rows in IntactBatches(path).with_rows():
            for row in rows:
                writer.write_row(row)
    first, second = (pa.Table.from_batches(list(IntactBatches(each))) for each in (path, copy))
    assert first.equals(second)


def _info() -> Any:
    from pipeline.files.tracklet_file import TrackletFileInfo

    return TrackletFileInfo(("a",), {0: "person"}, "hash")


def test_what_a_killed_link_leaves_is_deleted_with_the_rest(tmp_path: Path) -> None:
    (tmp_path / MERGING_NAME).mkdir()
    (tmp_path / MERGING_NAME / "tracklets.arrow").write_bytes(b"embeddings")
    delete_leftovers(tmp_path)
    assert not (tmp_path / MERGING_NAME).exists()
