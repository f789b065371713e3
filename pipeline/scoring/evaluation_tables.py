"""Scores as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from pipeline.scoring.scores import Scores

_SHARES = {
    "HOTA": "hota",
    "DetA": "det_a",
    "AssA": "ass_a",
    "IDF1": "idf1",
    "IDP": "idp",
    "IDR": "idr",
    "MOTA": "mota",
}
_COUNTS = {
    "id switches": "id_switches",
    "false positives": "false_positives",
    "false negatives": "false_negatives",
    "ground-truth boxes": "ground_truth_boxes",
    "predicted boxes": "predicted_boxes",
    "ground-truth ids": "ground_truth_ids",
    "predicted ids": "predicted_ids",
}


def scores_table(scores: Scores, note: str | None = None) -> Table:
    """Return a table with one column per camera and one for all cameras, one row per metric. Shares are in percent;
    `note` becomes the caption."""
    columns = {**scores.cameras, "all cameras": scores.all_cameras}
    table = Table("", *columns, caption=note)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, name in _SHARES.items():
        table.add_row(f"{label} %", *(_percent(getattr(column, name)) for column in columns.values()))
    table.add_section()
    for label, name in _COUNTS.items():
        table.add_row(label, *(str(getattr(column, name)) for column in columns.values()))
    return table


def linking_table(scores: Scores) -> Table:
    """Return a table of the scores over all cameras for the same tracks not linked, linked by this run, and linked
    perfectly. The caption says how much of the gap between the first and the last linking closes."""
    closed = scores.gap_closed
    caption = None if closed is None else f"linking closes {100 * closed:.0f} % of the gap in IDF1"
    table = Table("all cameras", "HOTA %", "AssA %", "IDF1 %", caption=caption)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, row in (
        ("not linked", scores.not_linked),
        ("this run", scores.all_cameras),
        ("perfect linking of the same tracks", scores.perfect_linking),
    ):
        table.add_row(label, _percent(row.hota), _percent(row.ass_a), _percent(row.idf1))
    return table


def comparison_table(runs: Mapping[str, Scores]) -> Table:
    """Return a table of the scores over all cameras of several runs, by name."""
    table = Table("all cameras", "HOTA %", "AssA %", "IDF1 %")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, scores in runs.items():
        row = scores.all_cameras
        table.add_row(label, _percent(row.hota), _percent(row.ass_a), _percent(row.idf1))
    return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
