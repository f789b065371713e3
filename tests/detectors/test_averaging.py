from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from detectors.averaging import average
from detectors.training import reduce
from pipeline.commands.detectors.app import app
from pipeline.core.errors import InputError
from tests.helpers.tiny_yolo import write_tiny_yolo


def parameters(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=False)["model"].float().state_dict()
    return state


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    reduce(str(write_tiny_yolo(folder)), folder / "person.pt")
    return folder / "person.pt"


def test_the_mean_lies_between(person: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(person, weights_only=False)
    with torch.no_grad():
        for parameter in checkpoint["model"].parameters():
            parameter += 0.5
    torch.save(checkpoint, tmp_path / "other.pt")
    done = CliRunner().invoke(
        app, ["average", str(person), str(tmp_path / "other.pt"), "--output", str(tmp_path / "sub" / "mean.pt")]
    )
    assert done.exit_code == 0
    first, mean = parameters(person), parameters(tmp_path / "sub" / "mean.pt")
    moved = dict(checkpoint["model"].named_parameters())
    assert len(moved) > 10
    for key in moved:
        torch.testing.assert_close(mean[key], first[key] + 0.25, rtol=2e-3, atol=2e-3)  # half precision
    statistics = [key for key in first if key.endswith("running_var")]
    assert all(torch.equal(mean[key], first[key]) for key in statistics)


def test_one_is_not_enough(person: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        average([str(person)], tmp_path / "mean.pt")


def test_other_classes_have_no_mean(person: Path, tmp_path: Path) -> None:
    reduce(str(person.parent / "tiny.pt"), tmp_path / "car.pt", class_name="car")
    with pytest.raises(InputError, match="another network than"):
        average([str(person), str(tmp_path / "car.pt")], tmp_path / "mean.pt")


def test_exports_have_no_mean(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a \.pt checkpoint"):
        average(["a.onnx", "b.onnx"], tmp_path / "mean.pt")
