"""Models with the jigsaw as models without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.models.branches import names_with_jigsaw, names_without_jigsaw, without_jigsaw
from reid.models.transreid import NeckFeature, TransReID, TransReIDConfig


def make_model(neck_feature: NeckFeature = "before", *, jpm: bool = True) -> TransReID:
    torch.manual_seed(1)
    config = TransReIDConfig(
        width=32,
        depth=2,
        heads=2,
        image_size=(64, 32),
        cameras=2,
        unknown_row=True,
        jpm=jpm,
        num_classes=3,
        shift=2,
    )
    model = TransReID(config, neck_feature=neck_feature).eval()
    for tensor in model.parameters():
        torch.nn.init.normal_(tensor, std=0.1)
    for name in model.head_names("bottleneck"):
        model.get_submodule(name).running_mean.normal_()  # type: ignore[operator]
    return model


@pytest.mark.parametrize(
    ("plain", "with_jigsaw"),
    [
        pytest.param(
            "base.blocks.1.mlp.fc1.weight", ["b1.0.mlp.fc1.weight", "b2.0.mlp.fc1.weight"], id="last block"
        ),
        pytest.param("base.norm.bias", ["b1.1.bias", "b2.1.bias"], id="final norm"),
        pytest.param("base.blocks.0.norm1.bias", ["base.blocks.0.norm1.bias"], id="another block"),
        pytest.param("base.blocks.10.norm1.bias", ["base.blocks.10.norm1.bias"], id="block 10"),
        pytest.param("bottleneck.weight", ["bottleneck.weight"], id="head of the global feature"),
    ],
)
def test_names(plain: str, with_jigsaw: list[str]) -> None:
    assert names_with_jigsaw(plain, 2) == with_jigsaw
    assert names_without_jigsaw(with_jigsaw[0], 2) == [plain]
    assert [names_without_jigsaw(name, 2) for name in with_jigsaw[1:]] == [[] for _ in with_jigsaw[1:]]


@pytest.mark.parametrize("neck_feature", ["before", "after"])
def test_the_global_feature_stays(neck_feature: NeckFeature) -> None:
    model = make_model(neck_feature)
    images, cameras = torch.randn(3, 3, 64, 32), torch.tensor([0, 1, -1])
    alone = without_jigsaw(model)
    assert alone.config.feature_dim == 32
    with torch.no_grad():
        assert torch.allclose(alone(images, cameras), model(images, cameras)[:, :32], atol=1e-6)


def test_strip_leaves_out_the_jigsaw(tmp_path: Path) -> None:
    source, target = tmp_path / "trained.safetensors", tmp_path / "small.safetensors"
    model = make_model()
    save_checkpoint(source, model, camera_names=["c1", "c2"])
    arguments = ["strip", str(source), str(target), "--global-only"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    loaded = load_checkpoint(target)
    assert not loaded.model.config.jpm
    assert loaded.camera_names == ("c1", "c2")
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        assert torch.allclose(loaded.model(images), model(images)[:, :32], atol=1e-2)
    with pytest.raises(InputError, match=r"--global-only: \S*small\.safetensors has no jigsaw to leave out"):
        CliRunner().invoke(app, ["strip", str(target), str(source), "--global-only"], catch_exceptions=False)
