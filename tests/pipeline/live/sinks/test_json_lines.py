"""JSON lines in files and pipes that fail."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from pipeline.live.sinks.json_lines import JsonLines
from pipeline.live.sinks.json_sink import JsonSink
from pipeline.live.sinks.transport import DeliveryError, Message
from tests.helpers.live.examples import make_remap, make_row


def test_rows_and_corrections_are_lines_in_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    sink = JsonSink("json_lines", JsonLines(path), "run1")
    sink.write([make_row(1), make_row(2)])
    sink.remap([make_remap(2, 1)])
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["kind"], line["global_id"]) for line in lines] == [("row", 1), ("row", 2), ("remap", 1)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_of_something_else_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("cameras: []")
    with pytest.raises(DeliveryError, match="no file of JSON lines"):
        JsonLines(path).connect()
    assert path.read_text() == "cameras: []"


def test_a_line_torn_by_a_kill_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"whole":1}\n{"torn')
    lines = JsonLines(path)
    lines.connect()
    lines.send([Message("row", "hall", '{"whole":2}')])
    lines.close()
    assert path.read_text() == '{"whole":1}\n{"whole":2}\n'


def test_a_full_disk_leaves_whole_lines_and_goes_on_when_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    lines = JsonLines(path)
    lines.connect()
    lines.send([Message("row", "hall", "{1}")])
    write, space = os.write, [4]

    def limited(descriptor: int, data: bytes) -> int:
        if not space[0]:
            raise OSError(28, "No space left on device")
        taken = write(descriptor, data[: space[0]])
        space[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", limited)
    with pytest.raises(DeliveryError, match=r"rows\.jsonl cannot be written: No space left on device"):
        lines.send([Message("row", "hall", "{22222}")])
    assert path.read_text() == "{1}\n"
    space[0] = 1000
    lines.close()
    lines.connect()
    lines.send([Message("row", "hall", "{22222}")])
    assert path.read_text() == "{1}\n{22222}\n"
    lines.close()


def test_a_pipe_that_took_half_a_line_gets_its_rest_first(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    lines = JsonLines(path)
    lines.connect()
    assert lines._descriptor is not None
    os.set_blocking(lines._descriptor, False)  # so that a full pipe is an error and no wait
    big = [Message("row", "hall", "a" * 50_000), Message("row", "hall", "b" * 50_000)]
    with pytest.raises(DeliveryError):
        lines.send(big)
    with pytest.raises(DeliveryError):  # still full: nothing goes, and the rest of the line is not forgotten
        lines.send(big)
    received = os.read(reader, 1 << 20)
    assert not received.endswith(b"\n")
    lines.close()
    lines.connect()
    lines.send([Message("row", "hall", "c")])
    received += os.read(reader, 1 << 20)
    assert received == b"a" * 50_000 + b"\n" + b"b" * 50_000 + b"\nc\n"
    lines.close()
    os.close(reader)


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = JsonLines(path)
    lines.connect()
    lines.send([Message("row", "hall", "first")])
    path.rename(tmp_path / "rows.jsonl.1")
    lines.send([Message("row", "hall", "second")])
    lines.close()
    assert (tmp_path / "rows.jsonl.1").read_text() == "first\n"
    assert path.read_text() == "second\n"


def test_stdout_gets_lines(capfd: pytest.CaptureFixture[str]) -> None:
    sink = JsonSink("stdout", JsonLines(None), "run1")
    sink.write([make_row(5)])
    sink.close()
    assert json.loads(capfd.readouterr().out)["global_id"] == 5


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    sink = JsonSink("json_lines", JsonLines(tmp_path / "none" / "rows.jsonl"), "run1")
    with pytest.raises(DeliveryError, match=r"none/rows\.jsonl cannot be opened: No such file or directory"):
        sink.write([make_row()])
