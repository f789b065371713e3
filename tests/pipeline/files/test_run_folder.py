"""What a run notes about itself, and what stands in its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.files.run_folder import noted_recording, noted_steps
from pipeline.privacy.run_folder import RunFolder
from pipeline.recorded.run_note import EarlierNote


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_nobody_waits_for_a_named_pipe_in_place_of_a_result(tmp_path: Path) -> None:
    for name in ("run.json", "trajectories.csv"):
        os.mkfifo(tmp_path / name)
    note = tmp_path / "run.json"
    assert (noted_recording(note), noted_steps(note)) == ({}, {})
    with pytest.raises(InputError, match="missing or damaged"):
        EarlierNote(note)
    with pytest.raises(InputError, match="holds no results"):
        RunFolder(tmp_path)


@pytest.mark.parametrize(
    ("content", "recording", "steps"),
    [
        ('{"config": {"recording": {"stride": 2}}, "cameras": {"a": {"index_step": 2}}}', {"stride": 2}, {"a": 2}),
        ('{"config": {"recording": 7}, "cameras": {"a": {"index_step": 0}, "b": {"index_step": "2"}}}', {}, {}),
        ("[]", {}, {}),
        ("{", {}, {}),
    ],
)
def test_damaged_notes_say_nothing(
    tmp_path: Path, content: str, recording: dict[str, int], steps: dict[str, int]
) -> None:
    note = tmp_path / "run.json"
    note.write_text(content, encoding="utf-8")
    assert (noted_recording(note), noted_steps(note)) == (recording, steps)
