"""A whole run whose disk takes nothing for a while, or from the start."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli import main
from pipeline.config.config import Config
from pipeline.core.models import Models
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.files.results_csv import read_trajectories
from pipeline.files.run_folder import OutputFolder
from pipeline.live.output.gallery_file import load_gallery
from pipeline.live.output.segments import segments
from pipeline.live.run import LiveRun
from tests.helpers.factories import limits_of
from tests.helpers.live.fakes import FakeStream, one_look, one_person, steady
from tests.helpers.live.live_process import clip
from tests.helpers.live.simulated_run import live_run
from tests.helpers.live.waiting import eventually

NO_SPACE = "No space left on device"
DOORS = {name: (lambda: FakeStream(steady(20))) for name in ("a", "b")}
# Segments end, identities and the manifest are written several times while the disk is full.
SETTINGS = {"segment_s": 0.4, "fsync_interval_s": 0.1, "checkpoint_interval_s": 0.2, "max_fps": 20.0}


class Disk:
    """The disk under a folder; it takes nothing while `full`.

    Args:
        strict: also what needs no new space fails, as on a disk with quotas: fsync and new names.

    Attributes:
        refused: names of the files that it did not take.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, strict: bool = True) -> None:
        self.full = False
        self.refused: set[str] = set()
        self._folder = folder
        self._names: dict[int, str] = {}
        self._open, self._close = os.open, os.close
        monkeypatch.setattr(os, "open", self._opened)
        monkeypatch.setattr(os, "close", self._closed)
        monkeypatch.setattr(os, "write", self._on_descriptor(os.write))
        if strict:
            monkeypatch.setattr(os, "fsync", self._on_descriptor(os.fsync))
            monkeypatch.setattr(os, "replace", self._on_path(os.replace))

    @property
    def refused_kinds(self) -> set[str]:
        """The first words of those names."""
        return {re.split(r"\W", name.lstrip("."))[0] for name in self.refused.copy()}

    def _opened(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        here = isinstance(path, Path) and path.is_relative_to(self._folder)
        if here and flags & os.O_CREAT and not path.exists():
            self._refuse_if_full(path.name)
        descriptor = self._open(path, flags, mode, **more)
        if here:
            self._names[descriptor] = path.name
        return descriptor

    def _closed(self, descriptor: int) -> None:
        self._names.pop(descriptor, None)
        self._close(descriptor)

    def _on_descriptor(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *more: Any) -> Any:
            if descriptor in self._names:
                self._refuse_if_full(self._names[descriptor])
            return real(descriptor, *more)

        return call

    def _on_path(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *more: Any) -> Any:
            if Path(path).is_relative_to(self._folder):
                self._refuse_if_full(Path(path).name)
            return real(path, *more)

        return call

    def _refuse_if_full(self, name: str) -> None:
        if self.full:
            self.refused.add(name)
            raise OSError(errno.ENOSPC, NO_SPACE)


def says_that_it_is_full(run: LiveRun) -> bool:
    status = run.status()
    return status.writer_problem == NO_SPACE and not status.writer_ok and not status.ready


def assert_nothing_is_lost(folder: Path, run: LiveRun) -> None:
    """One person is in every frame, so each has a row."""
    out, status = folder / "out", run.status()
    assert (status.rows_lost, status.rows_waiting) == (0, 0)
    files = [path for path in segments(out) if run.run_id in path.name]
    rows = [linked.row for path in files for linked in read_trajectories(path)]
    for camera in status.cameras:
        numbers = [row.frame_index for row in rows if row.camera_id == camera.name]
        assert len(numbers) == camera.inferred
        assert numbers == sorted(set(numbers))
    manifest = json.loads((out / f"manifest-{run.run_id}.json").read_text())
    assert (manifest["state"], manifest["rows_lost"]) == ("complete", 0)
    assert manifest["segments"] == [path.name for path in files]
    assert [path for path in out.rglob("*.part") if run.run_id in path.name or "gallery" in path.name] == []
    gallery = load_gallery(out, one_look().model_hash)
    assert gallery is not None
    assert len(gallery) >= 1


@pytest.mark.parametrize("strict", [True, False], ids=["nothing works", "what needs no space works"])
def test_a_run_goes_on_while_the_disk_is_full_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, strict: bool
) -> None:
    monkeypatch.setattr("pipeline.live.housekeeping._MANIFEST_INTERVAL_S", 0.2)
    disk = Disk(tmp_path / "out", monkeypatch, strict=strict)
    with live_run(tmp_path, DOORS, live=SETTINGS) as run:
        eventually(lambda: run.status().rows_written >= 20, 15)
        disk.full = True
        eventually(lambda: says_that_it_is_full(run), 5)
        eventually(lambda: run.status().rows_waiting >= 40, 15)
        eventually(lambda: {"traj", "manifest", "gallery"} <= disk.refused_kinds, 5)
        eventually(lambda: all(camera.state == "up" for camera in run.status().cameras), 5)
        assert all(camera.reconnects == {} for camera in run.status().cameras)
        assert run.status().rows_lost == 0
        disk.full = False
        eventually(lambda: run.status().ready and run.status().rows_waiting < 20, 5)
    assert_nothing_is_lost(tmp_path, run)
    for told in ("rows", "identities", "the manifest"):
        assert caplog.text.count(f"{told} cannot be written ({NO_SPACE})") == 1
    assert "Traceback" not in caplog.text


def test_a_run_that_starts_on_a_full_disk_has_all_rows_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a power cut: the folder is there, with what was being written."""
    with live_run(tmp_path, DOORS) as run:
        eventually(lambda: run.status().rows_written >= 5, 15)
    [finished] = segments(tmp_path / "out")
    torn = finished.rename(finished.with_suffix(".csv.part"))
    size = torn.stat().st_size
    with torn.open("a") as file:
        file.write("a,1,7,")
    disk = Disk(tmp_path / "out", monkeypatch)
    disk.full = True
    with live_run(tmp_path, DOORS, live=SETTINGS) as run:
        eventually(lambda: run.status().rows_waiting >= 10, 15)
        eventually(lambda: says_that_it_is_full(run), 5)
        disk.full = False
        eventually(lambda: run.status().ready and run.status().rows_waiting < 10, 5)
    assert_nothing_is_lost(tmp_path, run)
    assert f"the files of a killed run cannot be completed ({NO_SPACE})" in caplog.text
    assert "Traceback" not in caplog.text
    with live_run(tmp_path, DOORS):
        assert finished.stat().st_size == size


@pytest.mark.parametrize(
    ("folder_is_there", "code", "error"),
    [
        (False, 2, r"error: output folder \S+ cannot be used: No space left on device"),
        (True, 1, r"failed: \d+ rows are lost \(No space left on device\)"),
    ],
)
def test_a_disk_that_is_full_from_the_start_to_the_end_is_said_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder_is_there: bool,
    code: int,
    error: str,
) -> None:
    def build_live(config: Config) -> tuple[Models, MatchLimits]:
        return Models(one_person(), one_look(), {}), limits_of(config)

    monkeypatch.setattr("pipeline.commands.live.build_live", build_live)
    cameras = [{"name": "a", "source": str(clip(tmp_path, "film", 1.0))}]
    (tmp_path / "site.yaml").write_text(yaml.safe_dump({"cameras": cameras}), encoding="utf-8")
    out = tmp_path / "out"
    if folder_is_there:
        OutputFolder(out).close()
    Disk(out, monkeypatch).full = True
    with pytest.raises(SystemExit) as end:
        main(["live", "--config", str(tmp_path / "site.yaml"), "--output", str(out), "--simulate-live"])
    said = capsys.readouterr()
    assert end.value.code == code
    assert len(re.findall(f"^{error}$", said.err, flags=re.MULTILINE)) == 1
    assert "Traceback" not in said.out + said.err
