"""`mtmc track`: tracks people in recordings."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipeline.commands.arguments import ConfigOption, OverwriteOption, SetOption, camera_files, overrides_of
from pipeline.commands.report import write_with_progress
from pipeline.commands.short_options import (
    ClassesOption,
    ConfidenceOption,
    DeviceOption,
    EndOption,
    HalfOption,
    ImageSizeOption,
    ShowOption,
    SourceOption,
    StartOption,
    StrideOption,
    with_short_options,
)
from pipeline.config.config import Config, load_config, named_sources
from pipeline.core.errors import InputError, RunError
from pipeline.recorded import track as tracking
from pipeline.recorded.run_summary import PERSON, RunSummary
from pipeline.sources.base import FrameSource

_log = logging.getLogger(__name__)


def track(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Video file, image folder or glob, or MOT sequence folder of a camera; CAMERA=PATH names it. A folder "
            "of videos is one camera per video.",
            metavar="SOURCE...",
        ),
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", metavar="DIR")] = Path(
        "results"
    ),
    overwrite: OverwriteOption = False,
    detections: Annotated[
        list[str] | None,
        typer.Option(
            "--detections",
            "-d",
            help="Saved detections (.parquet) or MOT det.txt of a camera, in place of the detector.",
            metavar="CAMERA=FILE",
        ),
    ] = None,
    save_detections: Annotated[
        bool, typer.Option("--save-detections", help="Keep the detections as detections/CAMERA.parquet.")
    ] = False,
    save_embeddings: Annotated[
        bool, typer.Option("--save-embeddings", help="Keep the detections with an embedding of every box (slow).")
    ] = False,
    video: Annotated[bool, typer.Option("--video", help="Draw the result as trajectories.mp4.")] = False,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Fill gaps inside tracks with rows marked interpolated.")
    ] = False,
    frame_rate: Annotated[
        float | None,
        typer.Option(help="Frames per second of sources without this information, such as image folders."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write report.html, a page with people, paths and doubtful links.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON; everything else goes to stderr.")
    ] = False,
    more_sources: SourceOption = None,
    conf: ConfidenceOption = None,
    imgsz: ImageSizeOption = None,
    device: DeviceOption = None,
    classes: ClassesOption = None,
    half: HalfOption = None,
    show: ShowOption = None,
    start: StartOption = None,
    end: EndOption = None,
    stride: StrideOption = None,
) -> None:
    """Track people through the recordings of one or several cameras.

    Writes trajectories.csv (one row per box, the same global_id for a person in every camera), the same as MOT text per
    camera, run.json, tracklets.arrow and decisions.jsonl. The README explains the columns, configs/default.yaml the
    settings. With -v, the summary has the time of each stage.

    Example:

        mtmc track entrance=videos/entrance.mp4 hall=videos/hall.mp4 --output results --video
    """
    console = Console(markup=False, stderr=as_json)
    cameras = named_sources([*(sources or ()), *(more_sources or ())])
    if frame_rate is not None:
        if not cameras:
            raise InputError(
                "--frame-rate goes with SOURCE arguments; in a configuration it is cameras.frame_rate"
            )
        cameras = [{**camera, "frame_rate": frame_rate} for camera in cameras]
    overrides = _overrides(
        settings,
        {
            "save_detections": save_detections or save_embeddings,
            "save_embeddings": save_embeddings,
            "video": video,
            "interpolate": interpolate,
        },
    )
    overrides = with_short_options(
        overrides,
        conf=conf,
        imgsz=imgsz,
        device=device,
        classes=classes,
        half=half,
        start=start,
        end=end,
        stride=stride,
        show=show,
    )
    loaded = load_config(config, overrides, cameras=cameras)
    summary = track_with_progress(loaded, output, camera_files("--detections", detections), overwrite, console)
    console.print(f"Wrote {summary.rows} rows to {output / 'trajectories.csv'}", highlight=False, soft_wrap=True)
    if summary.counted is not None:
        events = output / "events.csv"
        console.print(f"Wrote {len(summary.counted.events)} events to {events}", highlight=False, soft_wrap=True)
    if report:
        write_with_progress(output, None, console=console)
    if as_json:
        print(json.dumps({"output": str(output), **summary.to_dict()}, indent=1))
    if not summary.frames:
        console.print("No frame of any recording was used.", style="yellow")
    elif not summary.rows:
        console.print(f"{_nothing(loaded)} was found in any recording.", style="yellow")
    if summary.problems:
        raise RunError("; ".join(summary.problems) + f"; the results up to that point are in {output}")


def track_with_progress(
    config: Config, output: Path, detections: dict[str, Path], overwrite: bool, console: Console
) -> RunSummary:
    """Run `pipeline.recorded.track.track` with a progress bar over all cameras, then print the tables of its
    summary."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tracked = progress.add_task("opening", total=None, unit="frames")
        drawn = progress.add_task("drawing trajectories.mp4", total=None, unit="seconds", visible=False)

        def on_start(sources: Sequence[FrameSource]) -> None:
            counts = [source.frame_count for source in sources]
            total = None if None in counts else sum(count or 0 for count in counts)
            progress.update(
                tracked, description=f"tracking {len(sources)} camera{'s' * (len(sources) != 1)}", total=total
            )
            lengths_s = [(source.frame_count or 0) / source.frame_rate for source in sources]
            progress.update(drawn, total=None if total is None else round(max(lengths_s, default=0)))

        def on_image(time_s: float) -> None:
            if not began_s:
                began_s.append(time_s)
            progress.update(drawn, completed=round(time_s - began_s[0]), visible=True)

        began_s: list[float] = []
        summary = tracking.track(
            config,
            output,
            detections=detections,
            overwrite=overwrite,
            on_start=on_start,
            on_frame=lambda camera_id: progress.advance(tracked),
            on_image=on_image,
        )
    console.print(summary.tables(verbose=_log.isEnabledFor(logging.INFO)))
    weights = {"detector": config.detector.weights, "embedder": config.embedder.weights or ""}
    for model, computation in summary.computed_by.items():
        console.print(f"{model.capitalize()}: {Path(weights[model]).name}, {computation}", highlight=False)
    return summary


def _nothing(config: Config) -> str:
    people = config.detector.classes == [PERSON]
    return "Nobody" if people else f"Nothing of the classes {', '.join(config.detector.classes)}"


def _overrides(settings: Sequence[str] | None, flags: dict[str, bool]) -> dict[str, Any]:
    overrides = overrides_of(settings)
    # A flag that is not given does not change the configuration.
    output = overrides.setdefault("output", {})
    if isinstance(output, dict):  # otherwise loading reports the error
        output.update({name: True for name, given in flags.items() if given})
    return overrides
