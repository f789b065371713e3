"""The table of a run in the terminal: who was in view of which camera, for how long."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from pipeline.recorded.people import Person

_MOST_ROWS = 30
# More columns do not fit on a terminal.
_MOST_CAMERAS = 6


def people_table(persons: Sequence[Person], camera_ids: Sequence[str]) -> Table:
    """Return a table with one row per person and one column per camera. A cell has the seconds in view, and the number
    of stays if there are several; a time in view of several cameras counts once in the column "any". With many cameras,
    one column names them instead. Fragments are counted in the last row."""
    people = [person for person in persons if not person.is_fragment]
    loose = [person for person in persons if person.is_fragment]
    wide = len(camera_ids) <= _MOST_CAMERAS
    table = Table(title="Seconds in view (stays)")
    table.add_column("id", justify="right")
    for name in camera_ids if wide else ["cameras"]:
        table.add_column(Text(name), justify="right" if wide else "left")
    for name in ("any", "link confidence"):
        table.add_column(name, justify="right")
    for person in people[:_MOST_ROWS]:
        cells = [_cell(person, camera_id) for camera_id in camera_ids] if wide else [", ".join(person.camera_ids)]
        name = (
            f"{person.global_id}" if person.class_name == "person" else f"{person.class_name} {person.global_id}"
        )
        table.add_row(Text(name), *map(Text, cells), f"{person.in_view_s:.1f}", f"{person.confidence:.2f}")
    if len(people) > _MOST_ROWS:
        more = len(people) - _MOST_ROWS
        table.add_row(f"and {more} more", *("" for _ in (camera_ids if wide else [""])), "", "")
    if loose:
        table.add_section()
        counts = [sum(camera_id in person.camera_ids for person in loose) for camera_id in camera_ids]
        listed = [str(count or "") for count in counts] if wide else [""]
        table.add_row("fragments", *listed, str(len(loose)), "not compared")
    return table


def _cell(person: Person, camera_id: str) -> str:
    stays = person.stays_in(camera_id)
    if not stays:
        return ""
    seconds = f"{sum(stay.duration_s for stay in stays):.1f}"
    return f"{seconds} ({len(stays)})" if len(stays) > 1 else seconds
