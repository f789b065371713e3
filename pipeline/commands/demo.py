"""`mtmc demo`: the whole way on the scene that the project ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import OverwriteOption
from pipeline.commands.track import draw_video, track_recordings
from pipeline.config import PROJECT_ROOT, load_config

DEMO_CONFIG = PROJECT_ROOT / "configs" / "demo.yaml"
SCENE = PROJECT_ROOT / "demo" / "scene"
# Seconds into the scene of the still picture: people in all three views.
_STILL_S = 12.0


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")] = Path(
        "runs/demo"
    ),
    overwrite: OverwriteOption = False,
) -> None:
    """Track the demo scene (three cameras, people made by a computer), score it, and draw the result.

    Leaves trajectories.csv, scores.json, demo.mp4 and still.png in DIR.

    Example:

        mtmc demo --output runs/demo
    """
    from pipeline.evaluation import evaluate as evaluate_files
    from pipeline.evaluation import linking_table, scores_table

    console = Console()
    config = load_config(DEMO_CONFIG)
    summary = track_recordings(config, output, {}, overwrite, console)
    console.print(summary.tables())
    truth = {camera.name: SCENE / f"{camera.name}_gt.txt" for camera in config.cameras}
    scores = evaluate_files(output / "trajectories.csv", truth)
    (output / "scores.json").write_text(json.dumps(scores.to_dict(), indent=1) + "\n", encoding="utf-8")
    console.print(scores_table(scores))
    console.print(linking_table(scores))
    draw_video(config, output, console, still_s=_STILL_S)
    (output / "trajectories.mp4").replace(output / "demo.mp4")
    for name in ("trajectories.csv", "scores.json", "demo.mp4", "still.png"):
        console.print(f"Wrote {output / name}")
