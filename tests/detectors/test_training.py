from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from detectors.dataset import add_sequence
from detectors.single_class import keep_class
from detectors.training import TrainingSettings, reduce, train
from detectors.ultralytics_import import import_ultralytics
from detectors.yolo import YoloDetector
from pipeline.commands.detectors.app import app
from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from tests.detectors.test_dataset import sequence
from tests.helpers.tiny_yolo import write_tiny_yolo

DATA = os.environ.get("MTMC_DATA")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_yolo(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = "".join(f"{frame},1,16,12,32,24,1,-1,-1,-1\n" for frame in range(1, 9))
    add_sequence(sequence(folder / "S", rows, frames=8), folder / "yolo", every=2)
    return folder / "yolo" / "data.yaml"


@contextmanager
def ultralytics_warnings_ignored() -> Iterator[None]:
    """Its trainer steps the scheduler before the optimizer, and pins memory without a GPU; torch warns of both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"ultralytics\.")
        yield


def outputs(weights: Path, image: torch.Tensor) -> torch.Tensor:
    """Boxes and class confidences of every cell: (1, 4 + classes, cells)."""
    model = import_ultralytics().YOLO(str(weights)).model.float().eval()
    with torch.inference_mode():
        result: torch.Tensor = model(image)[0]
    return result


class TestKeepClass:
    @pytest.mark.parametrize(("name", "row"), [("person", 0), ("truck", 2)])
    def test_boxes_and_confidences_of_the_class_stay_as_they_are(
        self, tiny: Path, tmp_path: Path, name: str, row: int
    ) -> None:
        image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        before = outputs(tiny, image)
        reduce(str(tiny), tmp_path / "reduced.pt", class_name=name)
        after = outputs(tmp_path / "reduced.pt", image)
        assert (before.shape[1], after.shape[1]) == (4 + 3, 4 + 1)
        torch.testing.assert_close(after[:, :4], before[:, :4], rtol=2e-3, atol=0.05)  # half precision
        torch.testing.assert_close(after[:, 4], before[:, 4 + row], rtol=0, atol=0.02)
        assert before[:, 4 + row].std() > 0.1, "confidences that say nothing would be equal too"

    def test_the_detector_runs_it(self, tiny: Path, tmp_path: Path) -> None:
        reduce(str(tiny), tmp_path / "car.pt", class_name="car")
        yolo = YoloDetector(
            str(tmp_path / "car.pt"),
            image_size_px=64,
            confidence_min=0.5,
            nms_iou=0.5,
            classes=["car"],
            max_batch=1,
            max_detections=9,
            device="cpu",
        )
        image = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
        found = yolo.detect([Frame(camera_id="c", frame_index=0, time_s=0.0, size_wh=(64, 64), image=image)])[0]
        assert len(found) > 0
        assert yolo.class_names == {0: "car"}

    def test_an_unknown_class(self, tiny: Path) -> None:
        model = import_ultralytics().YOLO(str(tiny)).model
        with pytest.raises(InputError, match="no class 'bus'; its classes are: person, car, truck"):
            keep_class(model, "bus")

    @pytest.mark.skipif(DATA is None, reason="MTMC_DATA is not set")
    def test_a_real_model(self, tmp_path: Path) -> None:
        weights = Path(str(DATA)) / "weights" / "yolo11n.pt"
        reduce(str(weights), tmp_path / "person.pt")
        image = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(0))
        before, after = outputs(weights, image), outputs(tmp_path / "person.pt", image)
        torch.testing.assert_close(after[:, 4], before[:, 4], rtol=0, atol=0.01)
        assert (tmp_path / "person.pt").stat().st_size < 5.6e6


class TestTrain:
    def test_training_changes_the_weights_and_leaves_only_what_inference_needs(
        self, tiny: Path, data: Path, tmp_path: Path
    ) -> None:
        settings = TrainingSettings(
            epochs=2, image_size_px=64, batch=2, learning_rate=0.01, freeze=0, mosaic=0.0, device="cpu"
        )
        with ultralytics_warnings_ignored():
            result = train(data, str(tiny), tmp_path / "run", settings=settings)
        assert result == tmp_path / "run" / "person_tiny.pt"
        checkpoint = torch.load(result, weights_only=False)
        assert set(checkpoint) == {"model", "ema", "train_args", "license"}
        assert checkpoint["ema"] is None
        model = checkpoint["model"]
        assert model.names == {0: "person"}
        assert {p.dtype for p in model.parameters()} == {torch.float16}
        assert not any(p.requires_grad for p in model.parameters())
        with zipfile.ZipFile(result) as archive:
            contents = b"".join(archive.read(name) for name in archive.namelist())
        for path in (tmp_path, data.parent, tiny.parent, Path.home()):
            assert str(path).encode() not in contents

        reduce(str(tiny), tmp_path / "start.pt")
        start = torch.load(tmp_path / "start.pt", weights_only=False)["model"]
        moved = [
            float((a.float() - b.float()).abs().max())
            for a, b in zip(model.parameters(), start.parameters(), strict=True)
        ]
        assert sum(change > 1e-3 for change in moved) > len(moved) / 2

    def test_frozen_layers_and_batch_statistics_stay(self, tiny: Path, data: Path, tmp_path: Path) -> None:
        settings = TrainingSettings(epochs=1, image_size_px=64, batch=2, freeze=5, mosaic=0.0, device="cpu")
        with ultralytics_warnings_ignored():
            result = train(data, str(tiny), tmp_path / "run", settings=settings)
        reduce(str(tiny), tmp_path / "start.pt")
        trained, start = (
            torch.load(path, weights_only=False)["model"].state_dict() for path in (result, tmp_path / "start.pt")
        )
        assert all(torch.equal(trained[key], start[key]) for key in start if int(key.split(".")[1]) < 5)
        assert not all(torch.equal(trained[key], start[key]) for key in start)
        statistics = [key for key in start if key.endswith(("running_mean", "running_var"))]
        assert len(statistics) > 10
        assert all(torch.equal(trained[key], start[key]) for key in statistics)

    def test_no_picture_needs_to_be_kept_for_validation(self, tiny: Path, tmp_path: Path) -> None:
        seq = sequence(tmp_path / "S", "1,1,16,12,32,24,1,-1,-1,-1\n", frames=2)
        add_sequence(seq, tmp_path / "yolo", every=1, train_share=1.0)
        settings = TrainingSettings(epochs=1, image_size_px=64, batch=2, freeze=0, mosaic=0.0, device="cpu")
        with ultralytics_warnings_ignored():
            result = train(tmp_path / "yolo" / "data.yaml", str(tiny), tmp_path / "run", settings=settings)
        assert torch.load(result, weights_only=False)["model"].names == {0: "person"}

    def test_nothing_to_train_on(self, tiny: Path, tmp_path: Path) -> None:
        add_sequence(sequence(tmp_path / "S", "", frames=2), tmp_path / "yolo", train_share=0.0)
        with pytest.raises(InputError, match="no training pictures"):
            train(tmp_path / "yolo" / "data.yaml", str(tiny), tmp_path / "run")


class TestCommandLine:
    def test_dataset_prints_where_it_is(self, tmp_path: Path) -> None:
        seq = sequence(tmp_path / "S", "1,1,16,12,32,24,1,-1,-1,-1\n", frames=4)
        done = CliRunner().invoke(app, ["dataset", str(seq), "--output", str(tmp_path / "data"), "--every", "1"])
        assert done.exit_code == 0
        assert done.stdout.splitlines()[-1] == str(tmp_path / "data" / "data.yaml")
        assert (tmp_path / "data" / "labels" / "train" / "S_000002.txt").read_text() == ""

    def test_bad_input_is_told(self, tiny: Path, tmp_path: Path) -> None:
        missing = str(tmp_path / "no.yaml")
        done = CliRunner().invoke(app, ["evaluate", "--data", missing, "--weights", str(tiny)])
        assert isinstance(done.exception, InputError)
        assert "build a data set with 'mtmc detectors dataset'" in str(done.exception)

    def test_training_prints_figures_before_and_after(self, tiny: Path, data: Path, tmp_path: Path) -> None:
        arguments = [
            "--data",
            str(data),
            "--weights",
            str(tiny),
            "--output",
            str(tmp_path / "run"),
            "--epochs",
            "1",
        ]
        with ultralytics_warnings_ignored():
            done = CliRunner().invoke(
                app,
                ["train", *arguments, "--image-size", "64", "--freeze", "0", "--device", "cpu"],
                env={"COLUMNS": "200"},
            )
        assert done.exit_code == 0
        result = tmp_path / "run" / "person_tiny.pt"
        assert done.stdout.splitlines()[-1] == str(result)
        measured = [line for line in done.stdout.splitlines() if "│ all" in line]
        assert len(measured) == 2
        assert result.is_file()

    def test_exports_cannot_be_trained(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"not a \.pt checkpoint"):
            train(data, "yolo11n.onnx", tmp_path)
