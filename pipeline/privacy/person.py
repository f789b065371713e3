"""The ids under which one person's rows may stand.

A track is one person from its first row to its last, in online ids as in final ones, and no other track of its run and
camera has its number. Rows that were written before linking knew the person carry an id of the track's own, though.
A live run says in remap.csv whose that is; a recording never does, and a run that was killed did not come to it. So
what a track's rows say counts as well: whoever has the later id has the earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.core.datatypes import Correction
from pipeline.files.results_csv import COLUMNS
from pipeline.live.output.segments import run_id_of
from pipeline.privacy.run_folder import RunFolder

_GLOBAL_ID, _CAMERA_ID, _TRACK_ID, _TIME_S, _CONFIDENCE = map(
    COLUMNS.index, ("global_id", "camera_id", "track_id", "time_s", "link_confidence")
)


@dataclass(frozen=True)
class PersonIds:
    """All ids of a person.

    Attributes:
        global_id: the one that counts.
        all: that one and every one that leads to it.
        unwritten: of live runs, the corrections that only rows say and remap.csv does not.
    """

    global_id: int
    all: frozenset[int]
    unwritten: tuple[Correction, ...]


def person_ids(folder: RunFolder, global_id: int) -> PersonIds:
    """Everything that rows and remap.csv say about an id, whether it is an earlier one or the one that counts."""
    in_rows = list(_corrections_in_rows(folder))
    told = {int(row["provisional_id"]): int(row["global_id"]) for row in folder.remaps()}
    # A last word that lets an id stand says only that nothing else was known; rows may know more.
    told = {earlier: later for earlier, later in told.items() if earlier != later}
    leads_to = {one.provisional_id: one.global_id for one in in_rows} | told
    counts = _end(global_id, leads_to)
    same = {earlier for earlier in leads_to if _end(earlier, leads_to) == counts}
    unwritten = (one for one in in_rows if one.run_id and one.provisional_id in same - told.keys())
    return PersonIds(counts, frozenset({counts, *same}), tuple(unwritten))


def _corrections_in_rows(folder: RunFolder) -> Iterator[Correction]:
    """One wherever the id of a track changes."""
    last: dict[tuple[str, str, str], tuple[str, str]] = {}
    for path in folder.csv_files:
        run_id = run_id_of(path)
        for row in folder.rows(path):
            camera_id, track_id = row[_CAMERA_ID], row[_TRACK_ID]
            before, seen_s = last.get((run_id, camera_id, track_id), ("", ""))
            if before not in ("", row[_GLOBAL_ID]):
                yield Correction(
                    time_s=float(seen_s),
                    camera_id=camera_id,
                    track_id=int(track_id),
                    provisional_id=int(before),
                    global_id=int(row[_GLOBAL_ID]),
                    confidence=float(row[_CONFIDENCE]),
                    run_id=run_id,
                )
            last[run_id, camera_id, track_id] = row[_GLOBAL_ID], row[_TIME_S]


def _end(global_id: int, leads_to: Mapping[int, int]) -> int:
    seen: set[int] = set()
    while global_id in leads_to and global_id not in seen:
        seen.add(global_id)
        global_id = leads_to[global_id]
    return global_id
