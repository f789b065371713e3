"""`mtmc benchmark`: measures time and memory of the pipeline."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline.assembly import (
    build_detector,
    build_embedder,
    close_sources,
    match_limits,
    open_sources,
)
from pipeline.benchmark.resident_memory import peak_resident_mb, resident_mb
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.commands.arguments import ConfigOption, SetOption, overrides_of
from pipeline.commands.benchmark_find import find_sets
from pipeline.commands.benchmark_load import JsonOption, association, second_pass
from pipeline.commands.benchmark_start import start
from pipeline.commands.campus import campus
from pipeline.commands.confidence import confidence
from pipeline.commands.embedders import embedders
from pipeline.commands.limits import limits
from pipeline.commands.losses import losses
from pipeline.commands.motion import motion
from pipeline.commands.posters import posters
from pipeline.commands.trackers import trackers
from pipeline.config.calibration import resolved_limits
from pipeline.config.config import Config, load_config, named_sources
from pipeline.core.errors import InputError, RunError
from pipeline.core.models import Detector, Models
from pipeline.core.stage_clock import StageClock
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.files.json_file import write_json
from pipeline.recorded.run_summary import RunSummary
from pipeline.recorded.runner import detected_ticks, run
from pipeline.sources.base import BrokenSource

app = typer.Typer(rich_markup_mode="markdown", add_completion=False, pretty_exceptions_enable=False)
app.command(name="trackers")(trackers)
app.command(name="losses")(losses)
app.command(name="motion")(motion)
app.command(name="confidence")(confidence)
app.command(name="limits")(limits)
app.command(name="campus")(campus)
app.command(name="posters")(posters)
app.command(name="embedders")(embedders)
app.command(name="find")(find_sets)
app.command(name="association")(association)
app.command(name="second-pass")(second_pass)
app.command(name="start")(start)


@app.callback(invoke_without_command=True)
def everything(context: typer.Context) -> None:
    """Measure time and memory, and compare identities with those of other trackers.

    Without a command, it runs `trackers` on all sets.

    Example:

        mtmc benchmark
    """
    if context.invoked_subcommand is None:
        trackers()


@app.command()
def speed(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Recordings, as for `track`.", metavar="SOURCE...", show_default=False),
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    runs: Annotated[int, typer.Option(min=1, help="Number of repetitions; the medians are printed.")] = 3,
    json_file: JsonOption = None,
) -> None:
    """Measure milliseconds per stage and camera frame, and the share of detection in the time of a run.

    Every repetition decodes and detects once, and then does a complete run once. Models are loaded and warmed
    up before that.

    Example:

        mtmc benchmark speed --config configs/demo.yaml --runs 1
    """
    loaded = load_config(config, overrides_of(settings), cameras=named_sources(sources or ()))
    models = Models(build_detector(loaded), build_embedder(loaded), {})
    limits = match_limits(loaded, models.embedder_hash)
    detection_s: list[float] = []
    full: list[RunSummary] = []
    console = Console(markup=False)
    for number in range(runs):
        with console.status(f"run {number + 1} of {runs}"):
            detection_s.append(_detection_only(loaded, models.detector))
            full.append(_full_run(loaded, limits, models))
    figures = _speed_figures(detection_s, full)
    table = Table(title=f"Median of {runs}, {figures['camera_frames']} camera frames, {os.cpu_count()} CPU cores")
    table.add_column("stage")
    table.add_column("ms per camera frame", justify="right")
    for stage, milliseconds in figures["stage_ms"].items():
        table.add_row(stage, f"{milliseconds:.2f}")
    table.add_section()
    table.add_row("whole run, wall", f"{figures['full_ms']:.2f}")
    table.add_row("decoding and detection alone, wall", f"{figures['detection_only_ms']:.2f}")
    console.print(table)
    console.print(f"Detection alone takes {figures['detection_share']:.2f} of the whole run's time.")
    console.print(f"Crops embedded: {figures['embedded_crops']} of {figures['boxes']} boxes.")
    write_json(json_file, figures)


@app.command()
def memory(
    frames: Annotated[int, typer.Option(min=2, help="Length of each camera's recording, in frames.")] = 20_000,
    compare: Annotated[int, typer.Option(min=1, help="Compare with the memory at this frame.")] = 2_000,
    cameras: Annotated[int, typer.Option(min=1)] = 4,
    people: Annotated[int, typer.Option(min=1, help="People in the world at a time; new ones keep coming.")] = 20,
    limit_mb: Annotated[float, typer.Option(help="Fail if memory grows by more than this.")] = 20.0,
    json_file: JsonOption = None,
) -> None:
    """Measure the resident memory of a long run in a simulated world, including the linker and the second pass.

    Example:

        mtmc benchmark memory --frames 20000 --compare 2000
    """
    if compare >= frames:
        raise InputError(f"--compare {compare} must be below --frames {frames}")
    world = SimulatedWorld(cameras=cameras, people=people)
    named = [{"name": name, "source": name} for name in world.camera_ids]
    loaded = load_config(None, {"cameras": named, "embedder": {"weights": None}})
    models = Models(world.detector(), world.embedder(), {})
    console = Console(markup=False)
    marks: dict[int, float] = {}
    done = 0

    def on_frame(camera_id: str) -> None:
        nonlocal done
        done += camera_id == world.camera_ids[-1]
        if done in (compare, frames) and done not in marks:
            marks[done] = resident_mb()

    with tempfile.TemporaryDirectory() as folder, console.status(f"{frames} frames of {cameras} cameras"):
        limits = resolved_limits(loaded, None)
        summary = run(loaded, limits, models, world.sources(frames), Path(folder), on_frame=on_frame)
    figures = {
        "frames": frames,
        "compare": compare,
        "at_compare_mb": marks[compare],
        "at_end_mb": marks[frames],
        "after_second_pass_mb": resident_mb(),
        "peak_mb": peak_resident_mb(),
        "tracks": sum(counts.tracks for counts in summary.cameras.values()),
        "global_ids": summary.global_ids,
        "ms_per_camera_frame": summary.wall_s * 1000 / summary.frames,
    }
    grown = max(figures["at_end_mb"], figures["after_second_pass_mb"]) - figures["at_compare_mb"]
    for name, value in figures.items():
        console.print(f"{name}: {value:.1f}" if isinstance(value, float) else f"{name}: {value}")
    write_json(json_file, {**figures, "grown_mb": grown})
    if grown > limit_mb:
        raise RunError(
            f"memory grew by {grown:.1f} MB between frames {compare} and {frames}; the limit is {limit_mb} MB"
        )
    console.print(f"Memory grew by {grown:.1f} MB from frame {compare} to {frames} and through the second pass.")


def _detection_only(config: Config, detector: Detector) -> float:
    """Return the wall seconds of decoding and detection, with the same threads and batches as in a whole run."""
    sources, _ = open_sources(config)

    def broken(error: BrokenSource) -> None:
        raise RunError(f"a benchmark needs whole recordings: {error}")

    try:
        began = time.perf_counter()
        with ExitStack() as stack:
            for _ in detected_ticks(config, detector, sources, StageClock(), stack, broken):
                pass
        return time.perf_counter() - began
    finally:
        close_sources(sources)


def _full_run(config: Config, limits: MatchLimits, models: Models) -> RunSummary:
    sources, epoch_utc = open_sources(config)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(config, limits, models, sources, Path(folder), epoch_utc=epoch_utc)
    finally:
        close_sources(sources)


def _speed_figures(detection_s: list[float], full: list[RunSummary]) -> dict[str, Any]:
    per_frame = 1000 / full[0].frames
    stages = full[0].stage_s
    return {
        "camera_frames": full[0].frames,
        "stage_ms": {
            stage: statistics.median(summary.stage_s[stage] for summary in full) * per_frame for stage in stages
        },
        "full_ms": statistics.median(summary.wall_s for summary in full) * per_frame,
        "detection_only_ms": statistics.median(detection_s) * per_frame,
        "detection_share": statistics.median(
            alone / summary.wall_s for alone, summary in zip(detection_s, full, strict=True)
        ),
        "embedded_crops": full[0].embedded_crops,
        "boxes": sum(counts.boxes for counts in full[0].cameras.values()),
        "runs": [
            {"detection_only_s": alone, "full_s": summary.wall_s}
            for alone, summary in zip(detection_s, full, strict=True)
        ],
    }
