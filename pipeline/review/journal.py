"""The steps of a review in a file of the run: JSON lines, to which every step, undo and redo adds one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError, RunError
from pipeline.core.shown_values import shown
from pipeline.files.regular_file import read_regular
from pipeline.files.run_folder import REVIEW_NAME
from pipeline.files.whole_files import FILE_MODE, WholeLines, cut_torn_line, write_whole
from pipeline.review.steps import Step, content_of, step_in

_FORMAT = "mtmc review"
VERSION = 1


@dataclass(frozen=True)
class DatedStep:
    """A step, and when it was made: a date in UTC as in ISO 8601, '' if that is unknown."""

    step: Step
    utc: str


class Journal:
    """The steps that are in force, those that were undone, and their file, which is created with the first step.

    Attributes:
        lines: number of lines of the file: it tells whether the rows were written since.
        permanent: number of earlier steps that can no longer be undone, because a purge deleted the original rows.

    Raises:
        InputError: the file is damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.path = self.path_in(folder)
        self._done: list[DatedStep] = []
        self._undone: list[DatedStep] = []
        self.permanent = 0
        self.lines = 0
        self._read()

    @staticmethod
    def path_in(folder: Path) -> Path:
        """Return where the file of a run is."""
        return folder / REVIEW_NAME

    @property
    def done(self) -> list[Step]:
        """Steps in force, oldest first."""
        return [one.step for one in self._done]

    @property
    def dated(self) -> Sequence[DatedStep]:
        """The same with their dates."""
        return tuple(self._done)

    @property
    def undone(self) -> list[Step]:
        """Steps that can be redone, the next one last."""
        return [one.step for one in self._undone]

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.is_file()

    def add(self, step: Step) -> None:
        """Save a new step; steps that were undone can no longer be redone. RunError if it cannot be saved."""
        utc = self._append(content_of(step))
        self._done.append(DatedStep(step, utc))
        self._undone.clear()

    def undo(self) -> Step:
        """Save that the newest step is undone, and return it; InputError without one."""
        if not self._done:
            raise InputError("there is nothing to undo")
        self._append({"step": "undo"})
        self._undone.append(self._done.pop())
        return self._undone[-1].step

    def redo(self) -> Step:
        """Save that the step that was undone last is in force again, and return it; InputError without one."""
        if not self._undone:
            raise InputError("there is nothing to redo")
        self._append({"step": "redo"})
        self._done.append(self._undone.pop())
        return self._done[-1].step

    def replace(self, steps: Iterable[Step], permanent: int) -> None:
        """Replace the file by steps that can be undone, and the number of those that cannot; OSError if that fails.
        Steps that were there before keep their dates."""
        dates = {one.step: one.utc for one in self._done}
        self._done, self._undone = [DatedStep(step, dates.get(step, "")) for step in steps], []
        self.permanent = permanent
        lines = [_header(permanent), *map(_content_of, self._done)]
        self.lines = len(lines)
        write_whole(self.path, "".join(json.dumps(line) + "\n" for line in lines).encode(), mode=FILE_MODE)

    def _read(self) -> None:
        if not self.path.exists():
            return
        try:
            lines = read_regular(self.path).split(b"\n")
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror})") from error
        # What follows the last line end was cut off while it was written, so it was never confirmed as saved.
        self.lines = len(lines) - 1
        for number, line in enumerate(lines[:-1], 1):
            try:
                content = json.loads(line)
                if not isinstance(content, dict):
                    raise ValueError("it is no JSON object")
                if number == 1:
                    self._read_header(content)
                else:
                    self._take(content)
            except InputError:
                raise
            except (ValueError, IndexError, RecursionError) as error:
                raise InputError(
                    f"{self.path}, line {number}: it cannot be read ({error}). Restore the file, or give up the "
                    "corrections with --revert"
                ) from error

    def _read_header(self, content: Mapping[str, Any]) -> None:
        if content.get("format") != _FORMAT or content.get("version") != VERSION:
            raise InputError(
                f"{self.path} is of version {shown(content.get('version'))}, but this program reads version {VERSION}: "
                "use the version that wrote it"
            )
        permanent = content.get("permanent_steps", 0)
        self.permanent = permanent if isinstance(permanent, int) else 0

    def _take(self, content: Mapping[str, Any]) -> None:
        if content.get("step") == "undo":
            self._undone.append(self._done.pop())
        elif content.get("step") == "redo":
            self._done.append(self._undone.pop())
        else:
            utc = content.get("utc")
            self._done.append(DatedStep(step_in(content), utc if isinstance(utc, str) else ""))
            self._undone.clear()

    def _append(self, content: Mapping[str, Any]) -> str:
        """Save a line, and return its date."""
        utc = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            if not self.lines:
                self.replace(self.done, self.permanent)
            cut_torn_line(self.path)
            with closing(WholeLines(self.path)) as file:
                file.append(json.dumps({**content, "utc": utc}) + "\n")
                file.sync()
            self.lines += 1
            return utc
        except OSError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}; the step was not made") from error


def _content_of(one: DatedStep) -> dict[str, Any]:
    return {**content_of(one.step), **({"utc": one.utc} if one.utc else {})}


def _header(permanent: int) -> dict[str, Any]:
    return {"format": _FORMAT, "version": VERSION, **({"permanent_steps": permanent} if permanent else {})}
