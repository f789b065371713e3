"""One command at a time writes into an output folder, from its first file to its last."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.config.config import Config, load_config, named_sources
from pipeline.core.errors import InputError
from pipeline.files.folder_lock import LOCK_NAME, FolderLock
from pipeline.files.run_folder import OutputFolder
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from pipeline.recorded.track import track
from tests.helpers.media import grey_picture, write_video


def lock(folder: Path, command: str = "mtmc track", *, private: bool = False) -> FolderLock:
    return FolderLock(folder, command, advice="wait", private=private)


# -- the lock --------------------------------------------------------------------------------------------------


def test_who_comes_second_is_told_who_is_there_and_what_to_do(tmp_path: Path) -> None:
    with lock(tmp_path / "out"):
        expected = rf"^another `mtmc track` writes into .*out \(process {os.getpid()}\): wait$"
        with pytest.raises(InputError, match=expected):
            lock(tmp_path / "out", "mtmc link")
    assert list((tmp_path / "out").iterdir()) == []
    lock(tmp_path / "out").close()


def test_the_lock_does_not_follow_a_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else who may write into the folder could name any file of this user there."""
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK_NAME).symlink_to(precious)
    with lock(tmp_path / "out"):
        assert not (tmp_path / "out" / LOCK_NAME).is_symlink()
    assert precious.read_text() == "precious"
    assert "run.lock is a link; it was renamed to" in caplog.text


@pytest.mark.parametrize(("private", "modes"), [(True, (0o700, 0o600)), (False, (0o755, 0o644))])
def test_a_private_folder_is_for_its_owner_alone(tmp_path: Path, private: bool, modes: tuple[int, int]) -> None:
    before = os.umask(0o022)
    try:
        with lock(tmp_path / "out", private=private):
            paths = (tmp_path / "out", tmp_path / "out" / LOCK_NAME)
            assert tuple(stat.S_IMODE(path.stat().st_mode) for path in paths) == modes
    finally:
        os.umask(before)


def test_a_kill_frees_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from pipeline.files.folder_lock import FolderLock\n"
        "held = FolderLock(Path(sys.argv[1]), 'mtmc live', advice='', private=True); print('held', flush=True)\n"
        "time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"another `mtmc live` .*\(process {process.pid}\)"):
            lock(tmp_path)
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / LOCK_NAME).exists()
    with lock(tmp_path), pytest.raises(InputError, match=rf"another `mtmc track` .*\(process {os.getpid()}\)"):
        lock(tmp_path)
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_file_that_its_holder_deletes_at_that_moment_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two could hold the folder: one with the deleted file, one with a new one."""
    flock = fcntl.flock

    def too_late(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        (tmp_path / LOCK_NAME).unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with lock(tmp_path), pytest.raises(InputError, match="another"):
        lock(tmp_path)


def test_a_live_run_leaves_the_file_to_be_held_again_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OutputFolder(tmp_path / "out").close()
    create = os.open

    def full(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if not os.path.exists(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    OutputFolder(tmp_path / "out").close()


def test_a_holder_that_could_not_write_its_name_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with lock(tmp_path), pytest.raises(InputError, match=r"^another run writes into .*: wait$"):
        lock(tmp_path)


def test_a_folder_that_cannot_be_made_or_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"output folder .*file cannot be used: File exists"):
        lock(tmp_path / "file")

    def unable(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unable)
    with pytest.raises(InputError, match="cannot be used: No locks available"):
        lock(tmp_path / "out")


# -- who holds it ----------------------------------------------------------------------------------------------


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short video, a.mp4, with boxes of one person who walks through it, a.txt; the working directory."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", [grey_picture(i % 8, (160, 120)) for i in range(12)])
    (tmp_path / "a.txt").write_text("".join(f"{i + 1},-1,{10 + 3 * i},20,40,80,0.9\n" for i in range(12)))
    return tmp_path


def configuration(**output: bool) -> Config:
    return load_config(
        None, {"cameras": named_sources(["a=a.mp4"]), "embedder": {"weights": None}, "output": output}
    )


def blind_track(folder: Path, **options: Any) -> None:
    track(configuration(), folder, detections={"a": Path("a.txt")}, **options)


def refusals(folder: Path, holder: str) -> Callable[..., None]:
    """Tries all that must not be done in the folder now; may be called with anything."""

    def attempt(*ignored: object, **also: object) -> None:
        with pytest.raises(InputError, match=rf"another `{holder}` writes into .*: stop it first"):
            purge_person(RunFolder(folder), 1, delete_shared=True)
        with pytest.raises(InputError, match=rf"another `{holder}` .*: wait until that has ended, or choose"):
            blind_track(folder, overwrite=True)
        with pytest.raises(InputError, match=rf"another `{holder}` .*: choose another --output"):
            OutputFolder(folder)

    return attempt


def after(first: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Has `first` called before the function of this name is; the list gets its name then."""
    module, _, attribute = name.rpartition(".")
    function = getattr(import_module(module), attribute)
    called: list[str] = []

    def both(*arguments: object, **options: object) -> object:
        first()
        called.append(name)
        return function(*arguments, **options)

    monkeypatch.setattr(name, both)
    return called


def test_track_holds_its_folder_from_its_first_frame_to_the_video(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refusals(recording / "out", "mtmc track")
    rewritten = after(refused, monkeypatch, "pipeline.recorded.runner.rewrite")
    drawn = after(refused, monkeypatch, "pipeline.recorded.track.draw_video")
    track(configuration(video=True), Path("out"), detections={"a": Path("a.txt")}, on_frame=refused)
    assert (rewritten, drawn) == (["pipeline.recorded.runner.rewrite"], ["pipeline.recorded.track.draw_video"])
    assert sorted(path.name for path in (recording / "out").iterdir()) == [
        "decisions.jsonl",
        "mot",
        "run.json",
        "tracklets.arrow",
        "trajectories.csv",
        "trajectories.mp4",
    ]
    assert purge_person(RunFolder(recording / "out"), 1, delete_shared=True).rows == 12


@pytest.mark.parametrize("target", ["out", "again"])
def test_link_holds_the_folder_that_it_reads_and_the_one_that_it_writes(
    recording: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    blind_track(recording / "out")

    def refused() -> None:
        refusals(recording / "out", "mtmc link")()
        if target == "again":
            (recording / "again" / "trajectories.csv").touch()
            refusals(recording / "again", "mtmc link")()

    rewritten = after(refused, monkeypatch, "pipeline.commands.link.rewrite")
    with pytest.raises(SystemExit) as stop:
        main(["link", "out", "-o", target, "--overwrite"])
    assert stop.value.code in (None, 0)
    assert rewritten
    assert purge_person(RunFolder(recording / target), 1, delete_shared=False).rows == 12


def test_a_run_that_goes_on_is_not_linked(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blind_track(recording / "out")
    with lock(recording / "out"), pytest.raises(SystemExit) as stop:
        main(["link", "out", "-o", "again"])
    assert stop.value.code == 2
    assert "another `mtmc track` writes into out" in capsys.readouterr().err
    assert not (recording / "again").exists()


def test_a_folder_that_nobody_may_write_into_can_be_linked_elsewhere(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, who may write anywhere."""
    blind_track(recording / "out")
    before = sorted((recording / "out").iterdir())

    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or str(path) != "out")
    held: list[Path] = []

    def note(folder: Path, command: str) -> FolderLock:
        held.append(folder)
        return lock(folder, command)

    monkeypatch.setattr("pipeline.commands.link.hold_results", note)
    with pytest.raises(SystemExit) as stop:
        main(["link", "out", "-o", "again"])
    assert stop.value.code in (None, 0)
    assert held == [Path("again")]
    assert sorted((recording / "out").iterdir()) == before
