from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipeline.association.associator import DetectedFrame
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import RunError
from pipeline.core.fake_models import FakeDetector
from pipeline.files.results_csv import read_trajectories
from pipeline.files.tracklet_file import read_tracklets
from pipeline.sources.base import BrokenSource, FrameSource
from tests.helpers.factories import COSINE_LIMIT
from tests.helpers.simulated_run import (
    ONLINE,
    SimulatedRun,
    assert_unique,
    built_associators,
    csv_rows,
    person_of,
)

WORLD = SimulatedWorld(cameras=3, people=6)


class _Breaking(FrameSource):
    """Another source's frames up to `breaks_at`; then it cannot be read, or raises `error`."""

    def __init__(self, source: FrameSource, breaks_at: int, error: BaseException | None = None) -> None:
        super().__init__(
            source.camera_id,
            source.path,
            frame_count=source.frame_count,
            frame_rate=source.frame_rate,
            size_wh=source.size_wh,
        )
        self._source, self._breaks_at, self._error = source, breaks_at, error

    def _frames(self) -> Iterator[Frame]:
        for frame in self._source:
            if frame.frame_index == self._breaks_at:
                raise self._error or self._broken(frame.frame_index, "it was cut off")
            yield frame


def _people(folder: Path, world: SimulatedWorld = WORLD) -> dict[int, set[str]]:
    """Person -> global ids in all cameras."""
    ids = defaultdict(set)
    for row in csv_rows(folder):
        ids[person_of(world, row)].add(row["global_id"])
    return ids


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 s of the world, as `track` leaves it."""
    folder = tmp_path_factory.mktemp("run")
    SimulatedRun(WORLD, 600).into(folder)
    return folder


# -- the result ------------------------------------------------------------------------------------------------


def test_everybody_has_one_id_in_all_cameras_and_nobody_shares_it(run_folder: Path) -> None:
    people = _people(run_folder)
    # One enters every 5.5 s, so 11 begin in 60 s; the first ones walk through all three cameras.
    assert set(people) == set(range(1, 12))
    assert {person: len(ids) for person, ids in people.items()} == dict.fromkeys(people, 1)
    assert len({next(iter(ids)) for ids in people.values()}) == 11
    cameras = {row["camera_id"] for row in csv_rows(run_folder) if person_of(WORLD, row) == 1}
    assert cameras == {"cam1", "cam2", "cam3"}


def test_every_box_of_a_confirmed_track_is_a_row_just_once(run_folder: Path) -> None:
    rows = csv_rows(run_folder)
    assert_unique(rows)
    found = {(row["camera_id"], int(row["frame_index"]), person_of(WORLD, row)) for row in rows}
    present = {
        (camera_id, index, person)
        for camera_id in WORLD.camera_ids
        for index in range(600)
        for person, _ in WORLD.people_in(camera_id, index / 10)
    }
    # Only who entered in the last 0.25 s is not confirmed yet.
    assert found <= present
    assert {index for _, index, _ in present - found} <= {597, 598, 599}
    assert len(rows) == len(found)


def test_rows_are_in_order_of_time_camera_and_track(run_folder: Path) -> None:
    keys = [(float(r["time_s"]), r["camera_id"], int(r["track_id"])) for r in csv_rows(run_folder)]
    assert keys == sorted(keys)
    assert {row["link_state"] for row in csv_rows(run_folder)} == {"final"}
    assert all(0 <= float(row["link_confidence"]) <= 1 for row in csv_rows(run_folder))


def test_the_mot_files_hold_the_same_rows(run_folder: Path) -> None:
    for camera_id in WORLD.camera_ids:
        lines = [line.split(",") for line in (run_folder / "mot" / f"{camera_id}.txt").read_text().splitlines()]
        rows = [row for row in csv_rows(run_folder) if row["camera_id"] == camera_id]
        assert [(int(line[0]) - 1, line[1]) for line in lines] == [
            (int(row["frame_index"]), row["global_id"]) for row in rows
        ]


def test_the_note_says_what_was_run_and_how_it_ended(run_folder: Path) -> None:
    note = json.loads((run_folder / "run.json").read_text())
    assert note["state"] == "complete"
    assert note["versions"] == {"python": "3"}
    assert note["config"]["linker"]["max_cosine_distance"] == COSINE_LIMIT
    assert note["hashes"] == {"detector": "fake", "embedder": "fake"}
    assert note["global_ids"] == 11
    assert note["rows"] == len(csv_rows(run_folder))
    camera = note["cameras"]["cam1"]
    assert (camera["frames"], camera["tracks"], camera["problem"]) == (600, 11, None)
    assert set(note["stage_s"]) == {"decode", "detect", "embed", "link", "second pass", "track", "write"}
    assert sorted(path.name for path in run_folder.iterdir()) == [
        "decisions.jsonl",
        "mot",
        "run.json",
        "tracklets.arrow",
        "trajectories.csv",
    ]


def test_the_saved_tracklets_cover_the_rows(run_folder: Path) -> None:
    tracklets = {tracklet.key: tracklet for tracklet in read_tracklets(run_folder / "tracklets.arrow")}
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for linked in read_trajectories(run_folder / "trajectories.csv"):
        counts[linked.row.camera_id, linked.row.track_id] += 1
    assert {key: tracklet.observations for key, tracklet in tracklets.items()} == dict(counts)


def test_a_second_run_gives_the_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    # Other buffers, so that the threads meet at other moments.
    SimulatedRun(WORLD, 600, settings={"runtime": {"prefetch_frames": 7, "prefetch_ticks": 1}}).into(tmp_path)
    for name in ("trajectories.csv", "mot/cam2.txt", "tracklets.arrow", "decisions.jsonl"):
        assert (tmp_path / name).read_bytes() == (run_folder / name).read_bytes()


def test_few_crops_are_embedded(run_folder: Path) -> None:
    note = json.loads((run_folder / "run.json").read_text())
    boxes = sum(camera["boxes"] for camera in note["cameras"].values())
    # At most one a second for each person where nobody overlaps, and people do cross.
    assert note["embedded_crops"] < 0.3 * boxes


# -- other worlds ----------------------------------------------------------------------------------------------


def test_without_the_second_pass_the_online_ids_stay(tmp_path: Path) -> None:
    summary = SimulatedRun(WORLD, 300, settings=ONLINE).into(tmp_path)
    rows = csv_rows(tmp_path)
    assert_unique(rows)
    assert {row["link_state"] for row in rows} == {"provisional"}
    people = {person_of(WORLD, row) for row in rows}
    assert summary.global_ids == len(people)
    last = {(row["camera_id"], row["track_id"]): (person_of(WORLD, row), row["global_id"]) for row in rows}
    assert len(set(last.values())) == len(people)


def test_crowded_worlds_keep_online_and_final_ids_unique(tmp_path: Path) -> None:
    world = dataclasses.replace(WORLD, people=30, embedding_noise=1.0)
    SimulatedRun(world, 200, settings=ONLINE).into(tmp_path / "online")
    SimulatedRun(world, 200).into(tmp_path / "final")
    for name in ("online", "final"):
        rows = csv_rows(tmp_path / name)
        assert len(rows) > 1000
        assert_unique(rows)


def test_cameras_of_different_frame_rates(tmp_path: Path) -> None:
    slow = dataclasses.replace(WORLD, frame_rate=4.0)
    sources = [WORLD.sources(450)[0], slow.sources(180)[1], WORLD.sources(450)[2]]
    summary = SimulatedRun(WORLD, sources=sources).into(tmp_path)
    assert [counts.frames for counts in summary.cameras.values()] == [450, 180, 450]
    keys = [(float(row["time_s"]), row["camera_id"]) for row in csv_rows(tmp_path)]
    assert keys == sorted(keys)
    assert {person: len(ids) for person, ids in _people(tmp_path).items()} == dict.fromkeys(range(1, 10), 1)


def test_nobody_at_all(tmp_path: Path) -> None:
    detector = FakeDetector(lambda frame: Detections.empty())
    summary = SimulatedRun(WORLD, 20, detector=detector).into(tmp_path)
    assert (summary.rows, summary.global_ids, summary.frames) == (0, 0, 60)
    assert csv_rows(tmp_path) == []
    assert [(tmp_path / "mot" / f"{name}.txt").read_text() for name in WORLD.camera_ids] == ["", "", ""]
    assert json.loads((tmp_path / "run.json").read_text())["state"] == "complete"


def test_recordings_without_frames(tmp_path: Path) -> None:
    assert SimulatedRun(WORLD, 0).into(tmp_path).frames == 0
    assert csv_rows(tmp_path) == []


def test_floor_positions_and_date_are_in_the_rows(tmp_path: Path) -> None:
    # 100 px are a metre; the cameras show stretches of floor 10 m apart.
    cameras = {
        name: {"homography": [[0.01, 0, 10 * n], [0, 0.01, 0], [0, 0, 1]]}
        for n, name in enumerate(WORLD.camera_ids)
    }
    epoch = datetime(2026, 5, 1, tzinfo=UTC)
    SimulatedRun(WORLD, 150, cameras=cameras, epoch_utc=epoch).into(tmp_path)
    for row in csv_rows(tmp_path):
        middle = (float(row["x1"]) + float(row["x2"])) / 2
        offset = 10 * WORLD.camera_ids.index(row["camera_id"])
        assert float(row["world_x_m"]) == pytest.approx(offset + middle / 100, abs=2e-3)
        assert float(row["world_y_m"]) == pytest.approx(float(row["y2"]) / 100, abs=2e-3)
        assert (datetime.fromisoformat(row["utc"]) - epoch).total_seconds() == pytest.approx(float(row["time_s"]))


def test_boxes_are_cut_off_at_the_border_and_outside_it_left_out(tmp_path: Path) -> None:
    def boxes(frame: Frame) -> Detections:
        # Walks out of the picture to the left, 5 px a frame.
        x = 100 - 5 * frame.frame_index
        xyxy = np.array([[x, 100, x + 40, 200]], np.float32)
        return Detections(xyxy, np.array([0.9], np.float32), np.zeros(1, np.int64))

    world = SimulatedWorld(cameras=1)
    SimulatedRun(world, 40, detector=FakeDetector(boxes), embedder=None).into(tmp_path)
    rows = csv_rows(tmp_path)
    assert [int(row["frame_index"]) for row in rows] == list(range(28))
    assert rows[-1]["x1"] == "0.00"
    assert float(rows[-1]["x2"]) == 5.0


def test_gaps_are_filled_if_wanted(tmp_path: Path) -> None:
    everybody = WORLD.detector()

    def blinking(frame: Frame) -> Detections:
        (found,) = everybody.detect([frame])
        return Detections.empty() if frame.frame_index % 10 in (7, 8) else found

    filling = {"output": {"interpolate": True, "interpolate_max_gap_s": 1.0}}
    SimulatedRun(WORLD, 200, detector=FakeDetector(blinking), settings=filling).into(tmp_path)
    rows = csv_rows(tmp_path)
    assert_unique(rows)
    filled = [row for row in rows if row["interpolated"] == "1"]
    assert {int(row["frame_index"]) % 10 for row in filled} == {7, 8}
    for row in filled:
        person_of(WORLD, row)


def test_every_box_is_embedded_for_saving_and_tracking_is_the_same(run_folder: Path, tmp_path: Path) -> None:
    ticks: list[Sequence[DetectedFrame]] = []
    saving_all = SimulatedRun(WORLD, 100, settings={"output": {"save_embeddings": True}})
    saving_all.into(tmp_path / "saving", save_tick=ticks.append)
    SimulatedRun(WORLD, 100).into(tmp_path / "plain")
    saved = [detections for tick in ticks for _, detections in tick]
    assert len(saved) == 300
    assert all(len(found) == 0 or (found.embedded is not None and found.embedded.all()) for found in saved)
    saving, plain = ((tmp_path / name / "trajectories.csv").read_bytes() for name in ("saving", "plain"))
    assert saving == plain


# -- what goes wrong -------------------------------------------------------------------------------------------


def _no_threads_are_left() -> bool:
    return not [t for t in threading.enumerate() if t.name.startswith(("decode-", "detect"))]


def test_a_camera_that_breaks_is_noted_and_the_others_go_on(tmp_path: Path) -> None:
    first, second, third = WORLD.sources(300)
    sources = [first, _Breaking(second, 150), third]
    summary = SimulatedRun(WORLD, sources=sources).into(tmp_path)
    assert [counts.frames for counts in summary.cameras.values()] == [300, 150, 300]
    assert summary.problems == ["camera cam2: simulated cam2, frame index 150: it was cut off"]
    note = json.loads((tmp_path / "run.json").read_text())
    assert note["state"] == "incomplete"
    assert "it was cut off" in note["cameras"]["cam2"]["problem"]
    frames = {int(row["frame_index"]) for row in csv_rows(tmp_path) if row["camera_id"] == "cam2"}
    assert max(frames) == 149
    assert {len(ids) for ids in _people(tmp_path).values()} == {1}
    assert _no_threads_are_left()


def test_tracks_of_a_camera_that_stopped_end_while_the_others_run(tmp_path: Path) -> None:
    first, second, _ = WORLD.sources(300)
    two = dataclasses.replace(WORLD, cameras=2)
    live = []
    with built_associators() as associators:
        SimulatedRun(two, sources=[_Breaking(first, 100), second]).into(
            tmp_path, on_frame=lambda camera_id: live.append(associators[0].live_tracks("cam1"))
        )
    assert live[198] > 0
    # Two seconds and the tick after that, at two frames a tick until 10 s and one from there on.
    assert set(live[225:]) == {0}


@pytest.mark.parametrize(
    ("error", "state", "raised"),
    [(KeyboardInterrupt(), "interrupted", RunError), (ValueError("a mistake"), "failed", ValueError)],
    ids=["interrupt", "mistake"],
)
def test_stopping_in_the_middle_keeps_the_rows(
    tmp_path: Path, error: BaseException, state: str, raised: type[Exception]
) -> None:
    done = 0

    def stop(camera_id: str) -> None:
        nonlocal done
        done += 1
        if done == 600:
            raise error

    with pytest.raises(raised) as caught:
        SimulatedRun(WORLD, 600).into(tmp_path, on_frame=stop)
    if raised is RunError:
        assert f"`mtmc link {tmp_path} --overwrite` gives final ones" in str(caught.value)
    rows = csv_rows(tmp_path)
    assert_unique(rows)
    assert {row["link_state"] for row in rows} == {"provisional"}
    # Also the rows that were held back for their ids, of all frames up to the last one.
    assert max(int(row["frame_index"]) for row in rows) == 199
    note = json.loads((tmp_path / "run.json").read_text())
    assert (note["state"], note["rows"]) == (state, len(rows))
    assert note["global_ids"] >= len({person_of(WORLD, row) for row in rows})
    keys = {tracklet.key for tracklet in read_tracklets(tmp_path / "tracklets.arrow")}
    assert keys == {(row["camera_id"], int(row["track_id"])) for row in rows}
    assert _no_threads_are_left()


def test_a_box_that_is_no_number_is_told_with_its_camera_and_frame(tmp_path: Path) -> None:
    def boxes(frame: Frame) -> Detections:
        left = np.nan if frame.frame_index == 30 else 100
        return Detections(
            np.array([[left, 100, 140, 200]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
        )

    wrong = SimulatedRun(SimulatedWorld(cameras=1), 40, detector=FakeDetector(boxes), embedder=None)
    with pytest.raises(ValueError, match=r"frame index 30 of camera cam1: Detections\.xyxy must be finite"):
        wrong.into(tmp_path)
    # The frames before it are kept.
    assert len(csv_rows(tmp_path)) == 30


def test_an_error_of_a_source_or_the_detector_is_raised_with_its_own_type(tmp_path: Path) -> None:
    first, second, third = WORLD.sources(50)
    broken = SimulatedRun(WORLD, sources=[first, _Breaking(second, 20, MemoryError("too large")), third])
    with pytest.raises(MemoryError, match="too large"):
        broken.into(tmp_path / "source")

    def wrong(frame: Frame) -> Detections:
        raise OSError("the model is gone")

    with pytest.raises(OSError, match="the model is gone"):
        SimulatedRun(WORLD, 50, detector=FakeDetector(wrong)).into(tmp_path / "detector")
    assert json.loads((tmp_path / "detector" / "run.json").read_text())["state"] == "failed"
    assert _no_threads_are_left()


def test_a_broken_source_says_where() -> None:
    error = BrokenSource("cam2", "x.mp4", 7, "gone")
    assert str(error) == "camera cam2: x.mp4, frame index 7: gone"


_LONG_RUN = """
import resource, signal, sys
from pathlib import Path
from pipeline.core.errors import RunError
from pipeline.benchmark.simulation import SimulatedWorld
from tests.helpers.simulated_run import SimulatedRun

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    SimulatedRun(SimulatedWorld(cameras=3, people=6), 1_000_000).into(folder)
except RunError as error:
    print(error)
"""


def _long_run(folder: Path, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _LONG_RUN, str(folder), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_run_leaves_whole_rows_and_tracklets(tmp_path: Path) -> None:
    process = _long_run(tmp_path)
    path = tmp_path / "trajectories.csv"
    try:
        deadline_s = time.monotonic() + 60
        while not path.exists() or path.stat().st_size < 60_000:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    assert path.read_bytes().endswith(b"\n")
    rows = csv_rows(tmp_path)
    assert len(rows) >= 500
    assert_unique(rows)
    assert len(list(read_trajectories(path))) == len(rows)
    for name in WORLD.camera_ids:
        assert (tmp_path / "mot" / f"{name}.txt").read_bytes().endswith(b"\n")
    assert json.loads((tmp_path / "run.json").read_text())["state"] == "running"
    list(read_tracklets(tmp_path / "tracklets.arrow"))


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_full_disk_ends_the_run_with_one_line_and_keeps_the_rows(tmp_path: Path) -> None:
    out, errors = _long_run(tmp_path, limit=40_000).communicate(timeout=60)
    assert errors == ""
    assert str(tmp_path) in out
    assert "cannot be written" in out
    assert out.count("\n") == 1
    rows = list(read_trajectories(tmp_path / "trajectories.csv"))
    assert len(rows) > 300
    assert (tmp_path / "trajectories.csv").read_bytes().endswith(b"\n")


# -- memory ----------------------------------------------------------------------------------------------------


# In a process of its own: what earlier tests freed or kept does not move the figure.
_MEMORY_RUN = """
import json, os, sys
from pathlib import Path
import psutil
from pipeline.benchmark.simulation import SimulatedWorld
from tests.helpers.simulated_run import ONLINE, SimulatedRun, built_associators

# Small enough a memory for identities that it is full after some hundred frames.
settings = {**ONLINE, "linker": {"max_identities": 20, "identity_memory_s": 30.0}}
process, rss = psutil.Process(os.getpid()), []
with built_associators() as associators:
    SimulatedRun(SimulatedWorld(cameras=2, people=6, view_s=4, blind_s=1), 1800, settings=settings).into(
        Path(sys.argv[1]), on_frame=lambda camera_id: rss.append(process.memory_info().rss)
    )
identities = associators[0].linker.known_identities
print(json.dumps([max(rss[1100:1200]), max(rss[-200:]), identities]))
"""


def test_people_who_are_forgotten_are_in_the_summary_and_in_the_note(tmp_path: Path) -> None:
    settings = {**ONLINE, "linker": {"max_identities": 4}}
    summary = SimulatedRun(SimulatedWorld(cameras=2, people=6, view_s=4, blind_s=1), 300, settings=settings).into(
        tmp_path
    )
    surplus = summary.forgotten["online"].surplus
    assert surplus > 0
    assert summary.to_dict()["forgotten"] == {"online": {"unseen": 0, "surplus": surplus}}
    assert json.loads((tmp_path / "run.json").read_text())["forgotten"] == summary.to_dict()["forgotten"]
    console = Console(width=200)
    with console.capture() as capture:
        console.print(summary.tables())
    assert f"Forgotten because there were too many (online): {surplus} people" in capture.get()


def test_memory_does_not_grow_with_the_length_of_the_recording(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MEMORY_RUN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after_600, after_1800, identities = json.loads(done.stdout.splitlines()[-1])
    rows = len(csv_rows(tmp_path))
    assert rows > 8_000
    # A row takes some 500 bytes in memory: keeping those of the last 1200 frames would take 3 MB.
    assert after_1800 - after_600 < 0.5 * rows * 2 / 3 * 500
    assert identities <= 25
