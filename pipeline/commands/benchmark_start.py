"""`mtmc benchmark start`: what starting and a short run cost in fresh processes."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline.files.json_file import write_json

_SHOWN_PACKAGES = 10


def start(
    runs: Annotated[int, typer.Option(min=1, help="Number of repetitions; the medians are printed.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure time, processor time and memory of short runs in fresh processes, and what their imports cost.

    The runs use the demo scene and the default settings, and a cache folder of their own, so that the first one
    converts the networks. On a busy machine, compare processor time and memory; wall time says little there.

    Example:

        mtmc benchmark start --json start.json
    """
    from pipeline.benchmark.start_cost import ProcessCost, import_costs, measure_command, measured_commands

    console = Console(markup=False)
    costs: dict[str, list[ProcessCost]] = {}
    imports: dict[str, float] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            cache, results = Path(folder) / "cache", Path(folder) / "results"
            commands = measured_commands(results)
            for name, arguments in commands.items():
                with console.status(name):
                    costs.setdefault(name, []).append(measure_command(arguments, cache))
            with console.status("imports"):
                clip = list(commands.values())[2]
                imports = import_costs(clip, cache)
    figures = {name: _medians(measured) for name, measured in costs.items()}
    table = Table(title=f"Median of {runs}")
    table.add_column("command")
    for heading in ("wall s", "CPU s", "user s", "system s", "peak MB", "peak MB of helpers"):
        table.add_column(heading, justify="right")
    for name, values in figures.items():
        cells = [f"{values[key]:.2f}" for key in ("wall_s", "cpu_s", "user_s", "system_s")]
        memory = [f"{values[key]:.0f}" for key in ("peak_mb", "helpers_peak_mb")]
        table.add_row(name, *cells, *memory)
    console.print(table)
    slowest = list(imports.items())[:_SHOWN_PACKAGES]
    console.print(f"Imports of the short run take {sum(imports.values()):.0f} ms, counted one by one, most for:")
    for package, milliseconds in slowest:
        console.print(f"  {package}: {milliseconds:.0f} ms")
    write_json(json_file, {"runs": runs, "commands": figures, "imports_ms": imports})


def _medians(measured: list[Any]) -> dict[str, float]:
    """Return the median of every figure."""
    names = ("wall_s", "cpu_s", "user_s", "system_s", "peak_mb", "helpers_peak_mb")
    return {name: float(statistics.median(getattr(one, name) for one in measured)) for name in names}
