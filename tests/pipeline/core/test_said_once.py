"""A recording is opened more than once, and its warnings are said once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from pipeline.cli import options
from pipeline.core.console import MessageConsole
from pipeline.live.telling.live_log import LiveLog

of_recordings = logging.getLogger("pipeline.sources.video")
of_others = logging.getLogger("pipeline.live.test")


@pytest.fixture
def command_line() -> Iterator[None]:
    """The log as a command has it."""
    root = logging.getLogger()
    before, level = root.handlers.copy(), root.level
    options()
    yield
    root.handlers[:] = before
    root.setLevel(level)


def say_twice() -> None:
    for _ in range(2):
        of_recordings.warning("%s has damaged pictures", "a.mp4")
        of_recordings.error("%s ends", "a.mp4")
        of_others.warning("a is waiting")
    of_recordings.warning("%s has damaged pictures", "b.mp4")


@pytest.mark.parametrize("live", [False, True])
def test_a_warning_of_a_recording_is_said_once(
    command_line: None, capsys: pytest.CaptureFixture[str], live: bool
) -> None:
    if live:
        with LiveLog(MessageConsole()):
            say_twice()
    else:
        say_twice()
    said = capsys.readouterr().err
    counts = [said.count(text) for text in ("a.mp4 has", "b.mp4 has", "a.mp4 ends", "a is waiting")]
    assert counts == [1, 1, 2, 2]
