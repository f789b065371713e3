"""Draws docs/images/counting_events.png: `python tools/counting_picture.py`. It explains docs/counting.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "counting_events.png"
GREEN, RED, BLUE, GREY = "tab:green", "tab:red", "tab:blue", "0.6"


def arrow(axes: Axes, text: str, at: tuple[float, float], place: tuple[float, float], colour: str) -> None:
    axes.annotate(
        text, at, place, color=colour, fontsize=9, ha="center", arrowprops={"arrowstyle": "->", "color": colour}
    )


def zone(axes: Axes) -> None:
    axes.set_title("a zone: the side counts beyond the margin")
    axes.add_patch(Rectangle((2, 1), 6, 4, fill=False, edgecolor="black", linewidth=1.5))
    for step, style in ((-0.5, ":"), (0.5, ":")):
        axes.add_patch(
            Rectangle(
                (2 + step, 1 + step), 6 - 2 * step, 4 - 2 * step, fill=False, edgecolor=GREY, linestyle=style
            )
        )
    x = np.linspace(0, 10, 200)
    y = 3 + 0.25 * np.sin(x)
    axes.plot(x, y, color=BLUE, linewidth=1)
    for at, text, colour in ((2.5, "enter", GREEN), (8.5, "leave", RED)):
        axes.plot(at, 3 + 0.25 * np.sin(at), "o", color=colour)
        arrow(axes, text, (at, 3 + 0.25 * np.sin(at)), (at, 6.0), colour)
    flicker = np.linspace(0, 12 * np.pi, 200)
    axes.plot(2 + 0.4 * np.sin(flicker), np.linspace(1.3, 2.3, 200), color=BLUE, linewidth=1)
    axes.text(2.7, 1.65, "flicker within the margin: no event", fontsize=8, color=BLUE)
    axes.set(xlim=(0, 10), ylim=(0, 6.5), xticks=[], yticks=[])


def line(axes: Axes) -> None:
    axes.set_title("a line: in is from its left to its right")
    axes.plot([5, 5], [0.8, 5.2], color="black", linewidth=1.5)
    axes.annotate("", (5, 5.2), (5, 4.6), arrowprops={"arrowstyle": "-|>", "color": "black"})
    axes.text(5.1, 0.35, "first point", fontsize=8)
    axes.text(5.1, 5.35, "last point", fontsize=8)
    for step in (-0.5, 0.5):
        axes.plot([5 + step, 5 + step], [0.8, 5.2], color=GREY, linestyle=":")
    axes.annotate("", (8, 4), (2, 4), arrowprops={"arrowstyle": "->", "color": GREEN})
    axes.text(7, 4.15, "in", color=GREEN)
    axes.annotate("", (2, 3), (8, 3), arrowprops={"arrowstyle": "->", "color": RED})
    axes.text(2.6, 3.15, "out", color=RED)
    xs = [2, 4, 4.8, 5.2, 4.8, 5.2, 4.8, 5.2, 6, 8]
    axes.plot(xs, np.linspace(1.9, 1.3, len(xs)), "o-", color=BLUE, markersize=3, linewidth=1)
    axes.text(5.9, 1.75, "in, once", color=BLUE, fontsize=8)
    axes.set(xlim=(0, 10), ylim=(0, 6.5), xticks=[], yticks=[])


def times(axes: Axes) -> None:
    axes.set_title("one person over time (max_gap_s = 5, min_s = 0.3)")
    rows = (
        (3, [(0, 4, GREY), (4, 10, GREEN), (12, 18, GREEN), (18, 22, GREY)], "gap of 2 s: bridged",
         [(4, "enter\ncrossed"), (18, "leave\ncrossed")]),
        (2, [(3, 11, GREEN)], "not seen again: left when last seen, known 5 s later",
         [(3, "enter\nappeared"), (11, "leave\nvanished")]),
        (1, [(2, 8, GREY), (8, 8.25, GREEN), (8.25, 14, GREY)], "inside for less than min_s: no event", []),
    )  # fmt: skip
    for y, parts, note, events in rows:
        for begin, end, colour in parts:
            axes.plot([begin, end], [y, y], color=colour, linewidth=7, solid_capstyle="butt")
        axes.text(23, y, note, fontsize=8, va="center")
        for at, text in events:
            axes.text(at, y + 0.22, text, fontsize=7, ha="center", va="bottom")
    axes.text(0, 0.35, "green: seen inside   grey: seen outside   nothing: not seen", fontsize=8)
    axes.set(xlim=(-0.5, 40), ylim=(0.1, 4.0), yticks=[], xlabel="s", xticks=range(0, 23, 2))


def main() -> None:
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplot_mosaic([["zone", "line"], ["times", "times"]])
    zone(panels["zone"])
    line(panels["line"])
    times(panels["times"])
    figure.savefig(PICTURE, dpi=90)


if __name__ == "__main__":
    main()
