"""The convolutional stem: what it makes of pictures, how it is loaded, saved and exported."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel, load_checkpoint, save_checkpoint
from reid.export.to_openvino import write_openvino
from reid.models.omni_scale import OmniScaleStem
from reid.models.omni_scale_weights import transreid_from_openvino
from reid.models.transreid import TransReID, TransReIDConfig

TINY = TransReIDConfig(
    width=32,
    depth=1,
    heads=2,
    image_size=(64, 32),
    stem="omni_scale",
    stem_channels=(64, 64, 64, 128),
    stem_gate_groups=(4, 4, 8),
)
DATA = os.environ.get("MTMC_DATA")


def tiny_model() -> TransReID:
    torch.manual_seed(0)
    return TransReID(TINY).eval()


def pictures(count: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, 3, 64, 32), np.float32))


def test_the_stem_gives_a_token_for_every_16_pixels_and_a_class_token() -> None:
    stem = tiny_model().base.patch_embed
    assert isinstance(stem, OmniScaleStem)
    tokens, class_token = stem(pictures())
    assert tokens.shape == (3, 8, 32)
    assert class_token.shape == (3, 1, 32)


@torch.inference_mode()
def test_exposure_and_colour_cast_of_the_camera_change_nothing() -> None:
    """Instance normalisation takes away what scales or shifts a whole channel."""
    model = tiny_model()
    images = pictures()
    cast = images * torch.tensor([0.6, 0.9, 1.3]).view(1, 3, 1, 1) + torch.tensor([0.1, 0.0, -0.2]).view(
        1, 3, 1, 1
    )
    torch.testing.assert_close(model(cast), model(images), atol=2e-3, rtol=0)
    assert (model(images.flip(2)) - model(images)).abs().max() > 0.01


@torch.inference_mode()
def test_crops_of_a_batch_do_not_see_each_other() -> None:
    model = tiny_model()
    torch.testing.assert_close(model(pictures())[:1], model(pictures()[:1]), atol=1e-5, rtol=1e-5)


def test_a_checkpoint_keeps_the_stem(tmp_path: Path) -> None:
    model = tiny_model()
    save_checkpoint(tmp_path / "model.safetensors", model)
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    assert loaded.model.config == TINY
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(pictures()), model(pictures()))


def test_side_information_and_jigsaw_work_on_its_tokens() -> None:
    torch.manual_seed(0)
    model = TransReID(replace(TINY, depth=2, cameras=2, unknown_row=True, jpm=True)).eval()
    with torch.inference_mode():
        first, second = (model(pictures(), torch.full((3,), row)) for row in (0, 1))
    assert first.shape == (3, 5 * 32)
    assert (first - second).abs().max() > 1e-3


def test_an_exported_stem_computes_the_same(tmp_path: Path) -> None:
    model = tiny_model()
    write_openvino(LoadedModel(model, "0123456789abcdef"), tmp_path / "model.xml")
    network = openvino.Core().compile_model(
        str(tmp_path / "model.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    with torch.inference_mode():
        expected = model(pictures()).numpy()
    np.testing.assert_allclose(network(pictures().numpy())[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 12}, "patch and stride 16, not 16 and 12"),
        ({"image_size": (72, 32)}, "sides divisible by 16"),
        ({"stem_channels": (64, 64, 64)}, "four stem_channels"),
        ({"stem_gate_groups": (5, 4, 8)}, "not 64 channels and 5 groups"),
        ({"stem": "patches"}, "belong to the omni_scale stem"),
        ({"stem": "resnet"}, "must be one of patches, omni_scale"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(TINY, **changes)  # type: ignore[arg-type]


def test_another_network_is_no_start(tmp_path: Path) -> None:
    crops = openvino.opset13.parameter([1, 3, 256, 128], np.float32)
    openvino.save_model(openvino.Model([openvino.opset13.relu(crops)], [crops]), tmp_path / "other.xml")
    for name, message in (
        ("other.xml", "is not person-reidentification-retail"),
        ("none.xml", "there is no network"),
    ):
        with pytest.raises(InputError, match=message):
            transreid_from_openvino(tmp_path / name, depth=1, width=384, heads=6)


@pytest.mark.skipif(DATA is None, reason="needs the networks of the Open Model Zoo: set MTMC_DATA")
@pytest.mark.parametrize("number", ["0277", "0286"])
def test_a_start_sees_as_the_network_it_is_made_of(number: str, tmp_path: Path) -> None:
    """Cosine similarities of random pictures, of its features and of the network's own."""
    name = f"person-reidentification-retail-{number}"
    source = Path(str(DATA)) / "peers" / name / f"{name}.xml"
    result = CliRunner().invoke(app, ["start", str(source), str(tmp_path / "start.safetensors"), "--blocks", "1"])
    assert result.exit_code == 0, result.output
    model = load_checkpoint(tmp_path / "start.safetensors").model
    coarse = np.random.default_rng(0).integers(0, 256, (4, 3, 16, 8)).astype(np.float32)
    images = functional.interpolate(torch.from_numpy(coarse), size=(256, 128), mode="bilinear")
    graph = openvino.Core().read_model(str(source))
    graph.reshape([4, 3, 256, 128])
    network = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        ours = functional.normalize(model(images / 127.5 - 1))
    theirs = functional.normalize(torch.from_numpy(network(images.flip(1).numpy())[0]))
    torch.testing.assert_close(ours @ ours.T, theirs @ theirs.T, atol=0.03, rtol=0)
