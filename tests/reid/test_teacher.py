"""A teacher's features: from an OpenVINO network made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import InputError
from reid.datasets import read_dataset
from reid.training.losses import similarity_matching_loss
from reid.training.teacher import teacher_features


@pytest.mark.parametrize(
    ("title", "features", "teacher", "expected"),
    [
        ("same angles, other lengths", [[2.0, 0.0], [0.0, 5.0]], [[0.0, 1.0], [1.0, 0.0]], 0.0),
        ("student sees one, teacher two", [[1.0, 0.0], [3.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], 1.0),
        ("opposite and alike", [[1.0, 0.0], [-1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], 4.0),
    ],
)
def test_similarity_matching_is_the_mean_squared_difference_of_cosines(
    title: str, features: list[list[float]], teacher: list[list[float]], expected: float
) -> None:
    loss = similarity_matching_loss(torch.tensor(features), torch.tensor(teacher))
    assert loss.item() == pytest.approx(expected, abs=1e-6), title


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Two people in two cameras: one red, one blue."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for person, colour in ((1, (200, 0, 0)), (2, (0, 0, 100))):
        for camera in (1, 2):
            Image.new("RGB", (20, 40), colour).save(folder / f"{person:04d}_c{camera}_00.jpg", quality=100)
    return folder


@pytest.fixture
def colour_network(tmp_path: Path) -> Path:
    """A network that returns the mean of each channel of its (1, 3, 8, 4) BGR input."""
    openvino = pytest.importorskip("openvino", reason="needs the package openvino")
    from openvino import opset13 as ops

    image = ops.parameter([1, 3, 8, 4], np.float32, name="data")
    mean = ops.reduce_mean(image, ops.constant(np.array([2, 3])), keep_dims=True)
    path = tmp_path / "colours.xml"
    openvino.save_model(openvino.Model([mean], [image], "colours"), str(path))
    return path


def test_features_are_those_of_the_network_in_the_order_of_the_crops(
    crops: Path, colour_network: Path, tmp_path: Path
) -> None:
    dataset = read_dataset(crops).train
    features = teacher_features(colour_network, dataset, tmp_path / "kept.npy")
    # Blue, green, red: person 1 is red, person 2 blue.
    expected = [[0, 0, 1] if crop.person_id == 1 else [1, 0, 0] for crop in dataset.crops]
    np.testing.assert_allclose(features, expected, atol=0.02)


def test_features_are_computed_once(crops: Path, colour_network: Path, tmp_path: Path) -> None:
    dataset = read_dataset(crops).train
    first = teacher_features(colour_network, dataset, tmp_path / "kept.npy")
    colour_network.unlink()
    np.testing.assert_array_equal(teacher_features(colour_network, dataset, tmp_path / "kept.npy"), first)


def test_a_file_that_is_no_network_is_refused(crops: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs the package openvino")
    (tmp_path / "no.xml").write_text("<a/>")
    with pytest.raises(InputError, match=r"no\.xml is no network of crops"):
        teacher_features(tmp_path / "no.xml", read_dataset(crops).train, tmp_path / "kept.npy")
