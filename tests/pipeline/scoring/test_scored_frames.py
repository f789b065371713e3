"""Which frames are scored: those that the run used and that somebody annotated."""

import json
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.scoring.evaluation import evaluate, score
from pipeline.scoring.scored_frames import on_annotated_frames
from tests.helpers.scored_boxes import boxes, numbered, tracked, walk, write_csv


def test_evaluate_scores_only_the_frames_that_the_run_used(tmp_path: Path) -> None:
    truth = tmp_path / "gt.txt"
    truth.write_text("".join(f"{number},1,0,0,10,10\n" for number in (1, 2, 3, 4)))
    trajectories = write_csv(
        tmp_path / "trajectories.csv", [f"5,hall,1,{frame},person,0,0,10,10,0.9,0" for frame in (0, 2)]
    )
    every_frame = evaluate([trajectories], {"hall": truth}).all_cameras
    assert (every_frame.ground_truth_boxes, every_frame.idr) == (4, 0.5)
    recording = {"stride": 2, "start_s": None, "end_s": 3.0}
    (tmp_path / "run.json").write_text(json.dumps({"config": {"recording": recording}}))
    scores = evaluate([trajectories], {"hall": truth})
    assert (scores.all_cameras.ground_truth_boxes, scores.all_cameras.idf1) == (2, 1.0)
    assert scores.warnings[:2] == (
        "the run used 1 frame in 2: the ground truth of the other frames is left out",
        "the run used a part of its recordings, from the beginning to 3 s: people of the ground truth outside it "
        "count as missed",
    )


@pytest.mark.parametrize("noted", [{"hall": {"index_step": 2}}, {}], ids=["noted", "stride of an earlier version"])
def test_the_used_frames_may_begin_with_any_frame(tmp_path: Path, noted: dict[str, dict[str, int]]) -> None:
    """Pictures 2, 4, 6 of a sequence, or boxes in these frames alone."""
    rows = [f"5,hall,1,{number - 1},person,0,0,10,10,0.9,0" for number in (2, 4, 6)]
    trajectories = write_csv(tmp_path / "trajectories.csv", rows)
    note = {"cameras": noted, "config": {"recording": {"stride": 1 if noted else 2}}}
    (tmp_path / "run.json").write_text(json.dumps(note))
    truth = {"hall": numbered(tmp_path / "gt.txt", range(1, 7))}
    scores = evaluate([trajectories], truth)
    assert (scores.all_cameras.ground_truth_boxes, scores.all_cameras.mota) == (3, 1.0)
    assert scores.warnings[0] == "the run used 1 frame in 2: the ground truth of the other frames is left out"


def test_cameras_with_different_steps_are_named(tmp_path: Path) -> None:
    rows = [f"5,{camera},1,{frame},person,0,0,10,10,0.9,0" for camera in ("a", "b") for frame in (0, 3)]
    trajectories = write_csv(tmp_path / "trajectories.csv", rows)
    (tmp_path / "run.json").write_text(json.dumps({"cameras": {"a": {"index_step": 3}, "b": {"index_step": 1}}}))
    truth = {camera: numbered(tmp_path / f"{camera}.txt", range(1, 5)) for camera in ("a", "b")}
    scores = evaluate([trajectories], truth)
    assert (scores.cameras["a"].false_negatives, scores.cameras["b"].false_negatives) == (0, 2)
    assert scores.warnings == (
        "the run used 1 frame in 3 of 'a': the ground truth of the other frames is left out",
    )


def test_a_run_that_used_no_frame_with_ground_truth_is_refused(tmp_path: Path) -> None:
    rows = [f"5,hall,1,{frame},person,0,0,10,10,0.9,0" for frame in (0, 5)]
    trajectories = write_csv(tmp_path / "trajectories.csv", rows)
    (tmp_path / "run.json").write_text(json.dumps({"cameras": {"hall": {"index_step": 5}}}))
    truth = {"hall": numbered(tmp_path / "gt.txt", (2, 7, 12))}
    with pytest.raises(InputError, match="camera 'hall': the run used every 5th frame from frame 1 on, and none"):
        evaluate([trajectories], truth)


@pytest.mark.parametrize(
    "note", ['{"cameras": []}', '{"cameras": {"hall": 3}}', '{"cameras": {"hall": {}}}', "[]", "7"]
)
def test_a_damaged_note_of_the_run_is_no_note(tmp_path: Path, note: str) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv", ["5,hall,1,0,person,0,0,10,10,0.9,0"])
    (tmp_path / "run.json").write_text(note)
    assert evaluate([trajectories], {"hall": numbered(tmp_path / "gt.txt", [1])}).all_cameras.mota == 1.0


@pytest.mark.parametrize(
    ("annotated", "stride", "kept", "mota"),
    [
        pytest.param(range(0, 40, 5), None, 8, 1.0, id="every 5th frame, found"),
        pytest.param(range(2, 40, 5), None, 8, 1.0, id="from another frame on"),
        pytest.param(range(0, 40, 5), 1, 40, -3.0, id="all frames on request"),
        pytest.param([0, 20], None, 40, -18.0, id="too few to see a stride"),
        pytest.param([0, 20], 20, 2, 1.0, id="a stride on request"),
        pytest.param(range(40), None, 40, 1.0, id="every frame"),
    ],
)
def test_only_annotated_frames_are_scored(
    annotated: range | list[int], stride: int | None, kept: int, mota: float
) -> None:
    truth = {"a": boxes([(frame, 1, 0) for frame in annotated])}
    said: list[str] = []
    predicted = on_annotated_frames({"a": tracked(walk(range(40), 7))}, truth, stride, tell=said.append)
    scores = score(predicted, truth).all_cameras
    assert scores.predicted_boxes == kept
    assert scores.mota == pytest.approx(mota)
    assert bool(said) == (kept < 40)
    if said:
        assert f"{40 - kept} of 40 predicted boxes are left out" in said[0]


def test_cameras_have_strides_of_their_own() -> None:
    truth = {"a": boxes(walk(range(0, 40, 5), 1)), "b": boxes(walk(range(40), 1))}
    runs = {name: tracked(walk(range(40), 7)) for name in ("a", "b", "c")}
    kept = on_annotated_frames(runs, truth, None, tell=lambda text: None)
    assert {name: len(one.boxes) for name, one in kept.items()} == {"a": 8, "b": 40, "c": 40}
    with pytest.raises(InputError, match="stride of the ground truth is 0"):
        on_annotated_frames(runs, truth, 0, tell=lambda text: None)
