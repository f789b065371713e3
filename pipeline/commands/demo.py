"""`mtmc demo`: the whole pipeline on the scene that comes with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import OverwriteOption
from pipeline.commands.report import write_with_progress
from pipeline.commands.track import track_with_progress
from pipeline.config.config import load_config
from pipeline.core.paths import PROJECT_ROOT
from pipeline.files.json_file import write_json
from pipeline.files.run_folder import FLOOR_ALONE_NAME, STILL_NAME
from pipeline.recorded.track import draw_video, track

DEMO_CONFIG = PROJECT_ROOT / "configs" / "demo.yaml"
SCENE = PROJECT_ROOT / "demo" / "scene"
# Time of the still picture in the scene, in seconds. At this time people are in all three views.
_STILL_S = 12.0


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")] = Path(
        "runs/demo"
    ),
    overwrite: OverwriteOption = False,
) -> None:
    """Track the demo scene (three cameras, rendered people), score it, draw the result, and report it.

    Writes trajectories.csv, scores.json, demo.mp4, still.png and report.html to DIR. Tracks the same detections again
    without re-identification, to show its effect; that run is in DIR/floor_alone. The effect of better boxes ("perfect
    boxes") is in the table of `mtmc benchmark trackers configs/benchmark/demo.yaml`.

    Example:

        mtmc demo --output runs/demo
    """
    from pipeline.scoring.evaluation import evaluate as evaluate_files
    from pipeline.scoring.evaluation_tables import comparison_table, linking_table, scores_table

    console = Console(markup=False)
    config = load_config(DEMO_CONFIG, {"output": {"save_detections": True}})
    track_with_progress(config, output, {}, overwrite, console)
    truth = {camera.name: SCENE / f"{camera.name}_gt.txt" for camera in config.cameras}
    scores = evaluate_files([output / "trajectories.csv"], truth)
    write_json(output / "scores.json", scores.to_dict())
    console.print(scores_table(scores))
    console.print(linking_table(scores))
    blind = load_config(DEMO_CONFIG, {"embedder": {"weights": None}})
    detections = {camera.name: output / "detections" / f"{camera.name}.parquet" for camera in config.cameras}
    with console.status("tracking without re-identification"):
        track(blind, output / FLOOR_ALONE_NAME, detections=detections, overwrite=overwrite)
    without = evaluate_files([output / FLOOR_ALONE_NAME / "trajectories.csv"], truth)
    write_json(output / FLOOR_ALONE_NAME / "scores.json", without.to_dict())
    console.print(
        comparison_table({"linked by appearance, floor and time": scores, "by floor and time alone": without})
    )
    with console.status("drawing demo.mp4"):
        draw_video(config, output, still_s=_STILL_S)
    (output / "trajectories.mp4").replace(output / "demo.mp4")
    for name in ("trajectories.csv", "scores.json", "demo.mp4", STILL_NAME):
        console.print(f"Wrote {output / name}", highlight=False, soft_wrap=True)
    write_with_progress(output, None, ground_truth=truth, console=console)
