"""Exact search: compares a query with every track of some runs, block by block, and ranks them.

Only distances, numbers and times are kept of a track, some 50 bytes. The embeddings of at most one block are in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import BoolArray, IntArray
from pipeline.core.errors import InputError
from pipeline.cross_camera.distances import embedding_distances
from pipeline.search.meaning import Bands, Meaning, false_match_rate, limits_of_pairs
from pipeline.search.query import Query
from pipeline.search.searched_run import NOBODY, Block, SearchedRun

#: A time in seconds on the clock of a run, or a date; without a time zone it is in UTC.
Moment = float | datetime


@dataclass(frozen=True)
class TrackFilter:
    """Which tracks are searched.

    Attributes:
        cameras: names; None for all.
        begin, end: only tracks that were seen at or after `begin`, and at or before `end`. Of the people of a live site
            only the last time at each camera counts.
    """

    cameras: frozenset[str] | None = None
    begin: Moment | None = None
    end: Moment | None = None

    def rows(self, run: SearchedRun, block: Block) -> BoolArray:
        """Return (N,) which tracks of a block are searched; InputError if a date cannot be compared with the run."""
        chosen = np.ones(len(block), np.bool_)
        if self.cameras is not None:
            named = [row for row, name in enumerate(run.comparing.camera_ids) if name in self.cameras]
            chosen &= np.isin(block.camera, np.array(named, np.int64))
        if self.begin is not None:
            chosen &= block.end_s >= _on_clock(self.begin, run)
        if self.end is not None:
            chosen &= block.start_s <= _on_clock(self.end, run)
        return chosen


def _on_clock(moment: Moment, run: SearchedRun) -> float:
    """Return a moment in seconds on the clock of the run."""
    if not isinstance(moment, datetime):
        return moment
    if run.epoch_utc is None:
        raise InputError(
            f"the dates of {run.name} are not known (no camera had a start_utc): give --from and --to in seconds"
        )
    dated = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (dated - run.epoch_utc).total_seconds()


@dataclass(frozen=True, eq=False)
class Ranking:
    """The compared tracks of all runs, the nearest first (N tracks).

    Attributes:
        run: (N,) int64, index of the run.
        camera, track_id, global_id, start_s, end_s, crops: (N,), as in `Block`.
        distance: (N,) float64 cosine distances.
        cost: (N,) float64, distances divided by the match limit of each comparison.
        few_crops_factor: (N,) float64, by which that limit was multiplied for a single crop; 1 for several.
        bands: of each run.
        people: number of people among the tracks.
        left_out: number of tracks that were not compared, by reason.
    """

    run: IntArray
    camera: IntArray
    track_id: IntArray
    global_id: IntArray
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    crops: IntArray
    distance: NDArray[np.float64]
    cost: NDArray[np.float64]
    few_crops_factor: NDArray[np.float64]
    bands: Sequence[Bands]
    people: int
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.cost)

    def meaning(self, row: int) -> Meaning:
        """Return what the distance of a row means."""
        bands: Bands = self.bands[int(self.run[row])]
        return bands.meaning(float(self.cost[row]), float(self.few_crops_factor[row]))

    def best_of_each_person(self) -> IntArray:
        """Return the rows of the nearest track of each person, the nearest person first."""
        _, first = np.unique(np.stack([self.run, self.global_id]), axis=1, return_index=True)
        return np.sort(first)


NO_CROP = "without a good crop"
NO_ROWS = "without rows, for example because their person was deleted"

_Columns = tuple[IntArray, IntArray, IntArray, NDArray[np.float64], NDArray[np.float64], IntArray]


def rank(
    query: Query,
    runs: Sequence[SearchedRun],
    chosen: TrackFilter,
    on_tracks: Callable[[int], None] = lambda count: None,
) -> Ranking:
    """Compare a query with all tracks of the runs.

    The nearest track is the one with the smallest cost, because runs and cameras have different match limits, and so do
    tracks with a single crop. Equal costs keep the order of runs and tracks.

    Args:
        on_tracks: called with the number of tracks so far.

    Raises:
        InputError: a filter cannot be applied, or a run has embeddings of another length.
    """
    columns: list[_Columns] = []
    run_of: list[IntArray] = []
    distances: list[NDArray[np.float64]] = []
    costs: list[NDArray[np.float64]] = []
    factors: list[NDArray[np.float64]] = []
    left_out = {NO_CROP: 0, NO_ROWS: 0}
    weights: list[float] = []
    seen = 0
    for number, run in enumerate(runs):
        comparing = run.comparing
        vector = query.against(comparing)
        weights.append(vector.weight)
        of_cameras = [comparing.centres.weight(row) for row in range(len(comparing.camera_ids))]
        limits = limits_of_pairs(comparing.limits, vector.weight, of_cameras)
        settings = comparing.config.linker
        few = vector.crops < settings.linkable_crops
        for block in run.blocks():
            seen += len(block)
            on_tracks(seen)
            rows = chosen.rows(run, block) & ~_is_query(query, run, block)
            left_out[NO_ROWS] += int((rows & (block.global_id == NOBODY)).sum())
            rows &= block.global_id != NOBODY
            left_out[NO_CROP] += int((rows & (block.crops == 0)).sum())
            place = np.flatnonzero(rows & (block.crops > 0))
            if not len(place):
                continue
            if block.means.shape[1] != len(vector.mean):
                raise InputError(
                    f"the embeddings of {run.name} have {block.means.shape[1]} values, but the query has "
                    f"{len(vector.mean)}: they are of different models"
                )
            distance = embedding_distances(vector.mean[None], block.means[place])[0].astype(np.float64)
            single = few | (block.crops[place] < settings.linkable_crops)
            factor = np.where(single, settings.few_crops_factor or 1.0, 1.0)
            distances.append(distance)
            factors.append(factor)
            costs.append(distance / (limits[block.camera[place]] * factor))
            run_of.append(np.full(len(place), number, np.int64))
            columns.append(
                (
                    block.camera[place],
                    block.track_id[place],
                    block.global_id[place],
                    block.start_s[place],
                    block.end_s[place],
                    block.crops[place],
                )
            )
    run_column = _joined(run_of, np.int64)
    cost = _joined(costs, np.float64)
    order = np.argsort(cost, kind="stable")
    camera, track_id, global_id, start_s, end_s, crops = (
        _joined([each[place] for each in columns], np.float64 if place in (3, 4) else np.int64)[order]
        for place in range(6)
    )
    run_column = run_column[order]
    people = np.unique(np.stack([run_column, global_id]), axis=1).shape[1] if len(order) else 0
    return Ranking(
        run=run_column,
        camera=camera,
        track_id=track_id,
        global_id=global_id,
        start_s=start_s,
        end_s=end_s,
        crops=crops,
        distance=_joined(distances, np.float64)[order],
        cost=cost[order],
        few_crops_factor=_joined(factors, np.float64)[order],
        bands=[_bands(run, weight, people) for run, weight in zip(runs, weights, strict=True)],
        people=people,
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _bands(run: SearchedRun, weight: float, people: int) -> Bands:
    comparing = run.comparing
    of_cameras = [comparing.centres.weight(row) for row in range(len(comparing.camera_ids))]
    mean_weight = (weight + math.fsum(of_cameras) / max(len(of_cameras), 1)) / 2
    rate = false_match_rate(comparing.limits, comparing.calibration, mean_weight)
    return Bands.of(comparing.limits, rate, people)


def _is_query(query: Query, run: SearchedRun, block: Block) -> BoolArray:
    """Return (N,) which tracks of a block are the query itself."""
    own = np.zeros(len(block), np.bool_)
    if run.name != query.run_name:
        return own
    if query.track is not None:
        camera_id, track_id = query.track
        own |= (block.camera == run.comparing.camera_row(camera_id)) & (block.track_id == track_id)
    if query.person is not None:
        own |= block.global_id == query.person
    return own


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *parts])
