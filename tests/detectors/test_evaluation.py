from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from detectors.dataset import add_sequence
from detectors.evaluation import ALL, IOU_THRESHOLDS, evaluate, match, score_pictures, scores_by_sequence
from detectors.training import train
from detectors.yolo_dataset import YoloDataset, read_split
from pipeline.commands.detectors.app import app
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.fake_models import FakeDetector
from tests.detectors.test_dataset import sequence
from tests.helpers.tiny_yolo import write_tiny_yolo

DATA = os.environ.get("MTMC_DATA")
GREY = np.full((48, 64, 3), 128, np.uint8)
PERSON = [10.0, 10.0, 20.0, 30.0]


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_yolo(tmp_path_factory.mktemp("tiny"))


class TestMatch:
    def test_the_table_of_one_box(self) -> None:
        # The found box has the upper 15 of 20 rows: IoU 0.75, so it is right up to the threshold of 0.75.
        correct = match(boxes([10, 10, 20, 25]), boxes(PERSON))
        assert correct.tolist() == [[True] * 6 + [False] * 4]

    def test_a_person_is_found_once(self) -> None:
        correct = match(boxes(PERSON, PERSON), boxes(PERSON))
        assert correct.sum(axis=1).tolist() == [10, 0]

    def test_the_better_place_is_taken(self) -> None:
        # At 0.5 the first box overlaps both people, and takes the one that it fits exactly.
        other = [10.0, 14.0, 20.0, 34.0]  # IoU with PERSON: 16 / 24
        correct = match(boxes(other, PERSON), boxes(PERSON, other))
        assert correct.all()

    @pytest.mark.parametrize(("found", "true"), [(0, 1), (1, 0), (0, 0)])
    def test_nothing_found_or_nobody_there(self, found: int, true: int) -> None:
        correct = match(boxes(*[PERSON] * found), boxes(*[PERSON] * true))
        assert correct.shape == (found, len(IOU_THRESHOLDS))
        assert not correct.any()


class TestScores:
    def scores(self, tmp_path: Path, found: dict[str, list[tuple[list[float], float]]]) -> dict:
        dataset = YoloDataset(tmp_path / "set")
        dataset.add("val", "A_000001", GREY, boxes(PERSON))
        dataset.add("val", "A_000002", GREY, boxes(PERSON))
        dataset.add("val", "B_000001", GREY, boxes())

        def of(frame: Frame) -> Detections:
            rows = found.get(f"{frame.camera_id}{frame.frame_index}", [])
            return Detections(
                xyxy=np.array([box for box, _ in rows], np.float32).reshape(-1, 4),
                confidence=np.array([confidence for _, confidence in rows], np.float32),
                class_id=np.zeros(len(rows), np.int64),
            )

        return scores_by_sequence(score_pictures(FakeDetector(of), [tmp_path / "set" / "data.yaml"], "val"))

    def test_everybody_found_exactly(self, tmp_path: Path) -> None:
        scores = self.scores(tmp_path, {"A0": [(PERSON, 0.9)], "A1": [(PERSON, 0.3)]})
        assert list(scores) == ["A", "B", ALL]
        assert scores["A"].ap == pytest.approx(0.995)  # Ultralytics' curve ends just below recall 1
        assert (scores[ALL].images, scores[ALL].objects) == (3, 2)

    def test_half_of_the_people_found(self, tmp_path: Path) -> None:
        scores = self.scores(tmp_path, {"A0": [(PERSON, 0.9)]})
        assert scores["A"].ap50 == pytest.approx(0.5, abs=0.01)
        assert (scores["A"].precision, scores["A"].recall) == pytest.approx((1.0, 0.5), abs=0.01)

    def test_a_box_where_nobody_is_counts_over_all_pictures_only(self, tmp_path: Path) -> None:
        scores = self.scores(tmp_path, {"A0": [(PERSON, 0.5)], "A1": [(PERSON, 0.4)], "B2": [(PERSON, 0.9)]})
        assert scores["A"].ap50 == pytest.approx(0.995)
        assert math.isnan(scores["B"].ap50), "nobody to be found"
        # Precision is 1/2 and 2/3 at recalls 1/2 and 1; the later and greater one counts for both.
        assert scores[ALL].ap50 == pytest.approx(2 / 3, abs=0.01)

    def test_nothing_found_at_all(self, tmp_path: Path) -> None:
        assert self.scores(tmp_path, {})["A"].ap50 == 0


class TestEvaluate:
    def test_the_command_with_two_models_and_two_sets(self, tiny: Path, tmp_path: Path) -> None:
        for name in ("S", "T"):
            rows = "1,1,16,12,32,24,1,-1,-1,-1\n"
            add_sequence(sequence(tmp_path / name, rows, frames=2), tmp_path / f"set{name}", train_share=0.0)
        arguments = [
            "evaluate",
            "--json",
            str(tmp_path / "figures" / "out.json"),
            "--image-size",
            "64",
            "--device",
            "cpu",
        ]
        for name in ("S", "T"):
            arguments += ["--data", str(tmp_path / f"set{name}" / "data.yaml")]
        arguments += ["--weights", str(tiny)]
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert done.exit_code == 0
        written = json.loads((tmp_path / "figures" / "out.json").read_text())
        assert list(written) == [str(tiny)]
        assert list(written[str(tiny)]) == ["S", "T", "all"]
        assert written[str(tiny)]["all"]["objects"] == 2
        assert written[str(tiny)]["all"]["ap50"] < 0.5, "random weights find nobody"
        assert sum(str(tiny.name) in line for line in done.stdout.splitlines()) == 3

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "build a data set with 'mtmc detectors dataset'"),
            ("names: {0: person}\n", "names no folder of pictures as 'val'"),
            ("val: images/val\nnames: {0: person}\n", "no such folder"),
        ],
        ids=["no file", "no such part", "no folder"],
    )
    def test_sets_that_are_none(self, tmp_path: Path, content: str | None, message: str) -> None:
        file = tmp_path / "data.yaml"
        if content is not None:
            file.write_text(content)
        with pytest.raises(InputError, match=message):
            evaluate([file], "none.pt")

    @pytest.mark.parametrize("line", ["0 0.5 0.5 0.5", "0 a 0.5 0.5 0.5", "0 0.5", "0 .5 .5 .5 .5 .5 .5"])
    def test_labels_that_are_none(self, tmp_path: Path, line: str) -> None:
        YoloDataset(tmp_path).add("val", "A_000001", GREY, boxes(PERSON))
        (tmp_path / "labels" / "val" / "A_000001.txt").write_text(f"0 0.5 0.5 0.5 0.5\n{line}\n")
        with pytest.raises(InputError, match=re.escape(line)):
            list(read_split(tmp_path / "data.yaml", "val"))

    def test_labels_of_another_class(self, tmp_path: Path) -> None:
        YoloDataset(tmp_path).add("val", "A_000001", GREY, boxes(PERSON))
        (tmp_path / "labels" / "val" / "A_000001.txt").write_text("2 0.5 0.5 0.5 0.5\n")
        with pytest.raises(InputError, match=r"'2 0.5 0.5 0.5 0.5', but the only class of the data set is 0"):
            list(read_split(tmp_path / "data.yaml", "val"))

    @pytest.mark.parametrize("names", ["{0: car}", "[person, car]", "{}"])
    def test_sets_of_other_classes(self, tmp_path: Path, names: str) -> None:
        YoloDataset(tmp_path).add("val", "A_000001", GREY, boxes(PERSON))
        (tmp_path / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames: {names}\n")
        with pytest.raises(InputError, match="but only person is expected"):
            evaluate([tmp_path / "data.yaml"], "none.pt")
        with pytest.raises(InputError, match="but only person is expected"):
            train(tmp_path / "data.yaml", "none.pt", tmp_path / "run")

    def test_a_part_without_pictures(self, tmp_path: Path) -> None:
        YoloDataset(tmp_path)
        with pytest.raises(InputError, match="no pictures in the part 'train'"):
            evaluate([tmp_path / "data.yaml"], "none.pt", split="train")

    @pytest.mark.skipif(DATA is None, reason="MTMC_DATA is not set")
    def test_a_real_model(self, tmp_path: Path) -> None:
        root = Path(str(DATA))
        add_sequence(root / "mot" / "TUD-Campus", tmp_path / "data", every=24, train_share=0.0)
        scores = evaluate([tmp_path / "data" / "data.yaml"], str(root / "weights" / "yolo11n.pt"), device="cpu")
        assert scores["TUD-Campus"] == scores[ALL]
        assert scores[ALL].ap50 > 0.6
        assert 0.2 < scores[ALL].ap < scores[ALL].ap50
