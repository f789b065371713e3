"""Scores of several trackers side by side, as Markdown and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.scoring.scores import Scores, SequenceScores


@dataclass(frozen=True, eq=False)
class Contestant:
    """One row of the table.

    Attributes:
        name: name of the tracker.
        scores: on the unchanged boxes.
        ms_per_frame: milliseconds of association for one frame of one camera, without models; includes the appearance
            network of trackers that cannot be called without it.
        perturbed: scores over all cameras on boxes with small random errors, one for each seed.
        perfect_boxes: scores over all cameras on the boxes of the ground truth; None if that was not run.
        computed_by: what computed the boxes and embeddings, one sentence each; empty if unknown.
    """

    name: str
    scores: Scores
    ms_per_frame: float
    perturbed: Sequence[SequenceScores] = ()
    perfect_boxes: SequenceScores | None = None
    computed_by: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {
            "name": self.name,
            "ms_per_frame": self.ms_per_frame,
            "computed_by": list(self.computed_by),
            "scores": self.scores.to_dict(),
            "perfect_boxes": None
            if self.perfect_boxes is None
            else {"hota": self.perfect_boxes.hota, "idf1": self.perfect_boxes.idf1},
            "perturbed": [{"hota": scores.hota, "idf1": scores.idf1} for scores in self.perturbed],
        }


def set_table(name: str, contestants: Sequence[Contestant]) -> list[str]:
    """Return the lines of a Markdown table with the scores over all cameras of a set."""
    seeds = max((len(contestant.perturbed) for contestant in contestants), default=0)
    spread = [f"HOTA, IDF1 on {seeds} perturbed"] if seeds else []
    head = ["", "HOTA", "DetA", "AssA", "IDF1", "MOTA", "id switches", "ms a frame", *spread]
    lines = [f"**{name}**", "", markdown_line(head), markdown_line(["---"] + ["---:"] * (len(head) - 1))]
    for contestant in contestants:
        total = contestant.scores.all_cameras
        shares = (total.hota, total.det_a, total.ass_a, total.idf1, total.mota)
        cells = [contestant.name, *(_percent(share) for share in shares), str(total.id_switches)]
        cells.append(f"{contestant.ms_per_frame:.1f}")
        if seeds:
            cells.append(
                f"{_spread([scores.hota for scores in contestant.perturbed])}, "
                f"{_spread([scores.idf1 for scores in contestant.perturbed])}"
            )
        lines.append(markdown_line(cells))
    return lines


def ladder_table(name: str, contestants: Sequence[Contestant]) -> list[str]:
    """Return the lines of a Markdown table that shows where scores are lost.

    It compares the same tracks not linked, as linked, and linked perfectly, and the linked tracks of perfect boxes.
    "Gap closed" is the part of the IDF1 gap between "not linked" and "linked perfectly" that linking closes.
    """
    lines = [
        f"**{name}**: where the loss is (HOTA / IDF1 over all cameras)",
        "",
        markdown_line(["", "not linked", "as linked", "linked perfectly", "gap closed", "perfect boxes, linked"]),
        markdown_line(["---"] + ["---:"] * 5),
    ]
    for contestant in contestants:
        scores = contestant.scores
        steps = (scores.not_linked, scores.all_cameras, scores.perfect_linking)
        closed = "–" if scores.gap_closed is None else f"{100 * scores.gap_closed:.0f} %"
        lines.append(
            markdown_line(
                [contestant.name, *(_pair(step) for step in steps), closed, _pair(contestant.perfect_boxes)]
            )
        )
    return lines


def markdown_line(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def _pair(scores: SequenceScores | None) -> str:
    return "–" if scores is None else f"{_percent(scores.hota)} / {_percent(scores.idf1)}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _spread(values: Sequence[float | None]) -> str:
    """Return mean and standard deviation in percent."""
    known = [100 * value for value in values if value is not None]
    if len(known) < 2:
        return "–"
    return f"{statistics.mean(known):.1f} ± {statistics.stdev(known):.1f}"
