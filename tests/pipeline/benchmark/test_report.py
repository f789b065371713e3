"""Tables of the benchmark, from scores that can be counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.benchmark.report import Contestant, ladder_table, set_table
from pipeline.files.track_boxes import TrackBoxes
from pipeline.files.trajectory_boxes import TrajectoryBoxes
from pipeline.scoring.evaluation import score
from pipeline.scoring.scores import Scores


def boxes(ids: list[int]) -> TrackBoxes:
    """One box a frame, always at the same place."""
    count = len(ids)
    xyxy = np.tile([0.0, 0, 10, 20], (count, 1))
    return TrackBoxes(np.arange(count), np.array(ids, np.int64), xyxy, np.ones(count))


def scores(ids: list[int]) -> Scores:
    """Four frames of person 1 in camera a and four in b, a track in each."""
    truth = {"a": boxes([1] * 4), "b": boxes([1] * 4)}
    found = {
        "a": TrajectoryBoxes(boxes(ids[:4]), np.ones(4, np.int64)),
        "b": TrajectoryBoxes(boxes(ids[4:]), np.ones(4, np.int64)),
    }
    return score(found, truth)


def test_shares_are_percent_over_all_cameras() -> None:
    """Half of the boxes have the right identity: IDF1 50 %, one switch; association is half right, too."""
    half = Contestant("half", scores([1] * 4 + [2] * 4), 1.25)
    assert set_table("a set", [half]) == [
        "**a set**",
        "",
        "|  | HOTA | DetA | AssA | IDF1 | MOTA | id switches | ms a frame |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| half | 70.7 | 100.0 | 50.0 | 50.0 | 87.5 | 1 | 1.2 |",
    ]


def test_spread_is_mean_and_standard_deviation() -> None:
    half, whole = scores([1] * 4 + [2] * 4), scores([1] * 8)
    contestant = Contestant("both", whole, 1.0, [half.all_cameras, whole.all_cameras])
    # HOTA 70.7 and 100: mean 85.4, deviation 29.3 / sqrt 2. IDF1 50 and 100: 75, 50 / sqrt 2.
    assert set_table("a set", [contestant])[-1].endswith("| 85.4 ± 20.7, 75.0 ± 35.4 |")


def test_the_ladder_shows_what_linking_loses() -> None:
    half = Contestant("half", scores([1] * 4 + [2] * 4), 1.0)
    assert ladder_table("a set", [half])[-1] == "| half | 70.7 / 50.0 | 70.7 / 50.0 | 100.0 / 100.0 | 0 % | – |"
    better = replace(half, perfect_boxes=scores([1] * 8).all_cameras)
    assert ladder_table("a set", [better])[-1].endswith("| 100.0 / 100.0 | 0 % | 100.0 / 100.0 |")
    whole = Contestant("whole", scores([1] * 8), 1.0)
    assert ladder_table("a set", [whole])[-1].endswith(
        "| 70.7 / 50.0 | 100.0 / 100.0 | 100.0 / 100.0 | 100 % | – |"
    )


def test_nothing_to_score_is_no_number() -> None:
    empty = TrackBoxes.empty()
    nothing = score({"a": TrajectoryBoxes(empty, np.zeros(0, np.int64))}, {"a": empty})
    assert set_table("a set", [Contestant("none", nothing, 0.0)])[-1] == "| none | – | – | – | – | – | 0 | 0.0 |"
