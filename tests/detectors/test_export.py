"""`mtmc detectors export` on a tiny detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from detectors.export import export_network
from detectors.export_check import ExportCheck, check_export
from pipeline.cli import main
from pipeline.commands.detectors.app import app
from pipeline.core.errors import InputError, RunError
from tests.detectors.test_yolo import detector, noise, same
from tests.helpers.tiny_yolo import write_tiny_yolo


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_yolo(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures of noise, with a box each."""
    folder = tmp_path_factory.mktemp("data")
    for kind in ("images", "labels"):
        (folder / kind / "val").mkdir(parents=True)
    for index in range(5):
        cv2.imwrite(str(folder / f"images/val/noise_{index}.png"), noise((80, 60), index).image)
        (folder / f"labels/val/noise_{index}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    (folder / "data.yaml").write_text("train: images/val\nval: images/val\nnames: {0: person}\n")
    return folder / "data.yaml"


@pytest.mark.usefixtures("fp32_openvino")
@pytest.mark.parametrize(("format", "name"), [("openvino", "a_openvino_model"), ("onnx", "a.onnx")])
def test_the_command_writes_a_network_that_the_pipeline_loads(
    format: str, name: str, tiny: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(format, reason=f"{format} is not installed")
    output = tmp_path / name
    arguments = [
        "export",
        "--weights",
        str(tiny),
        "--data",
        str(data),
        "--output",
        str(output),
        "--format",
        format,
    ]
    app([*arguments, "--image-size", "64"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert "5 frames: cosine with torch at least 1.000000 of the boxes, 1.000000 of the confidences" in printed
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    frames = [noise((80, 60), 1), noise((64, 64), 2), noise((80, 60), 3)]
    loaded = next(output.glob("*.xml")) if format == "openvino" else output  # OpenVINO's folder, or the file in it
    exported, original = detector(loaded), detector(tiny)
    for found, expected in zip(exported.detect(frames), original.detect(frames), strict=True):
        assert len(found) > 0
        same(found, expected)
    assert exported.class_names == original.class_names
    with pytest.raises(InputError, match="exists already; remove it"):
        app(arguments, standalone_mode=False)


@pytest.mark.parametrize(("format", "name"), [("openvino", "a_openvino_model"), ("onnx", "a.onnx")])
@pytest.mark.filterwarnings("ignore")  # of the quantisers, about so small a network and so few frames
def test_int8_is_measured_on_the_frames_that_did_not_calibrate_it(
    format: str,
    name: str,
    tiny: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in (format, "nncf" if format == "openvino" else "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    calibrated_with: list[str] = []

    def exported(*args: Any, data: Path, **kwargs: Any) -> None:
        calibrated_with.extend(picture.name for picture in (data.parent / "images").iterdir())
        export_network(*args, data=data, **kwargs)

    monkeypatch.setattr("pipeline.commands.detectors.export.export_network", exported)
    output = tmp_path / name
    arguments = ["--weights", str(tiny), "--data", str(data), "--output", str(output), "--image-size", "64"]
    app(["export", *arguments, "--format", format, "--precision", "int8"], standalone_mode=False)
    assert sorted(calibrated_with) == ["noise_0.png", "noise_2.png", "noise_4.png"]
    printed = capsys.readouterr().out
    assert "2 frames: cosine with torch at least" in printed
    assert "on 2 frames not used for calibration, with 2 boxes:\nAP50 " in printed
    assert printed.endswith(f"lost\nwrote {output}\n")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert [len(found) > 0 for found in detector(output).detect([noise((80, 60), 1)])] == [True]
    assert not list(data.parent.rglob("*.cache")), "nothing is written into the data set"


def test_an_export_that_computes_something_else_is_refused(tiny: Path, tmp_path: Path) -> None:
    other = torch.load(tiny, weights_only=False)
    for parameter in other["model"].parameters():
        parameter.data = torch.flip(parameter.data, dims=[0])
    torch.save(other, tmp_path / "other.pt")
    images = [np.asarray(noise((80, 60), seed).image) for seed in range(2)]
    check_export(tiny, tiny, images, image_size_px=64).require_equal()
    check = check_export(tiny, tmp_path / "other.pt", images, image_size_px=64)
    with pytest.raises(RunError, match=r"the lowest cosine of 2 frames is 0\.\d+, at least 0\.999 is needed"):
        check.require_equal()
    with pytest.raises(RunError, match="is nan"):
        ExportCheck(1, 1.0, float("nan")).require_equal()


def test_a_failed_comparison_is_one_line_and_writes_nothing(
    tiny: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.setattr(
        "pipeline.commands.detectors.export.check_export", lambda *_, **__: ExportCheck(5, 0.5, 1.0)
    )
    output = tmp_path / "a.onnx"
    arguments = ["--weights", str(tiny), "--data", str(data), "--output", str(output), "--image-size", "64"]
    with pytest.raises(SystemExit) as caught:
        main(["detectors", "export", *arguments, "--format", "onnx"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("failed: the export does not compute what the checkpoint computes: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        ("a.xml", {"format": "openvino"}, "must end in _openvino_model, which names the runtime"),
        ("a.pt", {"format": "onnx"}, r"must end in \.onnx"),
        ("a_openvino_model", {"format": "openvino", "precision": "int8"}, "needs frames to calibrate with"),
        ("a.onnx", {"format": "onnx", "weights": "tiny.yaml"}, r"only \.pt checkpoints can be exported"),
        ("taken.onnx", {"format": "onnx"}, "exists already"),
    ],
)
def test_wrong_arguments(output: str, options: dict[str, str], message: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "taken.onnx").write_text("")
    weights = tiny.parent / options.pop("weights", "tiny.pt")
    with pytest.raises(InputError, match=message):
        export_network(weights, tmp_path / output, image_size_px=64, **options)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_tensorrt_needs_a_gpu(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a TensorRT export needs an NVIDIA GPU, and torch sees none here"):
        export_network(tiny, tmp_path / "a.engine", format="tensorrt")


def _reid_network(folder: Path) -> Path:
    """A readable network that is no detector."""
    import onnx
    from onnx import TensorProto, helper

    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["b", 3, 64, 64])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["b", 3, 1, 1])
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["images"], ["features"])], "g", [images], [features]
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "a.onnx"
    )
    return folder / "a.onnx"


def _text(folder: Path) -> Path:
    (folder / "a.onnx").write_text("no network")
    return folder / "a.onnx"


def _empty(folder: Path) -> Path:
    (folder / "a_openvino_model").mkdir()
    return folder / "a_openvino_model"


@pytest.mark.parametrize("make", [_reid_network, _text, _empty])
@pytest.mark.filterwarnings("ignore::UserWarning")  # of the runtimes, about the very file
def test_files_that_are_no_detector_are_one_line(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(InputError, match=path.name) as caught:
        detector(path)
    assert "\n" not in str(caught.value)
