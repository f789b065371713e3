"""`mtmc benchmark`: what the pipeline costs in time and memory."""

from __future__ import annotations

import typer

app = typer.Typer(help="Measure time and memory.", no_args_is_help=True)
