"""decisions.jsonl: why each track of a recording has its global id, one decision per line.

Decisions of the online linker are appended during the run, those of the second pass after it. At any time, every line
is complete. docs/explain.md describes the keys.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.core.decisions import Candidate, Decision, Obstacle, Outcome, Reason, Stage, TrackKey
from pipeline.core.errors import InputError, RunError
from pipeline.files.regular_file import open_regular
from pipeline.files.run_folder import DECISIONS_NAME
from pipeline.files.whole_files import SHARED_MODE, BufferedLines, replacing

KIND = "decision"
SCHEMA_VERSION = 1
_log = logging.getLogger(__name__)


class DecisionWriter:
    """Writes decisions into a file, which it replaces; a context manager.

    Raises:
        RunError: the file cannot be written, for example because the disk is full; earlier lines are kept.
    """

    def __init__(self, path: Path) -> None:
        self._lines = BufferedLines(path)

    def write(self, decision: Decision) -> None:
        """Add a decision."""
        self._lines.write_line(decision_line(decision))

    def flush_if_due(self) -> None:
        """Flush if the last flush was half a second ago; call this while no decisions come."""
        self._lines.flush_if_due()

    def flush(self) -> None:
        """Pass all waiting lines to the operating system."""
        self._lines.flush()

    def __enter__(self) -> DecisionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()


def decision_line(decision: Decision) -> str:
    """Return a decision as JSON without line end; numbers are rounded to what is known of them."""
    content = {"version": SCHEMA_VERSION, "kind": KIND, **asdict(decision)}
    content["time_s"] = round(decision.time_s, 3)
    content["limit"] = _rounded(decision.limit)
    content["mean_weight"] = _rounded(decision.mean_weight)
    content["candidates"] = [
        {name: _rounded(value) if isinstance(value, float) else value for name, value in asdict(one).items()}
        for one in decision.candidates
    ]
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def decision_in(line: bytes) -> Decision | None:
    """Return the decision in a line, None if it is damaged."""
    try:
        return _decision(json.loads(line)) if line.endswith(b"\n") else None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def read_decisions(path: Path) -> Iterator[Decision]:
    """Yield the decisions of a file in its order. Damaged lines, and an incomplete last line that a kill left, are left
    out with a warning.

    Raises:
        InputError: the file cannot be read, or no line of it is a decision.
    """
    damaged: list[int] = []
    found = 0
    try:
        with open_regular(path) as file:
            for number, line in enumerate(file, start=1):
                decision = decision_in(line)
                if decision is None:
                    damaged.append(number)
                else:
                    found += 1
                    yield decision
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if damaged and not found:
        raise InputError(f"{path} is not a file of decisions; `track` writes one as {DECISIONS_NAME}")
    if damaged:
        _log.warning("%s: %d lines cannot be read (the first is %d)", path, len(damaged), damaged[0])


def left_out_tracks(path: Path) -> set[TrackKey]:
    """Return the tracks that are left out because they have not moved until their end; none if there is no file.

    Raises:
        InputError: as in `read_decisions`.
    """
    found: set[TrackKey] = set()
    if path.is_file():
        for decision in read_decisions(path):
            if decision.outcome is Outcome.LEFT_OUT:
                found.add(decision.key)
            elif decision.outcome is Outcome.TAKEN_BACK:
                found.discard(decision.key)
    return found


def rewrite_second_pass(source: Path, target: Path, decisions: Iterable[Decision]) -> None:
    """Write the online decisions of `source` (if it exists), then `decisions`, into `target`, which is replaced
    atomically.

    Raises:
        InputError: as in `read_decisions`.
        RunError: `target` cannot be written; it is unchanged.
    """
    try:
        with replacing(target, mode=SHARED_MODE) as part, part.open("w", encoding="utf-8", newline="\n") as file:
            if source.is_file():
                for decision in read_decisions(source):
                    if decision.stage is Stage.ONLINE:
                        file.write(decision_line(decision) + "\n")
            for decision in decisions:
                file.write(decision_line(decision) + "\n")
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror}; it is unchanged") from error


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _decision(content: dict[str, Any]) -> Decision:
    if content["kind"] != KIND or content["version"] != SCHEMA_VERSION:
        raise ValueError(f"kind {content['kind']}, version {content['version']}")
    return Decision(
        stage=Stage(content["stage"]),
        time_s=_number(content["time_s"]),
        camera_id=str(content["camera_id"]),
        track_id=int(content["track_id"]),
        outcome=Outcome(content["outcome"]),
        reason=Reason(content["reason"]),
        global_id=None if content["global_id"] is None else int(content["global_id"]),
        good_crops=int(content["good_crops"]),
        limit=_number_or_none(content["limit"]),
        mean_weight=_number(content["mean_weight"]),
        candidates=tuple(map(_candidate, content["candidates"])),
        joined=tuple((str(camera_id), int(track_id)) for camera_id, track_id in content["joined"]),
    )


def _candidate(content: dict[str, Any]) -> Candidate:
    impossible = content["impossible"]
    return Candidate(
        global_id=int(content["global_id"]),
        cosine_distance=_number_or_none(content["cosine_distance"]),
        floor_distance_m=_number_or_none(content["floor_distance_m"]),
        cost=_number_or_none(content["cost"]),
        impossible=None if impossible is None else Obstacle(impossible),
    )


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a finite number")
    return number


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number(value)
