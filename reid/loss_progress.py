"""A progress bar that shows a loss beside the time left."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def loss_progress(what: str, console: Console) -> Progress:
    """Return a progress bar for tasks with the field `loss`.

    Args:
        what: shown before the bar; may use the task's other fields, as in "epoch {task.fields[epoch]}".
    """
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
        console=console,
    )
