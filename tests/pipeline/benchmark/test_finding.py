"""The benchmark of searches: who is in a track, which crop is the query, and its scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.benchmark.finding import (
    FindScores,
    QueryCrop,
    average_precision,
    people_of_tracks,
    scores,
)
from pipeline.commands.benchmark_find import find_table
from pipeline.config.config import load_config
from pipeline.files.track_boxes import TrackBoxes
from pipeline.search.pictures import PictureModels
from pipeline.search.recorded_run import RecordedRun
from pipeline.search.run_config import ConfigChoice
from tests.helpers.factories import at_distance, make_tracklet, one_hot
from tests.helpers.searched_runs import colour_embedder, settings_of, write_run


@pytest.mark.parametrize(
    ("same", "expected"),
    [
        ([True, False], 1.0),
        ([False, True], 0.5),
        ([True, False, True], (1 + 2 / 3) / 2),
        ([False, True, True], 7 / 12),
    ],
)
def test_average_precision(same: list[bool], expected: float) -> None:
    assert average_precision(np.array(same)) == pytest.approx(expected)


def twice(vector: np.ndarray) -> np.ndarray:
    return np.stack([vector, vector])


@pytest.fixture
def run(tmp_path: Path) -> RecordedRun:
    tracklets = [
        make_tracklet("a", 1, 0.0, 0.1, twice(one_hot(0)[0])),
        make_tracklet("b", 1, 0.0, 0.1, twice(at_distance(0.1))),
        make_tracklet("b", 2, 0.0, 0.1, twice(at_distance(0.45))),
        make_tracklet("b", 3, 0.0, 0.1, twice(one_hot(5)[0])),
    ]
    people = {tracklet.key: number for number, tracklet in enumerate(tracklets, start=1)}
    return RecordedRun(write_run(tmp_path / "run", tracklets, people), "run", ConfigChoice())


def test_a_track_shows_the_person_of_most_of_its_boxes(run: RecordedRun) -> None:
    # Every track has the box (100, 100, 150, 250) in the frames 0 and 1.
    there, elsewhere = [100, 100, 150, 250], [300, 100, 350, 250]
    boxes = np.array([there, there, elsewhere], np.float64)
    truth = {
        "a": TrackBoxes(np.array([0, 1, 1]), np.array([7, 7, 8]), boxes, np.ones(3)),
        "b": TrackBoxes(np.array([0]), np.array([9]), boxes[:1], np.ones(1)),  # half of the boxes: not most
    }
    assert people_of_tracks(run.folder, truth) == {("a", 1): 7}


def test_scores_are_those_counted_by_hand(run: RecordedRun) -> None:
    config = load_config(None, settings_of(["a", "b"]))
    models = PictureModels(config, colour_embedder(), None, None)
    blue = np.zeros((150, 60, 3), np.uint8)
    blue[:, :, 0] = 200
    crops = [QueryCrop(1, "a", blue), QueryCrop(2, "a", blue), QueryCrop(4, "a", blue)]
    shown = {("b", 1): 1, ("b", 2): 2, ("b", 3): 3}
    result = scores(run, crops, shown, models, camera_stated=True)
    # Person 1 is found first, person 2 second; nobody shows person 4.
    assert result == FindScores(
        camera_stated=True,
        queries=2,
        left_out=1,
        rank1=0.5,
        mean_average_precision=0.75,
        said={"same person": 2, "perhaps": 2, "no": 2},
        right={"same person": 1, "perhaps": 1, "no": 0},
    )
    lines = find_table({"hall": [result]})
    assert lines[2] == "| hall | stated | 2 (1) | 50.0 | 75.0 | 1 of 2 | 1 of 2 | 0 of 2 |"
