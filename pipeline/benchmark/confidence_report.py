"""Measures the confidence of links in benchmark sets, and shows it as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.confidence import (
    BIN_ENDS,
    Bin,
    Judged,
    JudgedLink,
    Kind,
    calibration_error,
    judge,
    reliability,
    to_dict,
)
from pipeline.benchmark.confidence_fit import LeftOut, leave_one_out
from pipeline.benchmark.explained_run import explained_runs
from pipeline.benchmark.report import markdown_line
from pipeline.core.decisions import Stage

_STAGE_NAMES = {Stage.ONLINE: "online", Stage.SECOND_PASS: "offline"}


@dataclass(frozen=True, eq=False)
class SetConfidence:
    """The judged links of a set.

    Attributes:
        recordings: what its cameras show; sets with a recording in common are one place.
        stages: with online ids, and with those of the second pass.
    """

    recordings: frozenset[str]
    stages: Mapping[Stage, Judged]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {_STAGE_NAMES[stage]: to_dict(judged) for stage, judged in self.stages.items()}


def measure_confidence(
    chosen: BenchmarkSet, cache: Path, on_step: Callable[[str], None] = lambda what: None
) -> SetConfidence:
    """Run this project on the saved detections of a set, and judge its links.

    Args:
        cache, on_step: as in `explained_runs`.
    """
    stages = {
        stage: judge(tracked, chosen.ground_truth, stage)
        for stage, tracked in explained_runs(chosen, cache, on_step)
    }
    return SetConfidence(frozenset(camera.source for camera in chosen.config.cameras), stages)


def reliability_table(title: str, sets: Iterable[SetConfidence]) -> list[str]:
    """Return the lines of a Markdown table: a row per bin, a column per stage and kind, over all links of some sets."""
    chosen = list(sets)
    judged = {stage: [one.stages[stage] for one in chosen] for stage in Stage}
    columns = [
        [link for part in judged[stage] for link in part.links if link.kind is kind]
        for stage in Stage
        for kind in Kind
    ]
    tables = [reliability(links) for links in columns]
    heads = [f"{_STAGE_NAMES[stage]}: {_heading(kind)}" for stage in Stage for kind in Kind]
    lines = [
        f"**{title}**",
        "",
        markdown_line(["confidence", *heads]),
        markdown_line(["---"] + ["---:"] * len(heads)),
    ]
    for place, name in enumerate(_bin_names()):
        if any(bins[place].links for bins in tables):
            lines.append(markdown_line([name, *(_cell(bins[place]) for bins in tables)]))
    errors = [calibration_error(bins) for bins in tables]
    lines.append(markdown_line(["calibration error", *("–" if e is None else f"{100 * e:.1f}" for e in errors)]))
    uncounted = [
        f"{_STAGE_NAMES[stage]}: {sum(part.follow_nobody for part in parts)} tracks follow nobody, "
        f"{sum(part.not_stated for part in parts)} ended before their link was written"
        for stage, parts in judged.items()
    ]
    return [*lines, "", f"Not judged: {'; '.join(uncounted)}."]


def places(sets: Mapping[str, SetConfidence]) -> dict[str, list[str]]:
    """Return the names of the sets of each place, by the name of its first set. Sets with a recording in common are one
    place."""
    found: list[tuple[set[str], list[str]]] = []
    for name, one in sets.items():
        recordings, names = set(one.recordings), [name]
        apart = []
        for others, other_names in found:
            if others & recordings:
                recordings |= others
                names = other_names + names
            else:
                apart.append((others, other_names))
        found = [*apart, (recordings, names)]
    in_order = [[name for name in sets if name in names] for _, names in found]
    return {names[0]: names for names in in_order}


def left_out(sets: Mapping[str, SetConfidence]) -> dict[Stage, dict[str, LeftOut]]:
    """Return what a mapping of the confidence would change at each place, fitted on the others; fragments are left
    out."""
    found = {}
    for stage in Stage:
        links = {
            place: [link for name in names for link in _own(sets[name].stages[stage].links)]
            for place, names in places(sets).items()
        }
        found[stage] = leave_one_out(links)
    return found


def left_out_table(found: Mapping[Stage, Mapping[str, LeftOut]]) -> list[str]:
    """Return the lines of a Markdown table with `left_out`; empty with a single place."""
    if not any(found.values()):
        return []
    heads = ["links (right)", "power, ceiling", "calibration error", "mapped", "log loss", "mapped"]
    lines = [
        "**A mapping of the confidence, judged on the place that it was not fitted on**",
        "",
        markdown_line(["", "place left out", *heads]),
        markdown_line(["---", "---"] + ["---:"] * len(heads)),
    ]
    for stage, by_place in found.items():
        for place, one in by_place.items():
            cells = [
                f"{one.links} ({100 * one.right:.1f} %)",
                f"{one.mapping.power:.2f}, {one.mapping.ceiling:.3f}",
                f"{100 * one.error:.1f}",
                f"{100 * one.mapped_error:.1f}",
                f"{one.loss:.3f}",
                f"{one.mapped_loss:.3f}",
            ]
            lines.append(markdown_line([_STAGE_NAMES[stage], place, *cells]))
    return lines


def figures(sets: Mapping[str, SetConfidence]) -> dict[str, Any]:
    """Return all figures for JSON."""
    mapped = {
        _STAGE_NAMES[stage]: {place: asdict(one) for place, one in by_place.items()}
        for stage, by_place in left_out(sets).items()
    }
    return {
        "sets": {name: one.to_dict() for name, one in sets.items()},
        "places": places(sets),
        "left_out": mapped,
    }


def _own(links: Sequence[JudgedLink]) -> list[JudgedLink]:
    return [link for link in links if link.kind is not Kind.FRAGMENT]


def _heading(kind: Kind) -> str:
    return "fragments" if kind is Kind.FRAGMENT else f"{kind}, right"


def _bin_names() -> list[str]:
    names = ["0 (not compared)"]
    for low, high in pairwise(BIN_ENDS):
        names.append(f"above {low:g}" if high == 1 else f"above {low:g}, up to {high:g}")
    return names


def _cell(one: Bin) -> str:
    return f"{one.right} of {one.links} ({100 * one.right / one.links:.0f} %)" if one.links else "–"
