"""Finds all ids under which the rows of one person are stored.

All rows of a track belong to one person, with online ids and with final ids. The track's number is unique in its run
and camera. Rows written before the person was known carry a provisional id. A live run writes the
person's id to remap.csv. A recorded run does not, and a killed run may not have done so. Therefore the rows are used as
well: if the id of a track changes, the earlier id belongs to the person with the later id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.core.datatypes import Correction
from pipeline.files.results_csv import COLUMNS
from pipeline.live.output.segments import current_id, run_id_of
from pipeline.privacy.run_folder import RunFolder

_GLOBAL_ID, _CAMERA_ID, _TRACK_ID, _TIME_S, _CONFIDENCE = map(
    COLUMNS.index, ("global_id", "camera_id", "track_id", "time_s", "link_confidence")
)


@dataclass(frozen=True)
class PersonIds:
    """All ids of a person.

    Attributes:
        global_id: the current id.
        all: this id and all earlier ids that lead to it.
        unwritten: for live runs, the corrections that follow from rows but are not in remap.csv.
    """

    global_id: int
    all: frozenset[int]
    unwritten: tuple[Correction, ...]


def person_ids(folder: RunFolder, global_id: int) -> PersonIds:
    """Return all ids of a person, from rows and remap.csv; `global_id` is an earlier id or the current one."""
    in_rows = list(_corrections_in_rows(folder))
    told = {int(row["provisional_id"]): int(row["global_id"]) for row in folder.remaps()}
    # A last correction that confirms an id only means that nothing else was known; the rows may show more.
    told = {earlier: later for earlier, later in told.items() if earlier != later}
    leads_to = {one.provisional_id: one.global_id for one in in_rows} | told
    counts = current_id(global_id, leads_to)
    same = {earlier for earlier in leads_to if current_id(earlier, leads_to) == counts}
    unwritten = (one for one in in_rows if one.run_id and one.provisional_id in same - told.keys())
    return PersonIds(counts, frozenset({counts, *same}), tuple(unwritten))


def _corrections_in_rows(folder: RunFolder) -> Iterator[Correction]:
    """Yield a correction wherever the id of a track changes."""
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
