"""Temporary folders of a process go with it, even if it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.process_folder import process_folder, working_folder

_PROCESS = """
import os, signal, sys
from pipeline.core.process_folder import process_folder
folder = process_folder("test")
(folder / "settings.json").write_text("{}")
print(folder, flush=True)
{end}
"""


def other_process(end: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PROCESS.replace("{end}", end)]
    environment = {"TMPDIR": str(folder), "PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=environment)


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks")
def test_what_killed_processes_left_is_deleted_and_what_others_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = other_process("", tmp_path)
    assert not Path(ended.communicate(timeout=60)[0].strip()).exists()
    killed = other_process("os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    left = Path(killed.communicate(timeout=60)[0].strip())
    assert left.is_dir()
    living = other_process("sys.stdin.read()", tmp_path)
    assert living.stdout is not None
    used = Path(living.stdout.readline().strip())
    (tmp_path / "mtmc-own").mkdir()
    starting = tmp_path / "mtmc-starting"  # its process has not locked it yet
    starting.mkdir()
    for folder in (left, used, starting):
        mark = tmp_path / f"{folder.name}.in-use"
        mark.touch()
        os.utime(mark, None if folder == starting else (5.0, 5.0))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("atexit.register", lambda *arguments, **more: None)
    mine = process_folder("test")
    assert not left.exists()
    assert sorted(path for path in tmp_path.iterdir() if path.is_dir()) == sorted(
        [mine, used, starting, tmp_path / "mtmc-own"]
    )
    assert list(mine.iterdir()) == []
    living.communicate("", timeout=60)
    assert not used.exists()
    with working_folder("test", tmp_path) as folder:
        assert folder.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [mine.name, f"{mine.name}.in-use", "mtmc-own", starting.name, f"{starting.name}.in-use"]
    )


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_working_folders_leave_no_open_file_behind(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with working_folder("test", tmp_path):
            pass
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert list(tmp_path.iterdir()) == []
