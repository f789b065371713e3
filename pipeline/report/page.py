"""Writes the report of a run: one HTML file with its style, drawings and pictures, which needs nothing else."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.errors import InputError, RunError
from pipeline.drawing.visualization import id_colour
from pipeline.files.copies import note_copy
from pipeline.files.run_folder import REPORT_MARK, REPORT_NAME, is_report
from pipeline.files.whole_files import SHARED_MODE, write_whole
from pipeline.recorded.people import Person
from pipeline.recorded.run_summary import PERSON
from pipeline.report.best_boxes import ChosenBox
from pipeline.report.doubtful import DOUBTFUL, Doubt, doubtful_links
from pipeline.report.floor_plan import FloorPlan, floor_plan, paths_of
from pipeline.report.pictures import Picture, cut_pictures
from pipeline.report.run_data import RunData, read_run
from pipeline.report.summary import figures, sentences
from pipeline.report.timeline import Lane, lane_of, ticks
from pipeline.report.transits import camera_graph, transits
from pipeline.report.truth import Compared, Mistake, compare_with_truth
from pipeline.report.words import Clock, counted, duration_text, name_of, nouns, percent, started_text

_log = logging.getLogger(__name__)

# With its pictures, a page for a hundred people must be below 5 MB.
_MOST_PICTURES = 400
_MOST_PARTS = 4
_MOST_OF_A_PERSON = 4
MOST_PEOPLE = 300
MOST_FRAGMENTS = 40
_STATES = {
    "complete": ("good", "complete"),
    "incomplete": ("wait", "incomplete: a recording could not be read to its end"),
    "interrupted": ("wait", "interrupted"),
    "killed": ("wait", "killed"),
    "failed": ("bad", "failed"),
    "running": ("bad", "killed, or still running"),
}
_CAMERA_COLOURS = 8  # of the style sheet


@dataclass(frozen=True)
class Card:
    """A person with pictures and way."""

    person: Person
    boxes: Sequence[ChosenBox]
    plan: FloorPlan | None


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        size_bytes: of the file.
        people, fragments: number of each.
        missing_pictures: number of pictures that could not be cut out.
    """

    path: Path
    size_bytes: int
    people: int
    fragments: int
    missing_pictures: int


@dataclass
class Progress:
    """What is called while pictures are cut out; see `cut_pictures`."""

    on_start: Callable[[int], None] = field(default=lambda frames: None)
    on_frame: Callable[[], None] = field(default=lambda: None)


def write_report(
    folder: Path,
    output: Path | None = None,
    *,
    ground_truth: Mapping[str, Path] | None = None,
    recordings: Mapping[str, str] | None = None,
    pictures: bool = True,
    progress: Progress | None = None,
) -> Written:
    """Write the report of the run in `folder`.

    Args:
        output: the file; None stands for report.html in `folder`. An earlier report is replaced.
        ground_truth: camera -> MOTChallenge ground truth; the report then has scores and mistakes.
        recordings: camera -> where its recording is now, if not where run.json says.
        pictures: whether to cut people out of the recordings.

    Raises:
        InputError: there is no recorded run, its rows or the ground truth are wrong, a camera is unknown, or `output`
            is another file.
        RunError: the file cannot be written; an earlier report stays.
    """
    output = output or folder / REPORT_NAME
    if output.exists() and not is_report(output):
        raise InputError(f"{output} exists and is no report of mtmc: choose another --output")
    run = read_run(folder)
    if strange := sorted((recordings or {}).keys() - run.cameras.keys()):
        raise InputError(
            f"--recording names the camera {strange[0]!r}, but those of the run are {', '.join(run.cameras)}"
        )
    compared = _compared(run, ground_truth) if ground_truth else None
    doubts, doubtful = doubtful_links(run)
    shown = run.persons[:MOST_PEOPLE]
    plan = floor_plan(shown, run.tracks, {name: place for place, name in enumerate(run.cameras)})
    cards = [
        Card(person, _boxes_of(person, run, len(shown)), None if plan is None else paths_of(plan, person))
        for person in shown
    ]
    loose = [_best(run, person.tracks[0].key) for person in run.fragments[:MOST_FRAGMENTS]]
    wanted = {
        box
        for box in (
            *(box for card in cards for box in card.boxes),
            *loose,
            *_boxes_of_doubts(run, doubts),
            *_boxes_of_mistakes(run, compared),
        )
        if box is not None
    }
    found: dict[ChosenBox, Picture] = {}
    problems: list[str] = []
    if pictures:
        progress = progress or Progress()
        found, problems = cut_pictures(
            wanted, run.cameras, recordings or {}, on_start=progress.on_start, on_frame=progress.on_frame
        )
    text = _page(run, cards, plan, doubts, doubtful, compared, found, problems)
    data = text.encode()
    _note_outside(folder, output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, data, mode=SHARED_MODE)
    except OSError as error:
        raise RunError(f"{output} cannot be written: {error.strerror}") from error
    missing = len(wanted) - len(found) if pictures else 0
    return Written(output, len(data), len(run.persons), len(run.fragments), missing)


def _note_outside(folder: Path, output: Path) -> None:
    """Note where a report is that a purge of the folder does not find."""
    if output.resolve().parent == folder.resolve():
        return
    try:
        note_copy(folder, output, "report")
    except OSError as error:
        _log.warning(
            "%s cannot be written (%s): `mtmc person purge` will not name %s among what it does not reach",
            folder,
            error.strerror,
            output,
        )


def _compared(run: RunData, ground_truth: Mapping[str, Path]) -> Compared:
    """Compare the people of a run with ground truth, or its only class."""
    classes = {person.class_name for person in run.people}
    return compare_with_truth(
        run.folder / "trajectories.csv",
        ground_truth,
        class_name=classes.pop() if len(classes) == 1 else PERSON,
        crops_xyxy_px={
            name: crop for name, camera in run.cameras.items() if (crop := camera.crop_xyxy_px) is not None
        },
    )


def _page(
    run: RunData,
    cards: Sequence[Card],
    plan: FloorPlan | None,
    doubts: Sequence[Doubt],
    doubtful: int,
    compared: Compared | None,
    found: Mapping[ChosenBox, Picture],
    problems: Sequence[str],
) -> str:
    clock = Clock(run.epoch_utc, run.end_s)
    number = {name: place for place, name in enumerate(run.cameras)}
    start_s, end_s = run.start_s, run.end_s
    walks = transits(run.persons)
    one, several = nouns(run.people)
    look, word = _STATES.get(run.state or "", ("", run.state or "it is not known how the run ended"))
    context: dict[str, Any] = {
        "mark": REPORT_MARK,
        "style": _style(),
        "icon": Markup(_live_file("icon.svg")),
        "folder": run.folder.resolve().name,
        "run": run,
        "state": {"look": look, "word": word},
        "one": one,
        "several": several,
        "clock": clock,
        "started": started_text(run.started_utc),
        "sentences": sentences(run, clock),
        "figures": figures(run, clock),
        "gaps": [*run.gaps, *problems, *_left_out(run)],
        "number": number,
        "ticks": ticks(start_s, end_s, clock),
        "lanes": [Lane(card.person, lane_of([card.person], number, start_s, end_s, clock)) for card in cards],
        "loose_bars": lane_of(run.fragments, number, start_s, end_s, clock),
        "plan": plan,
        "walks": walks,
        "graph": camera_graph(run.persons, number, walks) if len(number) > 1 else None,
        "cards": cards,
        "with_card": {card.person.global_id for card in cards},
        "doubts": doubts,
        "doubtful": doubtful,
        "doubtful_below": DOUBTFUL,
        "compared": compared,
        "picture": lambda box: found.get(box) if box is not None else None,
        "most_parts": _MOST_PARTS,
        "best": lambda key: _best(run, key),
        "loose": run.fragments[:MOST_FRAGMENTS],
        "by_camera": _by_camera(run),
    }
    return _environment().get_template("report.html").render(context)


def _left_out(run: RunData) -> list[str]:
    """Return sentences about what the page does not show."""
    told = []
    if len(run.persons) > MOST_PEOPLE:
        told.append(
            f"The page shows the first {MOST_PEOPLE} of {len(run.persons)} by their ids; the counts, the ways between "
            "cameras and the doubtful links are of all"
        )
    if len(run.fragments) > MOST_FRAGMENTS:
        told.append(f"The list of fragments shows the first {MOST_FRAGMENTS} of {len(run.fragments)}")
    return told


def _by_camera(run: RunData) -> dict[str, Counter[str]]:
    """Return for each camera the number of people, fragments, tracks and boxes."""
    found = {name: Counter[str]() for name in run.cameras}
    for person in run.people:
        for camera_id in person.camera_ids:
            found[camera_id]["fragments" if person.is_fragment else "people"] += 1
        for track in person.tracks:
            found[track.camera_id].update(tracks=1, boxes=track.boxes)
    return found


def _boxes_of(person: Person, run: RunData, people: int) -> list[ChosenBox]:
    """Return the boxes of a person to show: the best of each camera first, then of other tracks, then other moments."""
    most = max(1, min(_MOST_OF_A_PERSON, _MOST_PICTURES // max(people, 1)))
    best = [boxes[0] for track in person.tracks if (boxes := run.boxes.get(track.key))]
    best.sort(key=lambda box: box.quality, reverse=True)
    first = list({box.camera_id: box for box in reversed(best)}.values())
    rest = [box for box in best if box not in first]
    later = [box for track in person.tracks for box in run.boxes.get(track.key, ())[1:] if box.quality[0]]
    later.sort(key=lambda box: box.quality, reverse=True)
    chosen = [*sorted(first, key=lambda box: box.quality, reverse=True), *rest, *later][:most]
    return sorted(chosen, key=lambda box: (box.time_s, box.camera_id))


def _best(run: RunData, key: tuple[str, int]) -> ChosenBox | None:
    boxes = run.boxes.get(key, ())
    return boxes[0] if boxes else None


def _boxes_of_doubts(run: RunData, doubts: Iterable[Doubt]) -> list[ChosenBox | None]:
    tracks = [track for doubt in doubts for track in (doubt.track, doubt.beside) if track is not None]
    return [_best(run, track.key) for track in tracks]


def _boxes_of_mistakes(run: RunData, compared: Compared | None) -> list[ChosenBox | None]:
    if compared is None:
        return []
    mistakes: list[Mistake] = [*compared.merged, *compared.split]
    return [_best(run, part.track) for mistake in mistakes for part in mistake.parts[:_MOST_PARTS]]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(counted=counted, name_of=name_of)
    environment.filters.update(
        duration=duration_text,
        percent=percent,
        camera_colour=lambda number: f"var(--camera-{number % _CAMERA_COLOURS})",
        id_colour=_css_colour,
    )
    return environment


def _css_colour(global_id: int) -> str:
    blue, green, red = id_colour(global_id)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _style() -> Markup:
    """Return the style sheet of the live page, and what a report adds."""
    own = files("pipeline.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    return Markup(_live_file("style.css") + own)


def _live_file(name: str) -> str:
    return files("pipeline.live.web").joinpath("static", name).read_text(encoding="utf-8")
