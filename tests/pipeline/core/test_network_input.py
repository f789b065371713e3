"""What the input of a network of others is, from presets and mappings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS, NetworkInput, parse_network_input

CAFFE = {"channels": "bgr", "scale": 255, "mean": [104, 117, 123], "std": [2, 2, 2]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bgr255", [51.0, 102.0, 255.0]),
        ("imagenet", [(1 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]),
        ("half", [1.0, -0.2, -0.6]),
        ("{channels: bgr, scale: 255, mean: [1, 2, 5], std: [1, 2, 10]}", [50, 50, 25]),
        ("{channels: rgb, scale: 1, mean: [0, 0, 0], std: [1, 1, 1], size_hw: [256, 128]}", [1, 0.4, 0.2]),
    ],
)
def test_pixels_in_the_order_and_on_the_scale_of_the_network(text: str, expected: list[float]) -> None:
    image = np.full((1, 2, 2, 3), (255, 102, 51), np.uint8)  # RGB 1, 0.4, 0.2
    pixels = parse_network_input("--input", text).pixels_of(image)
    assert pixels.shape == (1, 3, 2, 2)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[0, :, 1, 0], expected, rtol=1e-5)


def test_names_can_be_typed_again() -> None:
    for value in (*INPUT_PRESETS.values(), NetworkInput.model_validate({**CAFFE, "size_hw": [64, 32]})):
        assert parse_network_input("--input", value.name) == value
    assert INPUT_PRESETS["bgr255"].name == "bgr255"


def test_a_configuration_takes_both_and_writes_what_it_reads() -> None:
    for given, expected in (("half", INPUT_PRESETS["half"]), (CAFFE, NetworkInput.model_validate(CAFFE))):
        config = load_config(None, {"embedder": {"weights": "a.onnx", "input": given}})
        assert config.embedder.input == expected
        noted = config.model_dump(mode="json")["embedder"]
        assert load_config(None, {"embedder": noted}).embedder == config.embedder


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("intel", r"embedder\.input: expected one of bgr255, imagenet, half, or a mapping .*'intel'"),
        ({**CAFFE, "channels": "grey"}, r"embedder\.input\.channels: .*'grey'"),
        ({**CAFFE, "scale": 2}, r"embedder\.input\.scale: .*but it is 2"),
        ({**CAFFE, "mean": [1, 2]}, r"embedder\.input\.mean: "),
        ({**CAFFE, "std": [1, 2, 0]}, r"embedder\.input\.std\.2: "),
        ({"channels": "rgb"}, r"embedder\.input\.scale: Field required"),
        ({**CAFFE, "colour": 1}, r"embedder\.input\.colour: unknown key"),
    ],
)
def test_wrong_inputs_are_named(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(None, {"embedder": {"input": given}})


def test_wrong_text_of_a_command_line_is_named() -> None:
    for text, message in (
        ("intel", "expected one of bgr255"),
        ("{scale: 1", "--input '{scale: 1'"),
        ("7", "--input"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            parse_network_input("--input", text)
        assert "\n" not in str(caught.value)
