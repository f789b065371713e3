"""Shows the curves of IDF1 over the limits of trackers, as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.benchmark.report import markdown_line
from pipeline.benchmark.sensitivity import FACTORS, Curve

_COLUMNS = 3


def curves_table(title: str, curves: Sequence[Curve]) -> list[str]:
    """Return the lines of a Markdown table: one row per limit, the widest spread of each tracker first."""
    lines = [
        f"**{title}**: IDF1 in %, each limit alone multiplied by a factor",
        "",
        markdown_line(["tracker", "limit", "value", *(f"x {factor}" for factor in FACTORS), "spread"]),
        markdown_line(["---", "---"] + ["---:"] * (len(FACTORS) + 2)),
    ]
    for tracker in _trackers(curves):
        own = sorted((c for c in curves if c.tracker == tracker), key=lambda c: (-c.spread, c.limit))
        for curve in own:
            cells = [_percent(curve.idf1[factor]) for factor in FACTORS]
            lines.append(
                markdown_line([tracker, curve.limit, f"{curve.value:.3g}", *cells, _percent(curve.spread)])
            )
    return lines


def summary_table(sets: Mapping[str, Sequence[Curve]]) -> list[str]:
    """Return the lines of a Markdown table: for each tracker and set, the limits whose spread is above 2 IDF1, and the
    widest spread."""
    names = list(sets)
    lines = [
        markdown_line(["tracker", "limits", *(f"{name}: widest spread (limits above 2)" for name in names)]),
        markdown_line(["---", "---:"] + ["---:"] * len(names)),
    ]
    for tracker in _trackers([curve for curves in sets.values() for curve in curves]):
        cells, count = [], 0
        for curves in sets.values():
            spreads = [100 * curve.spread for curve in curves if curve.tracker == tracker]
            count = max(count, len(spreads))
            wide = sum(spread > 2 for spread in spreads)
            cells.append(f"{max(spreads):.1f} ({wide})" if spreads else "–")
        lines.append(markdown_line([tracker, str(count), *cells]))
    return lines


def plot_curves(path: Path, sets: Mapping[str, Sequence[Curve]]) -> None:
    """Draw one panel per tracker to a PNG: the curves of all its limits and sets, as the change in IDF1."""
    trackers = _trackers([curve for curves in sets.values() for curve in curves])
    rows = -(-len(trackers) // _COLUMNS)
    figure = Figure(figsize=(4 * _COLUMNS, 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    colours = {name: f"C{number}" for number, name in enumerate(sets)}
    for panel, tracker in zip(panels, trackers, strict=False):
        for name, curves in sets.items():
            label: str | None = name
            for curve in (c for c in curves if c.tracker == tracker):
                plain = curve.idf1[1.0]
                known = {factor: idf1 for factor, idf1 in curve.idf1.items() if idf1 is not None}
                change = [100 * (idf1 - plain) for idf1 in known.values()] if plain is not None else []
                panel.plot(list(known), change, color=colours[name], alpha=0.6, linewidth=1, label=label)
                label = None
        panel.axhspan(-2, 2, color="0.9", zorder=0)
        panel.set_title(tracker, fontsize=10)
        panel.set_xticks(list(FACTORS))
    for panel in panels[len(trackers) :]:
        panel.set_visible(False)
    for panel in panels[: len(trackers)]:
        panel.set(xlabel="factor", ylabel="change in IDF1")
        panel.label_outer()
    panels[0].legend(fontsize=7, loc="lower left")
    figure.savefig(path, dpi=90)


def _trackers(curves: Sequence[Curve]) -> list[str]:
    return list(dict.fromkeys(curve.tracker for curve in curves))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
