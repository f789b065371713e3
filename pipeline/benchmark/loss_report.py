"""Measures where links are lost in a benchmark set, and shows it as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.explained_run import explained_runs
from pipeline.benchmark.losses import Cause, Losses, losses
from pipeline.benchmark.report import markdown_line
from pipeline.core.decisions import Stage

#: Title of each table of all sets, and whether it is of the second pass.
SUMMARIES = {
    "Online: boxes by cause, in percent": False,
    "Offline: boxes by cause, in percent": True,
}


@dataclass(frozen=True, eq=False)
class SetLosses:
    """The losses of a set, with online ids and with those of the second pass."""

    online: Losses
    offline: Losses

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {"online": self.online.to_dict(), "offline": self.offline.to_dict()}


def measure_losses(
    chosen: BenchmarkSet, cache: Path, on_step: Callable[[str], None] = lambda what: None
) -> SetLosses:
    """Run this project on the saved detections of a set, and count the losses.

    Args:
        cache: folder for saved detections and embeddings.
        on_step: called with a description of each step.
    """
    found = {
        stage: losses(tracked, chosen.ground_truth, stage)
        for stage, tracked in explained_runs(chosen, cache, on_step)
    }
    return SetLosses(found[Stage.ONLINE], found[Stage.SECOND_PASS])


def losses_table(name: str, found: SetLosses) -> list[str]:
    """Return the lines of a Markdown table with the boxes and tracks of a set by cause."""
    lines = [
        f"**{name}**",
        "",
        markdown_line(["", "online: boxes", "tracks", "offline: boxes", "tracks"]),
        markdown_line(["---"] + ["---:"] * 4),
    ]
    for cause in _occurring([found]):
        cells = [str(cause)]
        for one in (found.online, found.offline):
            cells += [f"{one.boxes[cause]} ({_percent(one, cause)} %)", str(one.tracks[cause])]
        lines.append(markdown_line(cells))
    return lines


def summary_rows(sets: Mapping[str, SetLosses], *, offline: bool) -> list[list[str]]:
    """Return the shares of boxes by cause in percent: a head with the causes, then a row for each set.

    Args:
        offline: whether the boxes have the ids of the second pass; otherwise online ids.
    """
    causes = _occurring(list(sets.values()))
    rows = [["", *causes]]
    for name, one in sets.items():
        found = one.offline if offline else one.online
        rows.append([name, *(_percent(found, cause) for cause in causes)])
    return rows


def summary_tables(sets: Mapping[str, SetLosses]) -> list[str]:
    """Return the lines of two Markdown tables with `summary_rows`."""
    lines = []
    for title, offline in SUMMARIES.items():
        head, *rows = summary_rows(sets, offline=offline)
        align = ["---"] + ["---:"] * (len(head) - 1)
        lines += [f"**{title}**", "", *(markdown_line(row) for row in (head, align, *rows)), ""]
    return lines


def _occurring(sets: Sequence[SetLosses]) -> list[Cause]:
    return [
        cause
        for cause in Cause
        if any(part.boxes[cause] or part.tracks[cause] for one in sets for part in (one.online, one.offline))
    ]


def _percent(found: Losses, cause: Cause) -> str:
    total = found.boxes.total()
    return f"{100 * found.boxes[cause] / total:.1f}" if total else "–"
