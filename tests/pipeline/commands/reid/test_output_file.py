"""Commands see before their work that its result cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.commands.reid.output_file import prepare_output
from pipeline.core.errors import InputError, RunError
from reid.checkpoints import save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from reid.safetensors_file import write_safetensors


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    config = TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), cameras=2, unknown_row=True)
    save_checkpoint(path, TransReID(config), camera_names=["c1", "c2"])
    return path


def test_folders_are_made_and_nothing_else(tmp_path: Path) -> None:
    prepare_output(None)
    prepare_output(tmp_path / "a" / "b" / "x.png", (".png",))
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["a", "a/b"]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["strip", "{model}", "{no}/x.safetensors"], id="strip"),
        pytest.param(["convert", "{tmp}/none.pth", "{no}/x.safetensors"], id="convert"),
        pytest.param(["adapt", "--crops", "{tmp}/none", "--checkpoint", "{model}", "-o", "{no}/x"], id="adapt"),
        pytest.param(["calibrate", "--data", "{tmp}/none", "--plot", "{no}/x.png"], id="plot of calibrate"),
        pytest.param(["calibrate", "--data", "{tmp}/none", "--json", "{no}/x"], id="figures of calibrate"),
        pytest.param(["evaluate", "--data", "{tmp}/none", "--json", "{no}/x"], id="figures of evaluate"),
        pytest.param(["evaluate", "--data", "{tmp}/none", "--attention", "{no}/x.png"], id="picture of evaluate"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(
    checkpoint: Path, tmp_path: Path, arguments: list[str]
) -> None:
    no_folder = tmp_path / "file"
    no_folder.touch()
    texts = [text.format(model=checkpoint, tmp=tmp_path, no=no_folder) for text in arguments]
    with pytest.raises(InputError, match=r"file/x\S* cannot be written: "):
        CliRunner().invoke(app, texts, catch_exceptions=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("plot.gif", "plot.gif cannot be written: its name must end in .png or .pdf", id="suffix"),
        pytest.param("folder.png", "folder.png cannot be written: it is a folder", id="a folder"),
    ],
)
def test_names_that_cannot_be_of_the_file(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=words):
        prepare_output(tmp_path / name, (".png", ".pdf"))


def test_a_new_folder_is_made_for_a_stripped_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.safetensors"
    result = CliRunner().invoke(app, ["strip", str(checkpoint), str(target)], catch_exceptions=False)
    assert result.exit_code == 0
    assert target.is_file()


def test_a_write_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"x cannot be written: "):
        write_safetensors(tmp_path / "none" / "x", {"a": torch.zeros(1)}, {})
