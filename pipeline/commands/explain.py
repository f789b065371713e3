"""`mtmc explain`: tells why tracks have their global id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from pipeline.core.decisions import Candidate, Decision, Outcome, Stage, TrackKey
from pipeline.core.errors import InputError
from pipeline.recorded.decision_sentences import facts, sentence
from pipeline.recorded.explanation import DecidedRun, read_decided_run
from pipeline.review.track_history import TrackHistory


def explain(
    folder: Annotated[Path, typer.Argument(help="Output folder of `track`.", metavar="DIR")],
    track: Annotated[
        list[str] | None,
        typer.Option(
            "--track", "-t", help="A track of a camera; may be given several times.", metavar="CAMERA:TRACK"
        ),
    ] = None,
    person: Annotated[
        int | None, typer.Option("--id", min=1, help="All tracks of this person (global id).", metavar="N")
    ] = None,
) -> None:
    """Tell why a track has its global id: what was decided when, online and in the second pass, and why; and which
    steps of a review (`mtmc review`) changed it.

    The tables show the nearest candidates, with their cosine distance and floor distance. Cost 1 is the limit. An
    impossible candidate is not chosen, however near it is. Online ids are numbers of the online linker, and the column
    "person" has the global ids of their tracks in trajectories.csv.

    Example:

        mtmc explain results --track hall:3
    """
    if not track and person is None:
        raise InputError(
            "give --track CAMERA:TRACK or --id N; `global_id` and `track_id` of trajectories.csv have them"
        )
    run = read_decided_run(folder)
    keys = [run.track(text) for text in track or ()]
    if person is not None:
        keys += run.tracks_of(person)
    console = Console(markup=False, highlight=False)
    for key in dict.fromkeys(keys):
        _print_track(console, run, key)


def _print_track(console: Console, run: DecidedRun, key: TrackKey) -> None:
    history = run.review.tracks.get(key)
    if history is not None and history.deleted:
        console.print(
            f"Track {key[1]} of camera {key[0]}: not in trajectories.csv, because a review deleted it",
            style="bold",
            soft_wrap=True,
        )
        _print_decided(console, run, key, history)
        return
    if key not in run.tracks:
        console.print(
            f"Track {key[1]} of camera {key[0]}: not in trajectories.csv, because it never moved "
            "(tracker.leave_out_still)",
            style="bold",
            soft_wrap=True,
        )
        _print_decisions(console, run, run.left_out[key])
        console.print()
        return
    rows = run.tracks[key]
    state = "final" if rows.link.final else "provisional"
    console.print(
        f"Track {key[1]} of camera {key[0]}, {rows.start_s:.2f} to {rows.end_s:.2f} s, {rows.observations} boxes: "
        f"{_person(run, rows.link.global_id)} ({state}, confidence {rows.link.confidence:.2f})",
        style="bold",
        soft_wrap=True,
    )
    _print_decided(console, run, key, history)


def _person(run: DecidedRun, global_id: int) -> str:
    name = run.names.get(global_id)
    return f"person {global_id}, {name}" if name else f"person {global_id}"


def _print_decided(console: Console, run: DecidedRun, key: TrackKey, history: TrackHistory | None) -> None:
    """Print the decisions of the run, and what a review changed."""
    if history is not None and history.origin != key:
        console.print(f"  It was a part of track {history.origin[1]}, about which was decided:")
    decisions = run.decisions_about(key)
    if not decisions:
        console.print("  No decision is recorded: the run ended before, or the file is damaged.")
    _print_decisions(console, run, decisions)
    if history is not None:
        console.print("  Review")
        for change in history.changes:
            console.print(f"    {change.sentence}", soft_wrap=True)
    for unknown in run.review.unknown:
        console.print(f"  Review: {unknown}", soft_wrap=True)
    console.print()


def _print_decisions(console: Console, run: DecidedRun, decisions: Sequence[Decision]) -> None:
    for stage in Stage:
        of_stage = [decision for decision in decisions if decision.stage is stage]
        if of_stage:
            console.print(f"  {stage.capitalize()}")
        for decision in of_stage:
            _print_decision(console, run, decision)


def _print_decision(console: Console, run: DecidedRun, decision: Decision) -> None:
    console.print(f"    {sentence(decision)}", soft_wrap=True)
    if decision.outcome in (Outcome.LEFT_OUT, Outcome.TAKEN_BACK):
        return
    if decision.outcome is Outcome.WAITING and not decision.candidates:
        return
    console.print(f"      {facts(decision)}", soft_wrap=True)
    if decision.candidates:
        console.print(Padding(_candidates(run, decision), (0, 0, 0, 6)))


def _candidates(run: DecidedRun, decision: Decision) -> Table:
    online = decision.stage is Stage.ONLINE
    table = Table("online id" if online else "person", box=None, padding=(0, 2, 0, 0))
    if online:
        table.add_column("person")
    for name in ("distance", "floor m", "cost"):
        table.add_column(name, justify="right")
    table.add_column("")
    for candidate in decision.candidates:
        persons = run.persons_of_online_id.get(candidate.global_id, ())
        table.add_row(
            str(candidate.global_id),
            *([", ".join(map(str, persons)) or "–"] if online else []),
            _number(candidate.cosine_distance),
            _number(candidate.floor_distance_m),
            _number(candidate.cost),
            _remark(candidate, decision),
        )
    return table


def _remark(candidate: Candidate, decision: Decision) -> str:
    if candidate.impossible is not None:
        return f"impossible: {candidate.impossible}"
    if candidate.global_id == decision.global_id:
        return "chosen" if decision.stage is Stage.ONLINE else "joined"
    return "above the limit" if candidate.cost is not None and candidate.cost > 1 else ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
