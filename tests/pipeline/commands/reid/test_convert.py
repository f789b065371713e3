"""Official checkpoints become ones that the pipeline loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError
from reid.checkpoints import load_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from tests.helpers.state_dicts import released_of


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


def test_vehicle_models_keep_viewpoints_normalisation_and_shift(tmp_path: Path) -> None:
    """Their configurations differ from those of persons; what shapes do not tell is said."""
    torch.manual_seed(0)
    config = TransReIDConfig(
        width=64, depth=2, heads=1, image_size=(64, 64), cameras=2, views=8, jpm=True, shift=8, num_classes=5
    )
    model = TransReID(config).eval()
    torch.save(released_of(model), tmp_path / "vehicles.pth")
    target = tmp_path / "vehicles.safetensors"
    arguments = ["convert", str(tmp_path / "vehicles.pth"), str(target), "--views", "8", "--shift", "8"]
    arguments += ["--image-size", "64x64", "--stride", "16"]
    arguments += ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "assumed 8 as the shift of the jigsaw" in result.output
    assert "normalises with mean 0.485,0.456,0.406 and deviation 0.229,0.224,0.225" in result.output
    loaded = load_checkpoint(target)
    assert loaded.view_names == tuple(f"v{view}" for view in range(8))
    assert (loaded.input_mean, loaded.input_std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    images, cameras, views = torch.rand(2, 3, 64, 64), torch.tensor([0, 1]), torch.tensor([3, 7])
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(images, cameras, views), model(images, cameras, views))


def test_another_jigsaw_than_the_official_one_is_kept(official: tuple[Path, TransReID], tmp_path: Path) -> None:
    target = tmp_path / "own.safetensors"
    arguments = ["convert", str(official[0]), str(target), "--image-size", "64x32", "--stride", "16"]
    options = ["--no-rearrange", "--shuffle-groups", "4", "--divide-length", "8"]
    result = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
    # The report has long lines.
    assert "RE_ARRANGE False" in " ".join(result.output.split())
    config = load_checkpoint(target).model.config
    assert (config.rearrange, config.groups, config.divide_length) == (False, 4, 8)


@pytest.mark.parametrize("text", ["0.5", "a,b,c", "0.5,0.5,0.5,0.5"])
def test_a_normalisation_that_is_none_is_refused(
    official: tuple[Path, TransReID], tmp_path: Path, text: str
) -> None:
    arguments = ["convert", str(official[0]), str(tmp_path / "x.safetensors"), "--mean", text]
    with pytest.raises(InputError, match=f"--mean {text}: expected three numbers"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
