"""`mtmc track`: recordings in, trajectories out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

from detectors.base import Detector
from pipeline.assembly import (
    build_detector,
    build_embedder,
    build_parts,
    close_sources,
    open_sources,
    versions,
)
from pipeline.commands.arguments import ConfigOption, OverwriteOption, SetOption, camera_files, overrides_of
from pipeline.config import Config, load_config, named_sources
from pipeline.errors import InputError, RunError
from pipeline.results_csv import clear_results
from pipeline.run_summary import RunSummary
from pipeline.runner import run
from pipeline.save_detections import DetectionSaver
from pipeline.sources.base import FrameSource
from reid.base import Embedder

if TYPE_CHECKING:
    from detectors.saved import ReplayDetector

_log = logging.getLogger(__name__)


def track(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Video file, image folder or glob, or MOT sequence folder of a camera; CAMERA=PATH names it.",
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
        bool, typer.Option("--save-embeddings", help="The same with an embedding of every box (slow).")
    ] = False,
    video: Annotated[bool, typer.Option("--video", help="Draw the result as trajectories.mp4.")] = False,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Fill gaps inside tracks with rows marked interpolated.")
    ] = False,
    frame_rate: Annotated[
        float | None, typer.Option(help="Frames per second of sources that do not say it, such as image folders.")
    ] = None,
) -> None:
    """Track people through the recordings of one or several cameras.

    Writes trajectories.csv (one row a box, the same global_id for a person in every camera), the same as MOT text
    per camera, run.json and tracklets.arrow. The README explains the columns, configs/default.yaml the settings.

    Example:

        mtmc track entrance=videos/entrance.mp4 hall=videos/hall.mp4 --output results --video
    """
    console = Console()
    overrides = _overrides(
        sources,
        settings,
        frame_rate,
        {
            "save_detections": save_detections or save_embeddings,
            "save_embeddings": save_embeddings,
            "video": video,
            "interpolate": interpolate,
        },
    )
    loaded = load_config(config, overrides)
    summary = track_recordings(loaded, output, camera_files("--detections", detections), overwrite, console)
    console.print(summary.tables())
    console.print(f"Wrote {summary.rows} rows to {output / 'trajectories.csv'}")
    if not summary.rows:
        console.print("Nobody was found in any recording.", style="yellow")
    if summary.problems:
        raise RunError("; ".join(summary.problems) + f"; the results up to there are in {output}")


def track_recordings(
    config: Config, output: Path, detection_files: dict[str, Path], overwrite: bool, console: Console
) -> RunSummary:
    """Track with a whole configuration, showing progress; also draws the video if the configuration asks for it.

    Args:
        detection_files: camera -> saved detections, in place of the detector; empty to run it.
    """
    with ExitStack() as stack:
        replay = _replay(config, detection_files)
        if replay is not None:
            stack.callback(replay.close)
        recordings, epoch_utc = _recordings(config, replay, detection_files)
        stack.callback(close_sources, recordings)
        config = _with_cameras(config, recordings)
        detector: Detector = replay if replay is not None else build_detector(config)
        embedder, embedder_hash = _embedder(config, replay)
        parts = build_parts(config, recordings, epoch_utc, detector, embedder, embedder_hash)
        clear_results(output, overwrite)
        saver = None
        if config.output.save_detections:
            saver = stack.enter_context(
                DetectionSaver(output, recordings, detector, embedder if config.output.save_embeddings else None)
            )
        progress = stack.enter_context(_progress(console))
        counts = [source.frame_count for source in recordings]
        total = sum(count for count in counts if count is not None) if None not in counts else None
        bar = progress.add_task(f"{len(recordings)} cameras", total=total)
        summary = run(
            parts,
            output,
            config=config.model_dump(mode="json", by_alias=True),
            versions=versions(),
            save_tick=None if saver is None else saver.save,
            on_frame=lambda camera_id: progress.advance(bar),
        )
    if config.output.video:
        draw_video(config, output, console)
    return summary


def draw_video(config: Config, output: Path, console: Console, still_s: float | None = None) -> None:
    """trajectories.mp4 from the results in `output`, and with `still_s` the picture of that moment as still.png."""
    from pipeline.mosaic_video import MosaicSettings, render_mosaic_video

    sources, _ = open_sources(config)
    try:
        with console.status("drawing trajectories.mp4"):
            render_mosaic_video(
                {source.camera_id: source for source in sources},
                output / "trajectories.csv",
                output / "trajectories.mp4",
                settings=MosaicSettings(fps=max(source.frame_rate for source in sources)),
                still=None if still_s is None else (still_s, output / "still.png"),
            )
    finally:
        close_sources(sources)


def _overrides(
    sources: Sequence[str] | None,
    settings: Sequence[str] | None,
    frame_rate: float | None,
    flags: dict[str, bool],
) -> dict[str, Any]:
    overrides = overrides_of(settings)
    if sources:
        cameras = named_sources(sources)
        if frame_rate is not None:
            cameras = [{**camera, "frame_rate": frame_rate} for camera in cameras]
        overrides["cameras"] = cameras
    elif frame_rate is not None:
        raise InputError("--frame-rate goes with SOURCE arguments; in a configuration it is cameras.frame_rate")
    # A flag that was not given leaves the configuration's word.
    overrides.setdefault("output", {}).update({name: True for name, given in flags.items() if given})
    return overrides


def _replay(config: Config, files: dict[str, Path]) -> ReplayDetector | None:
    if not files:
        return None
    from detectors.saved import ReplayDetector

    names = [camera.name for camera in config.cameras]
    if names and set(files) != set(names):
        wrong = ", ".join(sorted(set(files) ^ set(names)))
        raise InputError(f"--detections must name every camera once; these are only on one side: {wrong}")
    return ReplayDetector(
        files, class_name=config.detector.classes[0], confidence_min=config.detector.confidence_min
    )


def _recordings(
    config: Config, replay: ReplayDetector | None, files: dict[str, Path]
) -> tuple[list[FrameSource], datetime | None]:
    """What to read frames from; saved embeddings need no pictures, so then no video is decoded."""
    complete = replay is not None and all(replay.embedder_hashes.values())
    if complete or (replay is not None and not config.cameras):
        from detectors.saved import SavedFrames

        text = [str(path) for path in files.values() if path.suffix.lower() != ".parquet"]
        if text:
            raise InputError(
                f"{text[0]} does not say when its frames were taken; name the camera's SOURCE as well"
            )
        _log.info("frames come from the saved detections; no video is decoded")
        order = [camera.name for camera in config.cameras] or list(files)
        return [SavedFrames(files[name], name) for name in order], None
    return open_sources(config)


def _with_cameras(config: Config, recordings: Sequence[FrameSource]) -> Config:
    """The configuration with a camera for each recording, also when only saved detections were named."""
    if config.cameras:
        return config
    cameras = [{"name": source.camera_id, "source": source.path} for source in recordings]
    return load_config(None, {**config.model_dump(by_alias=True), "cameras": cameras})


def _embedder(config: Config, replay: ReplayDetector | None) -> tuple[Embedder | None, str]:
    """The embedder and its hash; none where saved detections bring their embeddings, or there are no pictures."""
    if replay is not None and (all(replay.embedder_hashes.values()) or not config.cameras):
        return None, replay.embedder_hash
    embedder = build_embedder(config)
    if replay is not None and replay.embedder_hash not in ("", embedder.model_hash):
        raise InputError(
            f"some of the saved detections have embeddings of the model {replay.embedder_hash}, but "
            f"{config.embedder.weights} is {embedder.model_hash}: embeddings of different models cannot be compared"
        )
    return embedder, embedder.model_hash


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
