"""A file of a sink that several runs write, and several purges change."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.files.results_csv import COLUMNS
from pipeline.live.output.segments import row_line
from pipeline.live.sinks.json_lines import JsonLines
from pipeline.live.sinks.json_sink import JsonSink
from pipeline.privacy import purge
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from tests.helpers.live.examples import NOW_S, make_row

RUNS = {"a": "20260501T100000Z-000a", "b": "20260501T100000Z-000b"}


def send(path: Path, run_id: str, *ids: int) -> None:
    sink = JsonSink("json_lines", JsonLines(path), run_id)
    sink.write([make_row(one, "hall", one, NOW_S) for one in ids])
    sink.close()


def left(path: Path) -> list[tuple[str, int]]:
    messages = [json.loads(line) for line in path.read_text().splitlines()]
    return [(one["run_id"], one["global_id"]) for one in messages]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A file with persons 1 and 2 of the folders a and b."""
    path = tmp_path / "rows.jsonl"
    for name, run_id in RUNS.items():
        folder = tmp_path / name
        folder.mkdir()
        rows = "".join(row_line(make_row(one, "hall", one, NOW_S)) for one in (1, 2))
        (folder / f"traj-{run_id}-0001.csv").write_text(",".join(COLUMNS) + "\n" + rows)
        content = {"so_far": {"run_ids": [run_id], "sink_files": [str(path)], "receivers": []}}
        (folder / f"manifest-{run_id}.json").write_text(json.dumps(content))
        send(path, run_id, 1, 2)
    return path


def meanwhile(monkeypatch: pytest.MonkeyPatch, path: Path, work: threading.Thread) -> None:
    """Start `work` when a purge has read the file, and give it time before the file is replaced."""
    replacing = purge.replacing

    @contextmanager
    def slowly(one: Path) -> Generator[Path, None, None]:
        with replacing(one) as part:
            yield part
            if one == path and work.ident is None:
                work.start()
                work.join(0.3)

    monkeypatch.setattr(purge, "replacing", slowly)


def test_two_purges_at_the_same_time_delete_both_persons(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other() -> None:
        purge_person(RunFolder(shared.parent / "b"), 2, delete_shared=False)

    thread = threading.Thread(target=other)
    meanwhile(monkeypatch, shared, thread)
    purge_person(RunFolder(shared.parent / "a"), 1, delete_shared=False)
    thread.join()
    assert left(shared) == [(RUNS["a"], 2), (RUNS["b"], 1)]


def test_a_run_that_writes_during_the_purge_of_another_folder_loses_nothing(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = threading.Thread(target=send, args=(shared, RUNS["b"], 7, 8))
    meanwhile(monkeypatch, shared, thread)
    purge_person(RunFolder(shared.parent / "a"), 1, delete_shared=False)
    thread.join()
    assert left(shared) == [(RUNS["a"], 2), (RUNS["b"], 1), (RUNS["b"], 2), (RUNS["b"], 7), (RUNS["b"], 8)]


def test_a_person_of_another_folder_is_not_known_here(shared: Path) -> None:
    send(shared, RUNS["b"], 9)
    with pytest.raises(InputError, match="nobody in"):
        purge_person(RunFolder(shared.parent / "a"), 9, delete_shared=False)
