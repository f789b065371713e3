"""What commands cost in fresh processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.benchmark.start_cost import import_costs, measure_command, measured_commands
from pipeline.core.errors import RunError

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="this system does not count what processes use")


def test_a_command_is_measured(tmp_path: Path) -> None:
    cost = measure_command(["--help"], tmp_path)
    assert 0 < cost.cpu_s == cost.user_s + cost.system_s <= cost.wall_s * (os.cpu_count() or 1)
    assert 5 < cost.peak_mb < 200


def test_imports_are_counted_by_package(tmp_path: Path) -> None:
    costs = import_costs(["track", "--help"], tmp_path)
    assert {"pipeline", "typer", "python"} <= costs.keys()
    assert "torch" not in costs
    assert list(costs.values()) == sorted(costs.values(), reverse=True)


def test_a_command_that_fails_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"mtmc track nothing.mp4 failed: .*nothing\.mp4"):
        measure_command(["track", "nothing.mp4"], tmp_path)
    with pytest.raises(RunError, match="failed with code 2"):
        import_costs(["track", "nothing.mp4"], tmp_path)


def test_the_second_clip_is_the_first_with_other_results(tmp_path: Path) -> None:
    _, cold, warm, cameras = measured_commands(tmp_path).values()
    assert list(cold)[:-1] == list(warm)[:-1]
    assert sum(word.endswith(".mp4") for word in cameras) == 3
