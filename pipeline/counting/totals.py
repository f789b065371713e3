"""Sums up events: how many people entered each zone and crossed each line, and what was not counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.counting.counter import LeftOut
from pipeline.counting.events import Direction, Event, How, Kind
from pipeline.counting.settings import CountingSettings, LineSettings, ZoneSettings


@dataclass(frozen=True)
class ZoneTotals:
    """Figures of one zone.

    Attributes:
        people: different people who were inside.
        entered, left: stays that began and ended; `entered - left` people are present.
        appeared, vanished: those of them that began or ended without a person seen outside.
        max_occupancy, max_time_s: most people inside at once, and when first; the time is None if nobody was inside.
        stays: stays that ended, over which the mean and the median are taken; None without any.
    """

    people: int
    entered: int
    appeared: int
    left: int
    vanished: int
    present: int
    max_occupancy: int
    max_time_s: float | None
    stays: int
    mean_dwell_s: float | None
    median_dwell_s: float | None


@dataclass(frozen=True)
class LineTotals:
    """Figures of one line: different people and crossings per direction."""

    in_people: int
    in_crossings: int
    out_people: int
    out_crossings: int


@dataclass(frozen=True)
class Totals:
    """Figures of all zones and lines, by name.

    Attributes:
        epoch_utc: date and time of second 0 of the run's clock; None if unknown.
    """

    zones: Mapping[str, ZoneTotals]
    lines: Mapping[str, LineTotals]
    epoch_utc: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON data, times rounded to milliseconds."""
        return {
            "zones": {
                name: {**_rounded(asdict(one)), "max_utc": self._utc(one.max_time_s)}
                for name, one in self.zones.items()
            },
            "lines": {name: asdict(one) for name, one in self.lines.items()},
        }

    def _utc(self, time_s: float | None) -> str | None:
        if time_s is None or self.epoch_utc is None:
            return None
        moment = self.epoch_utc + timedelta(seconds=round(time_s, 3))
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _most(self, zone: ZoneTotals) -> str:
        """Return the most people and when, such as '5 at 22.0 s' or '5 at 10:06:40 UTC'."""
        if zone.max_time_s is None:
            return "0"
        utc = self._utc(zone.max_time_s)
        return f"{zone.max_occupancy} at " + (f"{zone.max_time_s:.1f} s" if utc is None else f"{utc[11:19]} UTC")

    def tables(self) -> Group:
        """Return tables for the terminal; none of a kind that has no members."""
        tables = []
        if self.zones:
            zones = Table(title="Zones")
            zones.add_column("zone")
            for column in ("people", "entered", "left", "present", "most", "mean", "median"):
                zones.add_column(column, justify="right")
            for name, one in self.zones.items():
                zones.add_row(
                    Text(name),
                    str(one.people),
                    f"{one.entered} ({one.appeared})",
                    f"{one.left} ({one.vanished})",
                    str(one.present),
                    self._most(one),
                    _seconds(one.mean_dwell_s),
                    _seconds(one.median_dwell_s),
                )
            zones.caption = "in brackets: appeared inside, vanished inside; mean and median of finished stays"
            tables.append(zones)
        if self.lines:
            lines = Table(title="Lines")
            lines.add_column("line")
            for column in ("in: people", "crossings", "out: people", "crossings"):
                lines.add_column(column, justify="right")
            for name, each in self.lines.items():
                lines.add_row(
                    Text(name),
                    *map(str, (each.in_people, each.in_crossings, each.out_people, each.out_crossings)),
                )
            tables.append(lines)
        return Group(*tables)


def totals(
    events: Sequence[Event],
    zones: Sequence[ZoneSettings],
    lines: Sequence[LineSettings],
    epoch_utc: datetime | None = None,
) -> Totals:
    """Sum up events, which have their occupancies and are in order of time."""
    return Totals(
        {zone.name: _zone([one for one in events if one.zone == zone.name]) for zone in zones},
        {line.name: _line([one for one in events if one.line == line.name]) for line in lines},
        epoch_utc,
    )


def _zone(events: Sequence[Event]) -> ZoneTotals:
    entered = [one for one in events if one.kind is Kind.ENTER]
    left = [one for one in events if one.kind is Kind.LEAVE]
    fullest = max(entered, key=lambda one: one.occupancy or 0, default=None)
    stays_s = [one.dwell_s or 0.0 for one in left]
    return ZoneTotals(
        people=len({one.global_id for one in entered}),
        entered=len(entered),
        appeared=sum(one.how is How.APPEARED for one in entered),
        left=len(left),
        vanished=sum(one.how is How.VANISHED for one in left),
        present=len(entered) - len(left) - sum(one.kind is Kind.MERGE for one in events),
        max_occupancy=0 if fullest is None else fullest.occupancy or 0,
        max_time_s=None if fullest is None else fullest.time_s,
        stays=len(left),
        mean_dwell_s=fmean(stays_s) if stays_s else None,
        median_dwell_s=median(stays_s) if stays_s else None,
    )


def _line(events: Sequence[Event]) -> LineTotals:
    into = [one.global_id for one in events if one.direction is Direction.IN]
    out = [one.global_id for one in events if one.direction is Direction.OUT]
    return LineTotals(len(set(into)), len(into), len(set(out)), len(out))


def notes(left_out: LeftOut, settings: CountingSettings) -> list[str]:
    """Return sentences about what was not counted."""
    said = []
    if left_out.provisional:
        said.append(
            f"{left_out.provisional} ids are provisional and may change; one person may be counted under several"
        )
    if rows := sum(left_out.without_floor.values()):
        cameras = ", ".join(
            f"{count} of {name}" for name, count in sorted(left_out.without_floor.items()) if count
        )
        said.append(
            f"rows without a floor position do not count on the floor: {rows} of {left_out.rows} ({cameras})"
        )
    if left_out.never_on_floor:
        said.append(f"ids without any floor position, which do not count on the floor: {left_out.never_on_floor}")
    if left_out.fragments:
        said.append(
            f"ids seen for less than {settings.min_seen_s:g} s, which do not count (counting.min_seen_s): "
            f"{left_out.fragments}, with {left_out.fragment_events} events"
        )
    for kind, brief in (("visits", left_out.short_visits), ("crossings there and back", left_out.short_crossings)):
        if names := ", ".join(f"{name} {count}" for name, count in sorted(brief.items()) if count):
            said.append(f"{kind} within {settings.min_s:g} s, which do not count (counting.min_s): {names}")
    if left_out.other_classes:
        classes = ", ".join(f"{name} {count}" for name, count in sorted(left_out.other_classes.items()))
        said.append(f"rows of classes that do not count (counting.classes): {classes}")
    return said


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
