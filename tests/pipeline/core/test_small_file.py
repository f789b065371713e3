from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from pipeline.config.output_settings import read_secret
from pipeline.core import small_file
from pipeline.core.errors import InputError
from pipeline.core.small_file import read_small_file
from pipeline.core.yaml_file import read_yaml

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(small_file, "WAIT_S", 0.3)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_named_pipe_without_a_writer_is_not_waited_for(pipe: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(InputError, match=r"pipe: cannot read the configuration .*did not end within 0.3 s"):
        read_yaml(pipe)
    with pytest.raises(InputError, match=r"pipe cannot be read \(.* within 0.3 s"):
        read_secret(None, str(pipe))
    assert time.monotonic() - began_s < 2


def test_a_named_pipe_whose_writer_does_not_end_is_not_waited_for(pipe: Path) -> None:
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b"recording: {}\n")
    try:
        with pytest.raises(InputError, match="did not end within"):
            read_yaml(pipe)
    finally:
        os.close(writer)


def test_a_pipe_is_read_to_its_end(pipe: Path) -> None:
    content = b"recording: {}\n" + b"#" * 300_000
    thread = threading.Thread(target=pipe.write_bytes, args=(content,))
    thread.start()
    assert read_small_file(pipe, 1_000_000) == content
    thread.join()


def test_what_a_command_prints_is_a_configuration(tmp_path: Path) -> None:
    """As `--config <(command)` of a shell; read a second time, such as for SIGHUP, it says so."""
    with subprocess.Popen(["sh", "-c", "sleep 0.2; echo 'recording: {}'"], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        path = Path(f"/dev/fd/{command.stdout.fileno()}")
        assert read_yaml(path) == {"recording": {}}
        with pytest.raises(InputError, match="can be read only once"):
            read_yaml(path)


def test_files_and_devices(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert read_small_file(path, 10) == b""
    assert read_small_file(Path("/dev/null"), 10) == b""
    assert read_small_file(Path("/dev/zero"), 10) == bytes(10)
    with pytest.raises(IsADirectoryError):
        read_small_file(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        read_small_file(tmp_path / "b", 10)


def test_a_video_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 100000 bytes, so it is no file with a secret"):
        read_secret(None, "/dev/zero")
