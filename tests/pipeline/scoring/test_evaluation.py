import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table
from trackeval.datasets import MotChallenge2DBox
from trackeval.metrics import CLEAR, HOTA, Identity

from pipeline.core.errors import InputError
from pipeline.files.mot_files import read_ground_truth, read_results, result_line
from pipeline.files.track_boxes import TrackBoxes, crop_ground_truth
from pipeline.files.trajectory_boxes import TrajectoryBoxes
from pipeline.scoring.evaluation import evaluate, score
from pipeline.scoring.evaluation_tables import linking_table, scores_table
from pipeline.scoring.scores import Scores
from tests.helpers.scored_boxes import Row, boxes, tracked, walk, write_csv

T10 = range(10)


@pytest.mark.parametrize(
    ("case", "truth", "predicted", "expected"),
    [
        (
            "perfect",
            {"a": walk(T10, 1)},
            {"a": walk(T10, 7)},
            {"hota": 1, "det_a": 1, "ass_a": 1, "idf1": 1, "idp": 1, "idr": 1, "mota": 1, "id_switches": 0},
        ),
        (
            "all missed",
            {"a": walk(T10, 1)},
            {"a": []},
            {"hota": 0, "idf1": 0, "idp": None, "idr": 0, "mota": 0, "false_negatives": 10},
        ),
        (
            "everything beside the person",
            {"a": walk(T10, 1)},
            {"a": walk(T10, 7, left=20)},
            {"hota": 0, "idf1": 0, "mota": -1, "false_negatives": 10, "false_positives": 10},
        ),
        (
            "nobody there, nobody found",
            {"a": []},
            {"a": []},
            {"hota": None, "det_a": None, "idf1": None, "mota": None, "ground_truth_boxes": 0},
        ),
        (
            "nobody there, one ghost",
            {"a": []},
            {"a": walk(T10, 7)},
            {"hota": 0, "idf1": 0, "idp": 0, "idr": None, "mota": None, "false_positives": 10},
        ),
        (
            # Each of the 10 boxes: 5 frames of its pair of ids, of 10 + 5 - 5 in either.
            "one id switch half way",
            {"a": walk(T10, 1)},
            {"a": walk(range(5), 7) + walk(range(5, 10), 8)},
            {"hota": math.sqrt(0.5), "det_a": 1, "ass_a": 0.5, "idf1": 0.5, "mota": 0.9, "id_switches": 1},
        ),
        (
            "every second frame missed",
            {"a": walk(T10, 1)},
            {"a": walk(range(0, 10, 2), 7)},
            {"det_a": 0.5, "ass_a": 0.5, "hota": 0.5, "idf1": 2 / 3, "idp": 1, "idr": 0.5, "mota": 0.5},
        ),
        (
            # Overlap 8 of 12 px: IoU 2/3, a true positive at 13 of the 19 thresholds of HOTA.
            "boxes 2 px beside",
            {"a": walk(T10, 1)},
            {"a": walk(T10, 7, left=2)},
            {"det_a": 13 / 19, "hota": 13 / 19, "idf1": 1, "mota": 1},
        ),
        (
            # The person has 20 boxes, each id 10: one id is right for 10 boxes.
            "two cameras not linked",
            {"a": walk(T10, 1), "b": walk(T10, 1)},
            {"a": walk(T10, 7), "b": walk(T10, 8)},
            {"hota": math.sqrt(0.5), "ass_a": 0.5, "idf1": 0.5, "mota": 0.95, "id_switches": 1},
        ),
        (
            "two cameras linked",
            {"a": walk(T10, 1), "b": walk(T10, 1)},
            {"a": walk(T10, 7), "b": walk(T10, 7)},
            {"hota": 1, "ass_a": 1, "idf1": 1, "mota": 1, "id_switches": 0, "predicted_ids": 1},
        ),
        (
            # Two people in a, the same two in b; b has them the wrong way round.
            "two cameras linked crosswise",
            {"a": walk(T10, 1) + walk(T10, 2, 50), "b": walk(T10, 1) + walk(T10, 2, 50)},
            {"a": walk(T10, 7) + walk(T10, 8, 50), "b": walk(T10, 8) + walk(T10, 7, 50)},
            {"idf1": 0.5, "ass_a": 1 / 3, "mota": 1 - 2 / 40, "id_switches": 2},
        ),
        (
            # Two people, one in each camera, taken for one: one id is right for 10 of 20 boxes.
            "two people with one id",
            {"a": walk(T10, 1), "b": walk(T10, 2)},
            {"a": walk(T10, 7), "b": walk(T10, 7)},
            {"idf1": 0.5, "ass_a": 0.5, "mota": 1, "predicted_ids": 1, "ground_truth_ids": 2},
        ),
        (
            "a camera that was not run",
            {"a": walk(T10, 1), "b": walk(T10, 1)},
            {"a": walk(T10, 7)},
            {"idf1": 2 / 3, "idr": 0.5, "mota": 0.5, "false_negatives": 10},
        ),
    ],
)
def test_scores_over_all_cameras(
    case: str,
    truth: Mapping[str, list[Row]],
    predicted: Mapping[str, list[Row]],
    expected: Mapping[str, float | None],
) -> None:
    scores = score(
        {camera: tracked(rows) for camera, rows in predicted.items()},
        {camera: boxes(rows) for camera, rows in truth.items()},
    )
    found = {name: getattr(scores.all_cameras, name) for name in expected}
    assert found == pytest.approx(expected, abs=1e-9)


def test_order_of_rows_and_of_cameras_does_not_matter() -> None:
    truth = {"a": walk(T10, 1) + walk(T10, 2, 50), "b": walk(T10, 1, 5)}
    predicted = {"a": walk(T10, 7, 1) + walk(range(4), 8, 50), "b": walk(T10, 9, 5)}
    scores = score(
        {c: tracked(rows) for c, rows in predicted.items()}, {c: boxes(rows) for c, rows in truth.items()}
    )
    again = score(
        {c: tracked(rows[::-1]) for c, rows in reversed(predicted.items())},
        {c: boxes(rows[::-1]) for c, rows in reversed(truth.items())},
    )
    assert again == scores
    assert scores.all_cameras.hota is not None
    assert 0 < scores.all_cameras.hota < 1


def twelve_people_in_three_cameras(*, linked: bool) -> Scores:
    truth: dict[str, list[Row]] = {"a": [], "b": [], "c": []}
    predicted: dict[str, list[Row]] = {"a": [], "b": [], "c": []}
    for index, camera in enumerate(truth):
        for person in range(12):
            truth[camera] += walk(T10, person, 20 * person)
            predicted[camera] += walk(T10, person if linked else 12 * index + person, 20 * person)
    return score(
        {c: tracked(rows) for c, rows in predicted.items()}, {c: boxes(rows) for c, rows in truth.items()}
    )


def test_perfect_cameras_do_not_hide_missing_links() -> None:
    scores = twelve_people_in_three_cameras(linked=False)
    for camera in scores.cameras.values():
        assert (camera.idf1, camera.hota, camera.mota) == pytest.approx((1, 1, 1))
    # 30 boxes a person, 10 with each of three ids.
    assert scores.all_cameras.idf1 == pytest.approx(1 / 3)
    assert scores.all_cameras.hota == pytest.approx(math.sqrt(1 / 3))
    assert scores.all_cameras.id_switches == 24
    assert scores.all_cameras.mota == pytest.approx(1 - 24 / 360), "MOTA hardly notices"
    assert twelve_people_in_three_cameras(linked=True).all_cameras.idf1 == pytest.approx(1)


@pytest.mark.parametrize(
    ("case", "truth", "predicted", "tracks", "idf1"),
    [
        (
            "linked wrongly: not linked is better, perfect linking is best",
            {"a": walk(T10, 1), "b": walk(T10, 2)},
            {"a": walk(T10, 7), "b": walk(T10, 7)},
            {"a": [1] * 10, "b": [1] * 10},
            (1, 0.5, 1),
        ),
        (
            "fragments: perfect linking joins them",
            {"a": walk(T10, 1)},
            {"a": walk(range(5), 7) + walk(range(5, 10), 7)},
            {"a": [1] * 5 + [2] * 5},
            (0.5, 1, 1),
        ),
        (
            # Track 1 is on person 1 for 6 frames, then on person 2 for 4: its 10 boxes get id 1.
            "a track that changes person: no linking can mend it",
            {"a": walk(T10, 1) + walk(T10, 2, 50)},
            {"a": walk(range(6), 7) + walk(range(6, 10), 7, 50)},
            {"a": [1] * 10},
            (2 * 6 / 30, 2 * 6 / 30, 2 * 6 / 30),
        ),
        (
            # Both tracks are on person 1 in frame 4, which can have one box: 2 keeps an id of its own.
            "two tracks on one person in one frame are not joined",
            {"a": walk(range(9), 1)},
            {"a": walk(range(5), 7) + walk(range(4, 8), 8, 1)},
            {"a": [1] * 5 + [2] * 4},
            (2 * 5 / 18, 2 * 5 / 18, 2 * 5 / 18),
        ),
        (
            "a track on nobody keeps its own id",
            {"a": walk(T10, 1)},
            {"a": walk(T10, 7) + walk(T10, 8, 50)},
            {"a": [1] * 10 + [2] * 10},
            (20 / 30, 20 / 30, 20 / 30),
        ),
    ],
)
def test_ladder_of_linking(
    case: str,
    truth: Mapping[str, list[Row]],
    predicted: Mapping[str, list[Row]],
    tracks: Mapping[str, list[int]],
    idf1: tuple[float, float, float],
) -> None:
    scores = score(
        {camera: tracked(rows, tracks[camera]) for camera, rows in predicted.items()},
        {camera: boxes(rows) for camera, rows in truth.items()},
    )
    rungs = (scores.not_linked, scores.all_cameras, scores.perfect_linking)
    assert [rung.idf1 for rung in rungs] == pytest.approx(idf1)
    assert len({rung.predicted_boxes for rung in rungs}) == 1


@pytest.mark.parametrize(
    ("ids", "share", "words"),
    [
        pytest.param((7, 8, 9), 0.0, "linking closes 0 % of the gap", id="nothing linked"),
        pytest.param(
            (7, 7, 9), 0.5, "linking closes 50 % of the gap", id="two views of three: IDF1 2/3 of 1/3 to 1"
        ),
        pytest.param((7, 7, 7), 1.0, "linking closes 100 % of the gap", id="all"),
    ],
)
def test_the_share_of_the_gap_that_linking_closes(ids: tuple[int, ...], share: float, words: str) -> None:
    """One person, ten frames in each of three views."""
    scores = score(
        {camera: tracked(walk(T10, box_id)) for camera, box_id in zip("abc", ids, strict=True)},
        {camera: boxes(walk(T10, 1)) for camera in "abc"},
    )
    assert scores.gap_closed == pytest.approx(share)
    assert scores.to_dict()["gap_closed"] == scores.gap_closed
    assert words in text_of(linking_table(scores))


def test_one_view_has_no_gap_to_close() -> None:
    scores = score({"a": tracked(walk(T10, 7))}, {"a": boxes(walk(T10, 1))})
    assert scores.gap_closed is None
    assert "gap" not in text_of(linking_table(scores))


def test_iou_threshold() -> None:
    truth, predicted = {"a": boxes(walk(T10, 1))}, {"a": tracked(walk(T10, 7, left=2))}  # IoU 2/3
    assert score(predicted, truth, iou_threshold=0.6).all_cameras.idf1 == 1
    assert score(predicted, truth, iou_threshold=0.7).all_cameras.idf1 == 0
    with pytest.raises(InputError, match="IoU threshold is 0"):
        score(predicted, truth, iou_threshold=0)


def test_warnings_and_refusals() -> None:
    truth = {"a": boxes(walk(range(3, 6), 1)), "b": boxes(walk(T10, 1))}
    scores = score({"a": tracked(walk(range(2, 8), 1)), "c": tracked(walk(T10, 1))}, truth)
    assert scores.warnings == (
        "camera 'c' has no ground truth and is left out",
        "camera 'a': 3 predicted boxes lie before the first or after the last frame with ground truth and "
        "count as false",
        "camera 'b' is not in the trajectories: all its 10 boxes count as missed",
    )
    assert list(scores.cameras) == ["a", "b"]
    with pytest.raises(InputError, match="the ground truth is of 'a', 'b', the trajectories are of 'c'"):
        score({"c": tracked(walk(T10, 1))}, truth)
    with pytest.raises(InputError, match="there is no ground truth"):
        score({}, {})
    assert score({}, truth).all_cameras.false_negatives == 13, "a run in which nobody was found"


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        pytest.param(
            boxes([(0, 1, 0)]),
            tracked([(3, 7, 0), (0, 7, 0), (0, 7, 1)], [1, 2, 3]),
            "tracking result of camera 'hall' has id 7 twice in frame_index 0",
            id="a box twice would have IDF1 1",
        ),
        pytest.param(
            boxes([(0, 1, 0)]),
            tracked([(0, 7, 0), (0, 8, 30)], [2, 2]),
            "tracking result of camera 'hall' has track 2 twice in frame_index 0",
            id="a track",
        ),
        pytest.param(
            boxes([(4, 1, 0), (4, 1, 30)]),
            tracked([(0, 7, 0)]),
            "ground truth of camera 'hall' has id 1 twice in frame_index 4",
            id="a person",
        ),
    ],
)
def test_nobody_is_in_two_boxes_of_one_image(truth: TrackBoxes, predicted: TrajectoryBoxes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        score({"hall": predicted}, {"hall": truth})


def test_evaluate_files(tmp_path: Path) -> None:
    truth = tmp_path / "gt.txt"
    truth.write_text(
        "1,1,0,0,10,10,1,1,1\n2,1,0,0,10,10,1,1,1\n"
        "1,2,50,0,10,10,1,7,1\n1,3,90,0,10,10,0,1,1\n"  # another class; flag 0
    )
    trajectories = write_csv(
        tmp_path / "trajectories.csv",
        [
            "5,hall,1,0,person,0,0,10,10,0.9,0",
            "5,hall,1,1,person,0,0,10,10,0.9,1",
            "6,hall,2,1,bicycle,70,0,80,10,0.9,0",
        ],
    )
    scores = evaluate([trajectories], {"hall": truth}, interpolated=True)
    assert (scores.all_cameras.idf1, scores.all_cameras.ground_truth_boxes) == (1, 2)
    observed = evaluate([trajectories], {"hall": truth})
    assert (observed.all_cameras.idr, observed.all_cameras.predicted_boxes) == (0.5, 1)
    assert evaluate([trajectories], {"hall": truth}, class_name=None).all_cameras.false_positives == 1
    both_classes = evaluate([trajectories], {"hall": truth}, ground_truth_classes=(1, 7))
    assert both_classes.all_cameras.ground_truth_boxes == 3


def test_evaluate_refuses_a_repeated_id_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,0,0,10,10\n")
    row = "5,hall,1,0,person,0,0,10,10,0.9,0"
    trajectories = write_csv(tmp_path / "trajectories.csv", [row, row])
    with pytest.raises(InputError, match="line 3: camera 'hall', frame_index 0 has global_id 5 again"):
        evaluate([trajectories], {"hall": tmp_path / "gt.txt"})


def text_of(table: Table) -> str:
    file = io.StringIO()
    Console(width=200, file=file).print(table)
    return file.getvalue()


def test_tables_and_json() -> None:
    scores = twelve_people_in_three_cameras(linked=False)
    lines = [line.strip("│ ").split("│") for line in text_of(scores_table(scores)).splitlines() if "│" in line]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    assert rows["IDF1 %"] == ["100.0", "100.0", "100.0", "33.3"]
    assert rows["id switches"] == ["0", "0", "0", "24"]
    assert rows["predicted ids"] == ["12", "12", "12", "36"]
    ladder = text_of(linking_table(scores))
    assert "not linked" in ladder
    assert "33.3" in ladder
    empty = score({"a": tracked([])}, {"a": boxes([])})
    assert "–" in text_of(scores_table(empty))

    content = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert content["all_cameras"]["idf1"] == pytest.approx(1 / 3)
    assert content["cameras"]["b"]["predicted_ids"] == 12
    assert content["perfect_linking"]["hota"] == pytest.approx(1)
    assert json.loads(json.dumps(empty.to_dict(), allow_nan=False))["all_cameras"]["hota"] is None


def test_same_counts_as_trackeval_from_the_same_files(tmp_path: Path) -> None:
    """TrackEval's own reader and its preparation of MOT17 files, against ours."""
    rng = np.random.default_rng(0)
    truth_file = tmp_path / "gt" / "made" / "gt" / "gt.txt"
    result_file = tmp_path / "trackers" / "ours" / "data" / "made.txt"
    truth_file.parent.mkdir(parents=True)
    result_file.parent.mkdir(parents=True)
    frames = 40
    truth_lines = []
    result_lines = []
    for frame in range(frames):
        for person in range(8):
            left, top = 60 * person + 3 * frame, 20 + 10 * rng.random()
            flag = int(rng.random() > 0.1)
            truth_lines.append(f"{frame + 1},{person + 1},{left},{top:.2f},30,80,{flag},1,0.9\n")
            if rng.random() > 0.2:
                box_id = 10 + person + 8 * (frame > 20 and person < 3)
                shift = rng.normal(0, 4, 4)
                xyxy = np.array([left, top, left + 30, top + 80]) + shift
                result_lines.append(f"{result_line(frame, box_id, xyxy, 0.8)}\n")
        # Statues far from every predicted box: TrackEval forgives boxes that lie on them, we do not.
        truth_lines.append(f"{frame + 1},99,5000,10,30,80,1,7,1\n")
    result_file.write_text("".join(result_lines))
    truth_file.write_text("".join(truth_lines))

    dataset = MotChallenge2DBox(
        {
            "GT_FOLDER": str(tmp_path / "gt"),
            "TRACKERS_FOLDER": str(tmp_path / "trackers"),
            "TRACKERS_TO_EVAL": ["ours"],
            "SEQ_INFO": {"made": frames},
            "SKIP_SPLIT_FOL": True,
            "BENCHMARK": "MOT17",
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", "made"), "pedestrian")
    hota = HOTA().eval_sequence(data)
    identity = Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    clear = CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)

    results = read_results(result_file)
    scores = score(
        {"made": TrajectoryBoxes(results, results.ids)}, {"made": read_ground_truth(truth_file)}
    ).all_cameras
    assert scores.ground_truth_boxes == data["num_gt_dets"] < 8 * frames
    assert scores.predicted_boxes == data["num_tracker_dets"]
    assert scores.ground_truth_ids == data["num_gt_ids"] == 8
    assert scores.predicted_ids == data["num_tracker_ids"] == 11
    assert (scores.id_switches, scores.false_positives, scores.false_negatives) == (
        clear["IDSW"],
        clear["CLR_FP"],
        clear["CLR_FN"],
    )
    assert scores.id_switches == 3
    assert scores.mota == pytest.approx(clear["MOTA"], abs=1e-12)
    assert (scores.idf1, scores.idp, scores.idr) == pytest.approx(
        (identity["IDF1"], identity["IDP"], identity["IDR"]), abs=1e-12
    )
    assert (scores.hota, scores.det_a, scores.ass_a) == pytest.approx(
        tuple(np.mean(hota[name]) for name in ("HOTA", "DetA", "AssA")), abs=1e-12
    )


@pytest.mark.skipif("MTMC_DATA" not in os.environ, reason="MTMC_DATA (folder of recordings) is not set")
def test_real_ground_truth_against_itself() -> None:
    folder = Path(os.environ["MTMC_DATA"]) / "mot"
    truth = {
        name: read_ground_truth(folder / path / "gt" / "gt.txt")
        for name, path in (("campus", "TUD-Campus"), ("mot17", "MOT17-mini/train/MOT17-04-FRCNN"))
    }
    people = read_ground_truth(folder / "PETS09-S2L1" / "gt" / "gt.txt")
    people = people[people.frame_index < 100]
    truth["left"] = crop_ground_truth(people, (0, 0, 360, 576))
    truth["right"] = crop_ground_truth(people, (420, 0, 768, 576))
    predicted = {camera: TrajectoryBoxes(real, real.ids) for camera, real in truth.items()}
    scores = score(predicted, truth)
    for part in (*scores.cameras.values(), scores.all_cameras, scores.perfect_linking):
        assert (part.hota, part.det_a, part.ass_a) == pytest.approx((1, 1, 1))
        assert (part.idf1, part.mota, part.id_switches) == (1, 1, 0)
    assert scores.not_linked.idf1 is not None
    assert scores.not_linked.idf1 < 0.95, "people who walk from the left view into the right"
