"""`mtmc reid ...` and `mtmc detectors ...`: the commands of the two model packages under the one command line.

They are handed on unread, so that `mtmc --help` and commands without a model do not load torch.
"""

from __future__ import annotations

import typer

HANDED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def reid(context: typer.Context) -> None:
    """Train, measure and convert re-identification models; `mtmc reid --help` lists the commands."""
    from pipeline.commands.reid.app import app

    app(context.args, prog_name="mtmc reid", standalone_mode=False)


def detectors(context: typer.Context) -> None:
    """Train and measure detectors; `mtmc detectors --help` lists the commands."""
    from pipeline.commands.detectors.app import app

    app(context.args, prog_name="mtmc detectors", standalone_mode=False)
