"""`python -m reid`: which commands there are, and how errors become one line."""

from __future__ import annotations

import sys

import typer

from pipeline.errors import InputError
from reid.commands.evaluate import evaluate
from reid.commands.train import train
from reid.commands.weights import convert, strip

app = typer.Typer(
    help="Train, measure and convert re-identification models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(train)
app.command()(evaluate)
app.command()(strip)
app.command()(convert)


def main() -> None:
    """Run the command line; what a user can mend becomes one line and exit code 2."""
    try:
        app(prog_name="python -m reid")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
