"""Notes in a run's folder where commands wrote copies of its rows, so that a purge can name what it does not reach."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.files.whole_files import SHARED_MODE, WholeLines, cut_torn_line

#: Its name does not end in .jsonl: it holds no messages of a sink.
COPIES_NAME = "copies.ndjson"


@dataclass(frozen=True)
class NotedCopies:
    """What the note says.

    Attributes:
        places: paths, each with what is there, such as '/home/me/out (coco)', in order of their first copy.
        damaged: number of lines that cannot be read.
    """

    places: tuple[str, ...] = ()
    damaged: int = 0


def note_copy(folder: Path, place: Path, what: str) -> None:
    """Note that `place`, a file or a folder, now holds rows of the run in `folder`. The note stays when the run is
    replaced, because the copy stays, too.

    Args:
        what: kind of copy, such as coco.

    Raises:
        OSError: the note cannot be written.
    """
    note = folder / COPIES_NAME
    if note.is_file():
        cut_torn_line(note)
    content = {
        "path": os.path.abspath(place),
        "what": what,
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    file = WholeLines(note, mode=SHARED_MODE)
    try:
        file.append(json.dumps(content) + "\n")
        file.sync()
    finally:
        file.close()


def noted_copies(folder: Path) -> NotedCopies:
    """Return the copies that are noted in a folder; none without a note.

    Raises:
        OSError: the note cannot be read.
    """
    places: dict[str, None] = {}
    damaged = 0
    try:
        lines = (folder / COPIES_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return NotedCopies()
    for line in lines:
        try:
            content = json.loads(line)
            path, what = content["path"], content["what"]
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged += 1
            continue
        if not (isinstance(path, str) and isinstance(what, str)) or "\0" in path:
            damaged += 1
            continue
        places[f"{path} ({what})" if os.path.lexists(path) else f"{path} ({what}, no longer there)"] = None
    return NotedCopies(tuple(places), damaged)
