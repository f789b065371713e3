"""Folders of runs that have ended, written from a list of rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.datatypes import Correction, Link, LinkedRow, TrajectoryRow
from pipeline.files.results_csv import COLUMNS, TrajectoryWriter
from pipeline.live.output.segments import REMAP_COLUMNS, remap_line, row_line

RUN_ID = "20260501T100000Z-3f2a"


def row(
    global_id: int,
    camera_id: str,
    track_id: int,
    frame_index: int,
    xyxy: tuple[float, float, float, float] = (10.0, 20.0, 50.0, 120.0),
    **changes: Any,
) -> LinkedRow:
    """A final row, ten frames a second."""
    final = bool(changes.pop("final", True))
    values = {"time_s": frame_index / 10, "class_name": "person", "confidence": 0.5, **changes}
    return LinkedRow(
        TrajectoryRow(camera_id, track_id, frame_index, xyxy=xyxy, **values), Link(global_id, 0.75, final)
    )


def recorded_run(
    folder: Path,
    rows: Sequence[LinkedRow],
    *,
    cameras: Mapping[str, Mapping[str, Any]] | None = None,
    **note: Any,
) -> Path:
    """Write the results of `mtmc track`.

    Args:
        cameras: what run.json says about them, besides a size of 640x360 and ten frames; None for those of the rows.
        note: further keys of run.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    noted = {name: {} for name in sorted({one.row.camera_id for one in rows})} if cameras is None else cameras
    with TrajectoryWriter(folder, sorted({*noted, *(one.row.camera_id for one in rows)}), None) as writer:
        for one in rows:
            writer.write(one)
    base = {
        "path": "clip.mp4",
        "frame_rate": 10.0,
        "size_wh": [640, 360],
        "index_step": 1,
        "frames": 10,
        "late_frames": 0,
    }
    content = {
        "state": "complete",
        "cameras": {name: base | dict(changes) for name, changes in noted.items()},
        "config": {"recording": {"start_s": None, "end_s": None, "stride": 1}, "cameras": []},
        "epoch_utc": None,
        **note,
    }
    (folder / "run.json").write_text(json.dumps(content))
    return folder


def live_run(
    folder: Path, rows: Iterable[LinkedRow], corrections: Iterable[Correction] = (), run_id: str = RUN_ID
) -> Path:
    """Write the results of `mtmc live`; times are Unix seconds. Corrections replace those of an earlier call."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(COLUMNS) + "\n", *map(row_line, rows)]
    (folder / f"traj-{run_id}-0001.csv").write_text("".join(lines))
    told = [",".join(REMAP_COLUMNS) + "\n", *(remap_line(one, run_id) for one in corrections)]
    (folder / "remap.csv").write_text("".join(told))
    manifest = {"state": "complete", "cameras": {"hall": {"size_wh": [640, 360]}}, "config": {"cameras": []}}
    (folder / f"manifest-{run_id}.json").write_text(json.dumps(manifest))
    return folder
