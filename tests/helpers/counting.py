"""Rows and settings for tests of counting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.config.config import Config, load_config
from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.counting.count import Counted, count

#: A square of 10 m and a line through its middle, from (5, 0) to (5, 10): in is towards growing x.
SQUARE = {"name": "square", "polygon_m": [[0, 0], [10, 0], [10, 10], [0, 10]]}
LINE = {"name": "line", "points_m": [[5, 0], [5, 10]]}
#: No margin, no shortest time, nobody a fragment: every position counts as it is.
EXACT = {"margin_m": 0.0, "margin_px": 0.0, "min_s": 0.0, "min_seen_s": 0.0}


def row(
    time_s: float,
    xy_m: tuple[float, float] | None = None,
    *,
    foot_px: tuple[float, float] = (0.0, 0.0),
    person: int = 1,
    camera: str = "cam1",
    class_name: str = "person",
    final: bool = True,
) -> LinkedRow:
    """A row whose box is 2 px wide and stands on `foot_px`."""
    x, y = foot_px
    made = TrajectoryRow(
        camera, person, round(10 * time_s), time_s, class_name, (x - 1, y - 4, x + 1, y), 0.9, xy_m
    )
    return LinkedRow(made, Link(person, 1.0, final))


def walk(
    xs: Sequence[float | None], *, person: int = 1, camera: str = "cam1", start_s: float = 0.0
) -> list[LinkedRow]:
    """A walk along y = 5 with a position each second; None is a second in which the person is not seen."""
    return [
        row(start_s + second, (x, 5.0), person=person, camera=camera)
        for second, x in enumerate(xs)
        if x is not None
    ]


def counting_config(
    zones: Sequence[dict[str, Any]] = (), lines: Sequence[dict[str, Any]] = (), **settings: Any
) -> Config:
    """A configuration with these zones and lines; `settings` are those of `counting`."""
    return load_config(None, {"zones": list(zones), "lines": list(lines), "counting": settings})


def counted(
    rows: Sequence[LinkedRow],
    zones: Sequence[dict[str, Any]] = (),
    lines: Sequence[dict[str, Any]] = (),
    **settings: Any,
) -> Counted:
    """Count the rows in order of time."""
    config = counting_config(zones, lines, **settings)
    in_order = sorted(rows, key=lambda linked: linked.row.time_s)
    return count(in_order, config.zones, config.lines, config.counting)


def told(result: Counted) -> list[str]:
    """The events as short texts: 'enter 1 crossed @2', 'cross 1 in @2.5'."""
    return [
        f"{one.kind} {one.global_id} {one.how or one.direction}".rstrip() + f" @{round(one.time_s, 3):g}"
        for one in result.events
    ]
