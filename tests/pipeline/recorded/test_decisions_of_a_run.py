"""decisions.jsonl of a run: complete, the same for the same input, and without any effect on the results."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import defaultdict
from pathlib import Path

import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.core.decisions import Decision, Outcome, Stage, TrackKey
from pipeline.core.errors import RunError
from pipeline.files.decision_file import read_decisions
from pipeline.files.run_folder import DECISIONS_NAME, clear_results
from tests.helpers.simulated_run import ONLINE, SimulatedRun, csv_rows

# A crowd that looks alike, so that every outcome occurs.
WORLD = dataclasses.replace(SimulatedWorld(cameras=2, people=12), embedding_noise=0.9)
FRAMES = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    SimulatedRun(WORLD, FRAMES).into(folder)
    return folder


def ids_in(folder: Path) -> dict[TrackKey, set[int]]:
    ids = defaultdict(set)
    for row in csv_rows(folder):
        ids[row["camera_id"], int(row["track_id"])].add(int(row["global_id"]))
    return dict(ids)


def of_stage(folder: Path, stage: Stage) -> dict[TrackKey, list[Decision]]:
    found = defaultdict(list)
    for decision in read_decisions(folder / DECISIONS_NAME):
        if decision.stage is stage:
            found[decision.key].append(decision)
    return dict(found)


def test_the_final_decision_about_each_track_has_its_id(folder: Path) -> None:
    decided = of_stage(folder, Stage.SECOND_PASS)
    assert {key: {one.global_id for one in some} for key, some in decided.items()} == ids_in(folder)
    assert all(len(some) == 1 for some in decided.values())


def test_online_each_track_waits_and_is_then_decided_once(folder: Path) -> None:
    decided = of_stage(folder, Stage.ONLINE)
    assert decided.keys() == ids_in(folder).keys()
    for some in decided.values():
        assert [one.time_s for one in some] == sorted(one.time_s for one in some)
        assert [one.outcome is Outcome.WAITING for one in some] == [True] * (len(some) - 1) + [False]
        assert [one.global_id is None for one in some] == [True] * (len(some) - 1) + [False]
        reasons = [one.reason for one in some]
        assert all(before is not after for before, after in itertools.pairwise(reasons))
        assert all(len(one.candidates) <= 5 for one in some)


def test_without_a_second_pass_the_online_id_is_that_of_the_rows(tmp_path: Path) -> None:
    SimulatedRun(WORLD, FRAMES, settings=ONLINE).into(tmp_path)
    decided = of_stage(tmp_path, Stage.ONLINE)
    assert of_stage(tmp_path, Stage.SECOND_PASS) == {}
    last = {(row["camera_id"], int(row["track_id"])): int(row["global_id"]) for row in csv_rows(tmp_path)}
    agree = [decided[key][-1].global_id == global_id for key, global_id in last.items()]
    assert sum(agree) >= len(agree) - 1  # a track may join somebody after its last row was written


@pytest.mark.parametrize("settings", [{}, ONLINE], ids=["final", "online"])
def test_the_results_are_the_same_without_it(tmp_path: Path, settings: dict[str, object]) -> None:
    SimulatedRun(WORLD, FRAMES, settings=settings).into(tmp_path / "with")
    without = {**settings, "output": {"save_decisions": False, "interpolate": False}}
    SimulatedRun(WORLD, FRAMES, settings=without).into(tmp_path / "without")
    for name in ("trajectories.csv", "mot/cam1.txt", "tracklets.arrow"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    assert not (tmp_path / "without" / DECISIONS_NAME).exists()
    assert (tmp_path / "with" / DECISIONS_NAME).stat().st_size > 1000


def test_overwriting_deletes_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / DECISIONS_NAME).write_bytes((folder / DECISIONS_NAME).read_bytes())
    clear_results(tmp_path, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_linking_again_replaces_the_second_pass(folder: Path, tmp_path: Path) -> None:
    for arguments in (["--set", "second_pass.max_cosine_distance=0.05"], ["--set", "output.save_decisions=false"]):
        target = tmp_path / str(len(list(tmp_path.iterdir())))
        with pytest.raises(SystemExit) as stop:
            main(["link", str(folder), "--output", str(target), *arguments])
        assert stop.value.code in (None, 0)
    first, second = tmp_path / "0", tmp_path / "1"
    assert of_stage(first, Stage.ONLINE) == of_stage(folder, Stage.ONLINE)
    again = of_stage(first, Stage.SECOND_PASS)
    assert {key: {one.global_id for one in some} for key, some in again.items()} == ids_in(first)
    assert ids_in(first) != ids_in(folder)
    assert not (second / DECISIONS_NAME).exists()


def test_a_full_disk_keeps_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if b'"second pass"' in data:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr("pipeline.files.whole_files.os.write", full)
    with pytest.raises(RunError, match=r"decisions\.jsonl cannot be written: No space left"):
        SimulatedRun(WORLD, FRAMES).into(tmp_path)
    assert of_stage(tmp_path, Stage.ONLINE)
