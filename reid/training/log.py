"""The log of a run: JSON lines, and a plot of loss and mAP over the epochs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.files.whole_files import SHARED_MODE, write_whole

LOG_NAME = "log.jsonl"
PLOT_NAME = "progress.png"


class TrainingLog:
    """Appends to log.jsonl in a run's folder; every entry has "kind" ("iteration" or "epoch") and "iteration"."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_NAME
        self._plot_path = folder / PLOT_NAME

    def clear(self) -> None:
        """Remove the log and the plot of an earlier run in the folder."""
        self._path.unlink(missing_ok=True)
        self._plot_path.unlink(missing_ok=True)

    def append(self, entry: dict[str, Any]) -> None:
        """Write one entry as a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries, without an incomplete last line of a killed run."""
        if not self._path.exists():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def cut_after(self, *, iteration: int, epoch: int) -> None:
        """Remove what a killed run logged after its last saved state, at `iteration` batches and `epoch` epochs."""
        limit = {"iteration": iteration, "epoch": epoch}
        kept = [entry for entry in self.entries() if entry[entry["kind"]] <= limit[entry["kind"]]]
        lines = "".join(json.dumps(entry) + "\n" for entry in kept)
        write_whole(self._path, lines.encode(), mode=SHARED_MODE)

    def plot(self) -> None:
        """Draw progress.png: mean loss of each epoch, and mAP for evaluated epochs."""
        epochs = [entry for entry in self.entries() if entry["kind"] == "epoch"]
        figure = Figure(figsize=(7, 4))
        FigureCanvasAgg(figure)
        loss_axes = figure.subplots()
        loss_axes.plot([e["epoch"] for e in epochs], [e["loss"] for e in epochs], "o-", color="tab:blue")
        loss_axes.set(xlabel="epoch", ylabel="training loss")
        loss_axes.yaxis.label.set_color("tab:blue")
        loss_axes.set_ylim(bottom=0)
        map_axes = loss_axes.twinx()
        for key, style in (("known_cameras", "o-"), ("unknown_cameras", "s--")):
            points = [(e["epoch"], e[key]["mAP"]) for e in epochs if key in e]
            if points:
                label = key.replace("_", " ")
                map_axes.plot(*zip(*points, strict=True), style, color="tab:red", label=label)
        map_axes.set(ylabel="mAP", ylim=(0, 1))
        map_axes.yaxis.label.set_color("tab:red")
        if map_axes.lines:
            map_axes.legend(loc="center right")
        figure.savefig(self._plot_path, dpi=120)
