"""The result of a run in plain words."""

from __future__ import annotations

from pipeline.recorded.run_summary import FRAGMENT_TEXT
from pipeline.report.run_data import RunData
from pipeline.report.words import Clock, counted, duration_text, listed, nouns


def sentences(run: RunData, clock: Clock) -> list[str]:
    """Return what happened, as a few sentences."""
    one, several = nouns(run.people)
    persons, loose = run.persons, run.fragments
    cameras = counted(len(run.cameras), "camera")
    if not run.people:
        return [f"Nobody was seen by {cameras}."]
    told = [
        f"{counted(len(persons), one, several)} {_were(len(persons))} seen by {cameras} within "
        f"{duration_text(run.end_s - run.start_s)}, from {clock.text(run.start_s)} to {clock.text(run.end_s)}."
    ]
    in_several = sum(len(person.camera_ids) > 1 for person in persons)
    back = sum(person.came_back for person in persons)
    once = sum(len(person.stays) == 1 for person in persons)
    parts = []
    if len(run.cameras) > 1:
        parts.append(f"{_number(in_several)} {_were(in_several)} in several cameras")
    parts.append(f"{_number(back)} came back to a camera")
    parts.append(f"{_number(once)} {_were(once)} seen once")
    if persons:
        told.append(f"Of these, {listed(parts)}.")
    if loose:
        told.append(f"There {_are(len(loose))} {counted(len(loose), 'fragment')} besides: {FRAGMENT_TEXT}.")
    return told


def figures(run: RunData, clock: Clock) -> dict[str, str]:
    """Return the figures of the run by name."""
    _, several = nouns(run.people)
    persons = run.persons
    found = {several: f"{len(persons):,}"}
    if len(run.cameras) > 1:
        found["in several cameras"] = f"{sum(len(person.camera_ids) > 1 for person in persons):,}"
    found["came back to a camera"] = f"{sum(person.came_back for person in persons):,}"
    found["seen once"] = f"{sum(len(person.stays) == 1 for person in persons):,}"
    found["fragments"] = f"{len(run.fragments):,}"
    found["cameras"] = str(len(run.cameras))
    found["time"] = duration_text(run.end_s - run.start_s)
    found["rows"] = f"{run.rows:,}"
    return found


def _number(count: int) -> str:
    return f"{count:,}" if count else "none"


def _were(count: int) -> str:
    return "was" if count <= 1 else "were"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
