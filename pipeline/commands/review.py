"""`mtmc review`: the page on which a person corrects the identities of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import ConfigOption, SetOption, camera_texts
from pipeline.commands.view import check_recordings, show_page, web_settings
from pipeline.core.errors import InputError
from pipeline.files.copies import note_copy
from pipeline.files.results_csv import read_trajectories
from pipeline.review.ground_truth import export_ground_truth, sentences
from pipeline.review.revert import revert as revert_run
from pipeline.review.reviewed_run import ReviewedRun


def review(
    folder: Annotated[Path, typer.Argument(help="Output folder of `track`.", metavar="DIR")],
    revert: Annotated[
        bool, typer.Option("--revert", help="Restore the original files, and delete all corrections.")
    ] = False,
    ground_truth: Annotated[
        Path | None,
        typer.Option(
            "--export-ground-truth",
            help="Write the confirmed people as MOT ground truth of each camera, and end.",
            metavar="FOLDER",
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
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes any free one.", metavar="PORT")
    ] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser, if there is a desktop.")
    ] = True,
    config: ConfigOption = None,
    setting: SetOption = None,
) -> None:
    """Correct the identities of a run in the browser: merge and split people, delete, name and confirm them.

    Each step is saved at once and can be undone, also after a new start. trajectories.csv and the MOT text get the
    corrected rows; the originals are kept beside, and --revert restores them. Doubtful links come first. Press ? on the
    page for its keys. Ctrl-C ends it.

    Example:

        mtmc review results
        mtmc review results --export-ground-truth truth
        mtmc review results --revert
    """
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if revert and ground_truth is not None:
        raise InputError("give either --revert or --export-ground-truth")
    if revert:
        for sentence in revert_run(folder):
            console.print(f"{folder}: {sentence}")
        return
    if ground_truth is not None:
        _export(console, folder, ground_truth)
        return
    try:
        from pipeline.view.server import ViewServer
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise InputError(f"mtmc review needs the package {error.name}: pip install 'mtmc[web]'") from error
    from pipeline.view.found_runs import find_runs
    from pipeline.view.library import Library
    from pipeline.view.review_routes import ReviewRoutes

    recordings = camera_texts("--recording", recording, "PATH", "new/cam1.mp4")
    settings = web_settings(config, setting, port)
    with ReviewedRun(folder) as run:
        found = find_runs(folder)
        check_recordings(recordings, found[0].stored.cameras)
        library = Library(found, recordings, run.rows_path)
        with ViewServer(library, settings, ReviewRoutes(run, library)) as server:
            library.get(0)
            show_page(server.url, open_browser)
    _tell(console, run)


def _export(console: Console, folder: Path, output: Path) -> None:
    with ReviewedRun(folder) as run:
        run.write()
        identities = run.identities
        rows = read_trajectories(folder / "trajectories.csv")
        exported = export_ground_truth(rows, identities.confirmed, run.cameras, output)
        note_copy(folder, output, "ground truth")
    for sentence in sentences(exported, identities.names):
        console.print(f"{output}: {sentence}")
    names = " ".join(f"-g {name}={path}" for name, path in exported.files.items())
    console.print(f"Score another run with it: mtmc evaluate -t RUN {names}")


def _tell(console: Console, run: ReviewedRun) -> None:
    steps, deleted = len(run.journal.done), run.identities.deleted_rows
    if not steps and not run.changed_files:
        console.print(f"{run.folder}: no corrections")
        return
    gone = f"; {deleted} rows of deleted tracks are left out" if deleted else ""
    console.print(f"{run.folder}: {steps} corrections are in trajectories.csv and the MOT text{gone}")
    if run.changed_files:
        console.print(
            f"Deleted {', '.join(run.changed_files)}, which showed other ids: `mtmc report` and `mtmc count` write "
            "them again"
        )
    if videos := sorted(path.name for path in run.folder.glob("*.mp4")):
        console.print(f"{', '.join(videos)} still shows the ids of the run")
