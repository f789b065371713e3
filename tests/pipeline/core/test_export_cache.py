"""The cache of exported networks: once made, found again; whole or not there at all."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.core import export_cache
from pipeline.core.errors import InputError
from pipeline.core.export_cache import KEPT_NETWORKS, cache_entries, cache_folder, cached_export
from pipeline.core.inference_runtime import choose_runtime

KEY = {"weights": "0123", "openvino": "1"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTMC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(export_cache, "KEPT_NETWORKS", KEPT_NETWORKS)
    return tmp_path / "cache"


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTMC_CACHE", "/a/b")
    assert cache_folder() == Path("/a/b")
    monkeypatch.delenv("MTMC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/mtmc")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "mtmc"


def test_made_once_for_each_key(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = []

    def make(target: Path) -> None:
        made.append(target)
        (target / "network").write_text(f"made {len(made)}")

    first = cached_export("a.pt", KEY, make)
    assert caplog.messages == [f"preparing a.pt for the CPU, once; the result is kept in {first}"]
    assert cached_export("a.pt", dict(reversed(KEY.items())), make) == first
    other = cached_export("a.pt", {**KEY, "openvino": "2"}, make)
    assert [(path / "network").read_text() for path in (first, other)] == ["made 1", "made 2"]
    assert len(caplog.messages) == 2
    assert sorted(folder.iterdir()) == sorted([first, other])  # nothing half made is left


def test_the_umask_decides_who_may_read_it(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        entry = cached_export("a.pt", KEY, lambda target: None)
    finally:
        os.umask(before)
    assert entry.stat().st_mode & 0o777 == 0o750
    assert (entry / "key.txt").stat().st_mode & 0o777 == 0o640


def test_a_failure_leaves_nothing(folder: Path) -> None:
    def make(target: Path) -> None:
        (target / "network").write_text("half")
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        cached_export("a.pt", KEY, make)
    assert list(folder.iterdir()) == []


def test_of_two_runs_at_a_time_the_second_takes_the_firsts(folder: Path) -> None:
    def make(target: Path) -> None:
        (target / "network").write_text("slow")
        cached_export("a.pt", KEY, make_faster)

    def make_faster(target: Path) -> None:
        (target / "network").write_text("fast")

    entry = cached_export("a.pt", KEY, make)
    assert (entry / "network").read_text() == "fast"
    assert list(folder.iterdir()) == [entry]


def test_without_a_cache_a_temporary_folder_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MTMC_CACHE", str(tmp_path / "file" / "cache"))

    def make(target: Path) -> None:
        (target / "network").write_text("made")

    with caplog.at_level(logging.WARNING):
        entry = cached_export("a.pt", KEY, make)
    assert (entry / "network").read_text() == "made"
    assert "file/cache cannot be written (Not a directory)" in caplog.messages[-1]
    assert "set MTMC_CACHE to another folder" in caplog.messages[-1]
    assert cached_export("a.pt", KEY, make) != entry


def test_a_disk_that_fills_up_while_it_is_made(folder: Path) -> None:
    def make(target: Path) -> None:
        if target.parent == folder:
            (target / "network").write_text("half")
            raise OSError(28, os.strerror(28))
        (target / "network").write_text("whole")

    entry = cached_export("a.pt", KEY, make)
    assert (entry / "network").read_text() == "whole"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("runtime", "device", "installed", "chosen"),
    [
        ("auto", "cpu", True, "openvino"),
        ("auto", "cpu", False, "torch"),
        ("auto", "cuda", True, "torch"),
        ("torch", "cpu", True, "torch"),
        ("openvino", "cpu", True, "openvino"),
        ("openvino", "cuda", True, "not on the device cuda; set device: cpu or runtime: torch"),
        ("openvino", "cpu", False, "needs the package openvino: pip install openvino"),
    ],
)
def test_what_computes(
    runtime: str, device: str, installed: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.core.inference_runtime.find_spec", lambda name: object() if installed else None)
    if " " in chosen:
        with pytest.raises(InputError, match=chosen):
            choose_runtime(runtime, device)  # type: ignore[arg-type]
    else:
        assert choose_runtime(runtime, device) == chosen  # type: ignore[arg-type]


def network(number: int) -> Path:
    def make(target: Path) -> None:
        (target / "network").write_bytes(bytes(1000))

    return cached_export(f"the detector {number}.pt", {"weights": str(number)}, make)


def test_the_last_used_networks_are_kept(folder: Path) -> None:
    made = []
    for number in range(KEPT_NETWORKS):
        made.append(network(number))
        os.utime(made[-1], (number + 1.0, number + 1.0))
    (folder / "benchmark").mkdir()
    left = folder / f"{'0' * 32}.12ab.partial"
    left.mkdir()
    os.utime(left, (1.0, 1.0))
    network(0)  # is used again
    newest = network(99)
    assert sorted(folder.iterdir()) == sorted([*made[:1], *made[2:], newest, folder / "benchmark"])


def test_the_cache_is_shown_and_cleared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["cache", *arguments])
        assert not stop.value.code
        return " ".join(capsys.readouterr().out.split())

    assert "0 entries, 0.0 MB" in run()
    network(1)
    (folder / "thesis.partial").mkdir()
    (folder / "thesis.txt").write_text("of somebody who chose this folder")
    assert [(entry.name, entry.size_bytes > 1000) for entry in cache_entries()] == [("the detector 1.pt", True)]
    shown = run()
    assert "the detector 1.pt" in shown
    assert f"1 entries, 0.0 MB; the {KEPT_NETWORKS} networks that were used last are kept" in shown
    assert "1 entries deleted" in run("clear")
    assert sorted(path.name for path in folder.iterdir()) == ["thesis.partial", "thesis.txt"]
