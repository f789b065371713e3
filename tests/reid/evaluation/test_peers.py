"""Networks of others: made here, with features that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS
from reid.datasets import read_dataset
from reid.evaluation.peers import Peer, network_features, parse_peer


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("bgr255", [51.0, 102.0, 255.0]),
        ("imagenet", [(1 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]),
        ("half", [1.0, -0.2, -0.6]),
    ],
)
def test_pixel_formats(pixels: str, expected: list[float]) -> None:
    image = np.full((1, 2, 2, 3), (255, 102, 51), np.uint8)  # RGB 1, 0.4, 0.2
    result = INPUT_PRESETS[pixels].pixels_of(image)
    assert result.shape == (1, 3, 2, 2)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0, :, 1, 0], expected, rtol=1e-5)


def test_features_are_normalised_and_in_the_order_of_the_crops(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the package openvino")
    from openvino import opset13 as ops

    image = ops.parameter([1, 3, 8, 4], np.float32, name="data")
    mean = ops.reduce_mean(image, ops.constant(np.array([2, 3])), keep_dims=True)
    openvino.save_model(openvino.Model([mean], [image], "colours"), str(tmp_path / "colours.xml"))
    folder = tmp_path / "crops"
    folder.mkdir()
    for number in range(20):  # more than a batch
        colour = (250, 0, 0) if number % 2 else (0, 0, 120)
        Image.new("RGB", (20, 40), colour).save(folder / f"0001_c1_{number:02}.png")
    features = network_features(tmp_path / "colours.xml", read_dataset(folder).query, "bgr255")
    expected = [[0, 0, 1] if number % 2 else [1, 0, 0] for number in range(20)]
    np.testing.assert_allclose(features, expected, atol=1e-3)


def test_a_network_with_more_inputs_is_no_peer(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the package openvino")
    from openvino import opset13 as ops

    image, cameras = ops.parameter([1, 3, 8, 4], np.float32), ops.parameter([1], np.float32)
    both = ops.add(ops.reduce_mean(image, ops.constant(np.array([2, 3]))), cameras)
    openvino.save_model(openvino.Model([both], [image, cameras], "own"), str(tmp_path / "own.xml"))
    (tmp_path / "crops").mkdir()
    Image.new("RGB", (20, 40)).save(tmp_path / "crops" / "0001_c1_00.png")
    crops = read_dataset(tmp_path / "crops").query
    with pytest.raises(InputError, match=r"own\.xml has 2 inputs, but an embedder takes crops"):
        network_features(tmp_path / "own.xml", crops, "half")


def test_a_peer_is_a_name_a_file_and_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a,b=c.xml"
    path.touch()
    assert parse_peer(f"intel={path},bgr255") == Peer("intel", path, INPUT_PRESETS["bgr255"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("network.xml,bgr255", "expected NAME=FILE,INPUT"),
        ("intel=network.xml", "expected NAME=FILE,INPUT"),
        ("intel=network.xml,rgb", "expected one of bgr255, imagenet, half"),
        ("intel=missing.xml,bgr255", "there is no file missing.xml"),
    ],
)
def test_other_peers_are_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_peer(text)
