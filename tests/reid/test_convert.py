"""Official checkpoints become ones that the pipeline loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipeline.errors import InputError
from reid.checkpoints import load_checkpoint
from reid.cli import app
from reid.models.transreid import TransReID, TransReIDConfig
from tests.reid.state_dicts import released_of


@pytest.fixture
def official(tmp_path: Path) -> tuple[Path, TransReID]:
    """A tiny model with JPM and two cameras, and its state dict as the official code saves it."""
    torch.manual_seed(0)
    config = TransReIDConfig(width=64, depth=2, heads=1, image_size=(64, 32), cameras=2, jpm=True, num_classes=5)
    model = TransReID(config).eval()
    path = tmp_path / "transformer_120.pth"
    torch.save(released_of(model), path)
    return path, model


def test_the_converted_model_gives_the_same_features(official: tuple[Path, TransReID], tmp_path: Path) -> None:
    path, model = official
    target = tmp_path / "site.safetensors"
    arguments = [
        "convert",
        str(path),
        str(target),
        "--cameras",
        "door,hall",
        "--image-size",
        "64x32",
        "--stride",
        "16",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    loaded = load_checkpoint(target)
    assert loaded.camera_names == ("door", "hall")
    images, cameras = torch.rand(3, 3, 64, 32), torch.tensor([0, 1, 1])
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(images, cameras), model(images, cameras), atol=1e-5, rtol=1e-5)


def test_a_size_that_is_no_size_is_refused(official: tuple[Path, TransReID], tmp_path: Path) -> None:
    arguments = ["convert", str(official[0]), str(tmp_path / "x.safetensors"), "--image-size", "big"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, InputError)
    assert "--image-size big" in str(result.exception)
