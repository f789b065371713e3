"""Rewrites the trajectories of a finished recording with their final ids, optionally with filled gaps."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pipeline.core.datatypes import Link, LinkedRow, TrajectoryRow
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import RunError
from pipeline.files.results_csv import TrajectoryWriter, read_trajectories
from pipeline.files.run_folder import REWRITING_NAME

# Times in the file are rounded to milliseconds; a gap of exactly the limit is filled however they were rounded.
_ROUNDING_S = 0.0015


def rewrite(
    folder: Path,
    links: Mapping[tuple[str, int], Link] | None,
    *,
    camera_ids: list[str],
    epoch_utc: datetime | None,
    interpolate_max_gap_s: float | None,
    index_steps: Mapping[str, int] = MappingProxyType({}),
    left_out: Collection[TrackKey] = (),
    output: Path | None = None,
) -> int:
    """Give the rows of `folder`/trajectories.csv their final ids; return the number of rows written.

    Rows are read and written one by one. The new files replace the old ones only when they are complete.

    Args:
        links: final link of every (camera_id, track_id); None keeps the ids as they are. Tracks without a link, whose
            tracklets a killed run did not write, are distinguished by their online ids and get numbers above all
            others.
        interpolate_max_gap_s: fill gaps inside a track up to this length; None fills none.
        index_steps: see `interpolated`.
        left_out: tracks whose rows are left out.
        output: folder of the new files; the same folder if None.

    Raises:
        InputError: the old file cannot be read.
        RunError: the new files cannot be written; the old ones stay.
    """
    output = output or folder
    part = output / REWRITING_NAME
    rows: Iterator[LinkedRow] = (
        linked
        for linked in read_trajectories(folder / "trajectories.csv")
        if not linked.row.interpolated and (linked.row.camera_id, linked.row.track_id) not in left_out
    )
    if links is not None:
        rows = _relinked(rows, links)
    if interpolate_max_gap_s is not None:
        rows = interpolated(rows, interpolate_max_gap_s, camera_ids, index_steps)
    try:
        with TrajectoryWriter(part, camera_ids, epoch_utc) as writer:
            for linked in rows:
                writer.write(linked)
        (output / "mot").mkdir(exist_ok=True)
        for name in camera_ids:
            (part / "mot" / f"{name}.txt").replace(output / "mot" / f"{name}.txt")
        (part / "trajectories.csv").replace(output / "trajectories.csv")
    except (OSError, RunError) as error:
        raise RunError(
            f"final ids cannot be written to {output} ({error}); trajectories.csv keeps its ids"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return writer.rows


def _relinked(rows: Iterable[LinkedRow], links: Mapping[tuple[str, int], Link]) -> Iterator[LinkedRow]:
    free = max((link.global_id for link in links.values()), default=0) + 1
    left_over: dict[int, int] = {}
    for linked in rows:
        link = links.get((linked.row.camera_id, linked.row.track_id))
        if link is None:
            global_id = left_over.setdefault(linked.link.global_id, free + len(left_over))
            link = replace(linked.link, global_id=global_id, final=False)
        yield LinkedRow(linked.row, link)


def interpolated(
    rows: Iterable[LinkedRow],
    max_gap_s: float,
    camera_ids: list[str],
    index_steps: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[LinkedRow]:
    """Yield `rows` in order of time, with the missing frames of each track filled in by linear interpolation.

    Args:
        rows: in order of time, then of `camera_ids`.
        max_gap_s: longer gaps in a track are not filled.
        index_steps: camera -> difference between the indices of consecutive frames, 1 if it is not named; frames that
            were not processed, or do not exist, are not filled in.
    """
    camera_row = {name: index for index, name in enumerate(camera_ids)}
    last: dict[tuple[str, int], TrajectoryRow] = {}
    waiting: list[tuple[float, int, int, LinkedRow]] = []
    now_s = float("-inf")
    longest_s = max_gap_s + _ROUNDING_S
    for linked in rows:
        row = linked.row
        key = (row.camera_id, row.track_id)
        before = last.get(key)
        if before is not None and row.time_s - before.time_s <= longest_s:
            for filled in _between(before, row, index_steps.get(row.camera_id, 1)):
                heapq.heappush(
                    waiting,
                    (filled.time_s, camera_row[row.camera_id], row.track_id, LinkedRow(filled, linked.link)),
                )
        last[key] = row
        heapq.heappush(waiting, (row.time_s, camera_row[row.camera_id], row.track_id, linked))
        if row.time_s > now_s:
            now_s = row.time_s
            while waiting and waiting[0][0] < now_s - longest_s:
                yield heapq.heappop(waiting)[3]
            last = {k: r for k, r in last.items() if r.time_s >= now_s - longest_s}
    while waiting:
        yield heapq.heappop(waiting)[3]


def _between(before: TrajectoryRow, after: TrajectoryRow, index_step: int) -> Iterator[TrajectoryRow]:
    gap = after.frame_index - before.frame_index
    for step in range(index_step, gap, index_step):
        share = step / gap

        def mix(a: float, b: float, share: float = share) -> float:
            return a + share * (b - a)

        (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = before.xyxy, after.xyxy
        world = None
        if before.world_xy_m is not None and after.world_xy_m is not None:
            world = (
                mix(before.world_xy_m[0], after.world_xy_m[0]),
                mix(before.world_xy_m[1], after.world_xy_m[1]),
            )
        yield before._replace(
            frame_index=before.frame_index + step,
            time_s=mix(before.time_s, after.time_s),
            xyxy=(mix(ax1, bx1), mix(ay1, by1), mix(ax2, bx2), mix(ay2, by2)),
            confidence=mix(before.confidence, after.confidence),
            world_xy_m=world,
            interpolated=True,
        )
