"""`mtmc report`: writes a page about a finished run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.commands.arguments import camera_files, camera_texts
from pipeline.files.run_folder import hold_results


def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of `track`.", metavar="DIR")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of DIR/report.html.", metavar="FILE")
    ] = None,
    ground_truth: Annotated[
        list[str] | None,
        typer.Option(
            "--ground-truth",
            "-g",
            help="MOT ground truth of a camera; once per camera. Adds scores and mistakes.",
            metavar="CAMERA=FILE",
        ),
    ] = None,
    recording: Annotated[
        list[str] | None,
        typer.Option(
            "--recording",
            "-r",
            help="Where the recording of a camera is, if it was moved since the run.",
            metavar="CAMERA=PATH",
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Cut people out of the recordings.")
    ] = True,
) -> None:
    """Write a page about a run: people, fragments, timeline, floor plan, ways between cameras, doubtful links.

    The page is one file that needs no network and no other file. It shows people, so keep it like the recordings.

    Example:

        mtmc report results
    """
    truth = camera_files("--ground-truth", ground_truth)
    recordings = camera_texts("--recording", recording, "PATH", "new/cam1.mp4")
    with ExitStack() as held:
        # A folder without write permission needs no lock, and cannot have one.
        if folder.is_dir() and os.access(folder, os.W_OK):
            held.enter_context(hold_results(folder, "mtmc report"))
        write_with_progress(
            folder,
            output,
            ground_truth=truth,
            recordings=recordings,
            pictures=pictures,
            console=Console(markup=False),
        )


def write_with_progress(
    folder: Path,
    output: Path | None,
    *,
    ground_truth: Mapping[str, Path] | None = None,
    recordings: Mapping[str, str] | None = None,
    pictures: bool = True,
    console: Console,
) -> None:
    """Run `pipeline.report.page.write_report` with a progress bar, then print what was written."""
    from pipeline.report import page

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        read = bar.add_task("reading the run", total=None)
        written = page.write_report(
            folder,
            output,
            ground_truth=ground_truth,
            recordings=recordings,
            pictures=pictures,
            progress=page.Progress(
                on_start=lambda frames: bar.update(read, description="cutting out pictures", total=frames),
                on_frame=lambda: bar.advance(read),
            ),
        )
    missing = f", {written.missing_pictures} pictures are missing" if written.missing_pictures else ""
    console.print(
        f"Wrote {written.path} ({written.size_bytes / 1e6:.1f} MB{missing})", highlight=False, soft_wrap=True
    )
