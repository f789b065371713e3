"""`mtmc reid export` on a tiny checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.commands.reid.app import app
from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.errors import InputError, RunError
from reid.backends.exported import load_export
from reid.backends.torch_model import TorchBackend
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.export.check import ExportCheck, check_export
from reid.export.sample import CropSample, sample_of_dataset, sample_of_demo
from tests.reid.test_embedder import loaded_model


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Four people, each in two cameras."""
    folder = tmp_path / "crops"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for person in range(4):
        for camera in (1, 2):
            pixels = rng.integers(0, 256, (40, 20, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{person:04d}_c{camera}_00.png")
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    loaded = loaded_model(depth=1, jpm=False)
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, loaded.model, camera_names=("c1", "c2"), card={"data": "none"})
    return path


def test_the_command_writes_a_network_with_its_header_and_compares_it(
    checkpoint: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "tiny.xml"
    arguments = ["export", "--checkpoint", str(checkpoint), "--data", str(crops), "--output", str(output)]
    with pytest.raises(InputError, match=r"the folder .*out of --output does not exist"):
        app(arguments, standalone_mode=False)
    output.parent.mkdir()
    app([*arguments, "--precision", "fp16"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert "8 crops: cosine with torch " in printed
    assert "in torch, " in printed
    assert f"wrote {output}" in printed
    assert sorted(file.name for file in output.parent.iterdir()) == ["tiny.bin", "tiny.xml"]
    header = load_export(output).header
    assert header.camera_names == ("c1", "c2")
    assert header.card == {"data": "none"}
    assert header.embedding_hash == load_checkpoint(checkpoint).model_hash
    with pytest.raises(InputError, match=r"tiny\.xml exists already; remove it"):
        app(arguments, standalone_mode=False)
    with pytest.raises(InputError, match=r"must end in \.onnx for --format onnx"):
        app([*arguments, "--format", "onnx"], standalone_mode=False)


@pytest.mark.parametrize(
    ("format", "precision", "needs"),
    [("onnx", "fp32", "onnxscript"), ("onnx", "int8", "nncf"), ("openvino", "int8", "nncf")],
)
def test_the_command_writes_every_format_also_beside_a_gpu(
    format: str,
    precision: str,
    needs: str,
    checkpoint: Path,
    crops: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in {"onnxruntime" if format == "onnx" else "openvino", needs}:
        pytest.importorskip(package, reason=f"{package} is not installed")
    # A GPU that torch sees, while the runtimes of `mtmc[export]` are those for CPUs
    monkeypatch.setattr("reid.backends.choose.chosen_device", lambda name: name.replace("auto", "cuda"))
    output = tmp_path / ("tiny.onnx" if format == "onnx" else "tiny.xml")
    arguments = ["--checkpoint", str(checkpoint), "--data", str(crops), "--output", str(output)]
    app(["export", *arguments, "--format", format, "--precision", precision], standalone_mode=False)
    printed = capsys.readouterr().out
    assert f"wrote {output}" in printed
    assert f" in {precision}: " in printed
    # Of the four people with two crops each, two calibrate an int8 network and the other two measure it.
    assert f"{4 if precision == 'int8' else 8} crops: cosine" in printed
    assert ("points lost, on people not used for calibration" in printed) is (precision == "int8")
    header = load_export(output).header
    assert header.precision == precision
    own = load_checkpoint(checkpoint).model_hash
    assert (header.embedding_hash == own) is (precision != "int8")


class _Wrong:
    """Computes what another backend computes, but turns the first crop's feature around."""

    runtime = "wrong"

    def __init__(self, right: TorchBackend) -> None:
        self._right = right

    def features(self, crops: NDArray[np.uint8], cameras: IntArray) -> FloatArray:
        features = self._right.features(crops, cameras).copy()
        features[0] *= -1
        return features


def test_an_export_that_computes_something_else_is_refused(checkpoint: Path, crops: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    sample = sample_of_dataset(crops, (64, 32), 100)
    right = TorchBackend(loaded, torch.device("cpu"), half=False)
    same = check_export(loaded, right, sample)
    same.require_equal()
    assert (same.crops, same.map_torch) == (8, same.map_export)
    check = check_export(loaded, _Wrong(right), sample)
    assert check.cosine_min == pytest.approx(-1)
    assert check.map_export != check.map_torch
    with pytest.raises(RunError, match=r"the lowest cosine of 8 crops is -1\.0000, at least 0\.999 is needed"):
        check.require_equal()
    with pytest.raises(RunError, match="is nan"):
        replace(check, cosine_min=float("nan")).require_equal()
    ExportCheck(1, 0.999, 1.0, None, None).require_equal()


def test_crops_of_a_data_set_are_spaced_evenly_and_know_their_cameras(crops: Path) -> None:
    sample = sample_of_dataset(crops, (64, 32), 3)
    assert sample.crops.shape == (3, 3, 64, 32)
    assert sample.person_ids.tolist() == [0, 1, 3]  # crops 0, 3 and 7 of 0 to 7
    assert sample.cameras.tolist() == ["c1", "c2", "c2"]
    assert sample.rows(("c2",)).tolist() == [-1, 0, 0]


def test_halves_of_a_sample_have_no_person_in_common() -> None:
    ids = np.array([7, 3, 9, 3, 7, 1])
    sample = CropSample(np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), ids, np.array(list("abcdef")))
    calibrating, measuring = sample.halves()
    assert calibrating.person_ids.tolist() == [7, 7, 1]
    assert calibrating.cameras.tolist() == ["a", "e", "f"]
    assert measuring.person_ids.tolist() == [3, 9, 3]
    assert measuring.crops.flatten().tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="the 1 crops are all of one person"):
        sample.first(1).halves()


def test_without_data_the_demo_scene_serves() -> None:
    sample = sample_of_demo((64, 32), 30)
    assert sample.crops.shape == (30, 3, 64, 32)
    assert sample.crops.dtype == np.uint8
    assert set(sample.cameras) == {"cam1", "cam2", "cam3"}
    assert len(set(sample.person_ids.tolist())) > 6
