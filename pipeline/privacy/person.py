"""The ids under which one person's rows may stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.privacy.run_folder import RunFolder


@dataclass(frozen=True)
class PersonIds:
    """All ids of a person.

    Attributes:
        global_id: the one that counts.
        all: that one and every provisional one that was corrected to it.
    """

    global_id: int
    all: frozenset[int]


def person_ids(folder: RunFolder, global_id: int) -> PersonIds:
    """Everything that remap.csv says about an id, whether it is the provisional one or the one that counts."""
    leads_to = {int(row["provisional_id"]): int(row["global_id"]) for row in folder.remaps()}
    counts = _end(global_id, leads_to)
    same = {provisional for provisional in leads_to if _end(provisional, leads_to) == counts}
    return PersonIds(counts, frozenset({counts, *same}))


def _end(global_id: int, leads_to: Mapping[int, int]) -> int:
    seen: set[int] = set()
    while global_id in leads_to and global_id not in seen:
        seen.add(global_id)
        global_id = leads_to[global_id]
    return global_id
