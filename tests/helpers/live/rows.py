"""Rows for tests of output."""

from __future__ import annotations

from pipeline.core.datatypes import Correction, Link, LinkedRow, TrajectoryRow

START_S = 1_800_000_000.0


def row(index: int, camera: str = "a", global_id: int = 1, *, final: bool = True) -> LinkedRow:
    """One a tenth of a second."""
    place = (10.0, 20.0, 30.0, 80.0)
    made = TrajectoryRow(camera, 1, index, START_S + index / 10, "person", place, 0.9)
    return LinkedRow(made, Link(global_id, 1.0, final))


def correction(provisional_id: int = 5, global_id: int = 1) -> Correction:
    return Correction(START_S, "a", 1, provisional_id, global_id, 0.8)
