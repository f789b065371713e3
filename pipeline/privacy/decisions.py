"""What decisions.jsonl says about persons, found by the tracks of which it speaks.

Lines are about tracks, and name other people as candidates by the id that the deciding stage used. An id of the online
linker is another person's in the second pass, so both are looked up through the tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.decisions import Decision, Stage, TrackKey
from pipeline.files.decision_file import decision_in, decision_line
from pipeline.files.regular_file import open_regular
from pipeline.privacy.run_folder import replacing

_Ids = frozenset[tuple[Stage, int]]


@dataclass(frozen=True)
class PurgedLines:
    """What was deleted from decisions.jsonl.

    Attributes:
        gone: lines about deleted tracks.
        damaged: lines that could not be read, and were deleted.
        hopeless: no line is a decision, so the file was left as it is.
    """

    gone: int = 0
    damaged: int = 0
    hopeless: bool = False


def purge_decisions(path: Path, left: Callable[[TrackKey], bool]) -> PurgedLines:
    """Delete the lines about tracks that are not `left`, and the people of these tracks as candidates in other lines.

    Raises:
        RunError: the file cannot be rewritten.
    """
    lines = gone = damaged = 0
    changed = False
    ids = _ids_of(path, lambda key: not left(key))
    for _, decision in _decisions(path):
        if decision is None:
            damaged += 1
        elif not left(decision.key):
            gone += 1
        else:
            changed |= _without(decision, ids, left) != decision
        lines += decision is not None
    if damaged and not lines:
        return PurgedLines(hopeless=True)
    if gone or damaged or changed:
        with replacing(path) as part, part.open("wb") as file:
            for line, decision in _decisions(path):
                if decision is None or not left(decision.key):
                    continue
                kept = _without(decision, ids, left)
                file.write(line if kept == decision else f"{decision_line(kept)}\n".encode())
    return PurgedLines(gone, damaged)


def decisions_about(path: Path, tracks: Callable[[TrackKey], bool]) -> list[Decision]:
    """Return the decisions about some tracks of one person; other people are left out as candidates."""
    own = _ids_of(path, tracks)
    return [
        replace(
            decision,
            candidates=tuple(one for one in decision.candidates if (decision.stage, one.global_id) in own),
        )
        for _, decision in _decisions(path)
        if decision is not None and tracks(decision.key)
    ]


def _ids_of(path: Path, tracks: Callable[[TrackKey], bool]) -> _Ids:
    """Return the ids that some tracks have, in each stage."""
    return frozenset(
        (decision.stage, decision.global_id)
        for _, decision in _decisions(path)
        if decision is not None and decision.global_id is not None and tracks(decision.key)
    )


def _without(decision: Decision, ids: _Ids, left: Callable[[TrackKey], bool]) -> Decision:
    """Return a decision without candidates that have one of `ids`, and without tracks that are not `left`."""
    return replace(
        decision,
        candidates=tuple(one for one in decision.candidates if (decision.stage, one.global_id) not in ids),
        joined=tuple(filter(left, decision.joined)),
    )


def _decisions(path: Path) -> Iterator[tuple[bytes, Decision | None]]:
    """Yield each line with its decision, None for a damaged line."""
    with open_regular(path) as file:
        for line in file:
            yield line, decision_in(line)
