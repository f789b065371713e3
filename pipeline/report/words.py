"""Times, numbers and names of a report as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.recorded.people import Person
from pipeline.recorded.run_summary import PERSON


@dataclass(frozen=True)
class Clock:
    """Writes times of a run.

    Attributes:
        epoch_utc: date and time of second 0; None if it is unknown, then times count from there.
        end_s: time of the last row, which decides how many digits a time needs.
    """

    epoch_utc: datetime | None
    end_s: float

    def text(self, time_s: float) -> str:
        """Return a time of day (UTC) or, without a date, minutes and seconds on the clock of the run."""
        if self.epoch_utc is not None:
            return (self.epoch_utc + timedelta(seconds=time_s)).strftime("%H:%M:%S")
        sign, rest = ("-" if time_s < 0 else ""), abs(time_s)
        if self.end_s < 600:
            tenths = round(10 * rest)
            return f"{sign}{tenths // 600}:{tenths % 600 / 10:04.1f}"
        seconds = round(rest)
        hours, minutes = seconds // 3600, seconds // 60 % 60
        return (
            f"{sign}{hours}:{minutes:02}:{seconds % 60:02}"
            if self.end_s >= 3600
            else f"{sign}{minutes}:{seconds % 60:02}"
        )

    def span(self, start_s: float, end_s: float) -> str:
        """Return two times as text."""
        return f"{self.text(start_s)} – {self.text(end_s)}"

    @property
    def unit(self) -> str:
        """What the times are, in words."""
        if self.epoch_utc is not None:
            return f"time of day in UTC, from {self.epoch_utc:%Y-%m-%d}"
        return (
            "hours, minutes and seconds"
            if self.end_s >= 3600
            else "minutes and seconds" + " on the clock of the run"
        )


def started_text(started_utc: str) -> str:
    """Return the start of a run in run.json as a date and time; '' if it is unknown."""
    try:
        return f"{datetime.fromisoformat(started_utc).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""


def duration_text(seconds: float) -> str:
    """Return a duration in words, such as "4.2 s" or "3 min 05 s"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def listed(texts: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else ""


def name_of(person: Person) -> str:
    """Return "Person 3", "Car 3" for another class, or "Ana (3)" for somebody whom a review has named."""
    if person.name:
        return f"{person.name} ({person.global_id})"
    return f"{person.class_name.capitalize()} {person.global_id}"


def nouns(people: Sequence[Person]) -> tuple[str, str]:
    """Return what the report counts, one and several: people, or objects if there are other classes."""
    return ("person", "people") if {person.class_name for person in people} <= {PERSON} else ("object", "objects")


def percent(share: float | None) -> str:
    """Return a share in percent with one digit, a dash if there is none."""
    return "–" if share is None else f"{100 * share:.1f}"
