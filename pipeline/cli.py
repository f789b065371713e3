"""The command line: which commands there are, and how errors become one line and an exit code."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from pipeline.commands import benchmark, demo, evaluate, homography, link, live, models, privacy, track
from pipeline.core.errors import InputError, RunError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

app = typer.Typer(
    name="mtmc",
    help="Track people across several cameras: recordings or live streams in, CSV of trajectories with global ids out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command(name="track")(track.track)
app.command(name="live")(live.live)
app.command(name="purge")(privacy.purge)
app.command(name="export")(privacy.export)
app.command(name="evaluate")(evaluate.evaluate)
app.command(name="link")(link.link)
app.command(name="demo")(demo.demo)
app.command(name="homography")(homography.homography)
app.command(name="reid", context_settings=models.HANDED_ON)(models.reid)
app.command(name="detectors", context_settings=models.HANDED_ON)(models.detectors)
app.add_typer(benchmark.app, name="benchmark")


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            print(f"mtmc {version('mtmc')}")
        except PackageNotFoundError:
            print("mtmc (not installed: run `pip install -e .`)")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more: -v what is done, -vv every detail.")
    ] = 0,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Track people across several cameras."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=False)
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler], force=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 bad usage or input."""
    errors = Console(stderr=True)
    try:
        app(arguments)
    except InputError as error:
        errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except RunError as error:
        errors.print(f"failed: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_FAILED)
