"""`python -m reid`: which commands there are, and how errors become one line."""

from __future__ import annotations

import sys

import typer

from pipeline.commands.reid.adapt import adapt
from pipeline.commands.reid.calibrate import calibrate
from pipeline.commands.reid.crops import crops
from pipeline.commands.reid.evaluate import evaluate
from pipeline.commands.reid.export import export
from pipeline.commands.reid.places import leave_places_out
from pipeline.commands.reid.recipe import pack_crops, recipe
from pipeline.commands.reid.train import train
from pipeline.commands.reid.weights import convert, start, strip
from pipeline.core.errors import InputError, RunError

app = typer.Typer(
    help="Train, measure and convert re-identification models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(train)
app.command("places")(leave_places_out)
app.command("pack")(pack_crops)
app.command()(recipe)
app.command()(evaluate)
app.command()(crops)
app.command()(adapt)
app.command()(calibrate)
app.command()(export)
app.command()(strip)
app.command()(convert)
app.command()(start)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed while running, 2 bad usage or input; errors are one line."""
    try:
        app(prog_name="python -m reid")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except RunError as error:
        print(f"failed: {error}", file=sys.stderr)
        raise SystemExit(1) from error
