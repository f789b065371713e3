"""`mtmc cache`: shows and clears the cache of exported networks."""

from __future__ import annotations

from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands.lazy import new_app
from pipeline.core import export_cache
from pipeline.core.errors import RunError
from pipeline.core.export_cache import cache_entries, cache_folder, clear_cache

app = new_app(
    help="Show or clear the cache of networks that were exported for this machine.", invoke_without_command=True
)
app.info.no_args_is_help = False


@app.callback()
def show(context: typer.Context) -> None:
    """Show or clear the cache of networks that were exported for this machine.

    The networks that were used last are kept; older ones are deleted when a new one is exported.

    Example:

        mtmc cache
        mtmc cache clear
    """
    if context.invoked_subcommand is not None:
        return
    entries = cache_entries()
    console = Console(markup=False)
    if entries:
        table = Table()
        for column in ("content", "MB", "last used"):
            table.add_column(column, justify="right" if column == "MB" else "left")
        for entry in entries:
            used = datetime.fromtimestamp(entry.used_s).astimezone().isoformat(" ", "minutes")
            table.add_row(entry.name, _megabytes(entry.size_bytes), used)
        console.print(table)
    total = _megabytes(sum(entry.size_bytes for entry in entries))
    console.print(
        f"{cache_folder()}: {len(entries)} entries, {total} MB; the {export_cache.KEPT_NETWORKS} networks that were "
        "used last are kept",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def clear() -> None:
    """Delete everything in the cache; the next run exports its networks again.

    Example:

        mtmc cache clear
    """
    try:
        entries = clear_cache()
    except OSError as error:
        raise RunError(f"{error.filename or cache_folder()} cannot be deleted: {error.strerror}") from error
    freed = _megabytes(sum(entry.size_bytes for entry in entries))
    Console(markup=False).print(
        f"{cache_folder()}: {len(entries)} entries deleted, {freed} MB freed",
        highlight=False,
        soft_wrap=True,
    )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f}"
