"""Exports give the same boxes with and without Ultralytics, and what is not known is left to it."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detectors.exported_network import ExportedNetwork, Unknown, known_metadata
from detectors.ultralytics_import import import_ultralytics
from detectors.ultralytics_network import UltralyticsNetwork
from tests.detectors.test_yolo import detector, noise
from tests.helpers.tiny_yolo import write_tiny_yolo

pytest.importorskip("openvino", reason="openvino is not installed")

LIMITS = {"image_size_px": 64, "confidence_min": 0.2, "nms_iou": 0.5, "max_detections": 40}


@pytest.fixture(scope="module", params=["suppressed", "end to end"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_yolo(tmp_path_factory.mktemp("tiny"), end_to_end=request.param == "end to end")


def exported(weights: Path, folder: Path, **arguments: Any) -> Path:
    (folder / "export").mkdir()
    copy = shutil.copy(weights, folder / "export" / weights.name)
    if arguments["format"] == "onnx":
        for package in ("onnx", "onnxruntime"):
            pytest.importorskip(package, reason=f"{package} is not installed")
        arguments["simplify"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what exporting warns of is not what is tested
        return Path(import_ultralytics().YOLO(copy).export(imgsz=64, **arguments))


@pytest.mark.parametrize("format", ["openvino", "onnx"])
@pytest.mark.parametrize("dynamic", [True, False])
def test_the_boxes_are_those_of_ultralytics(tiny: Path, tmp_path: Path, format: str, dynamic: bool) -> None:
    path = exported(tiny, tmp_path, format=format, dynamic=dynamic, batch=1 if dynamic else 2)
    file = next(path.glob("*.xml")) if path.is_dir() else path
    own = ExportedNetwork(file, exact=True, **LIMITS)  # type: ignore[arg-type]
    reference = UltralyticsNetwork(str(path), device="cpu", runtime="auto", half=False, **LIMITS)  # type: ignore[arg-type]
    assert (own.names, own.imgsz, own.dynamic) == (reference.names, reference.imgsz, reference.dynamic)
    assert own.computation == reference.computation
    assert dynamic or own.batch == reference.batch == 2
    for size in ((64, 64), (80, 60), (40, 90), (31, 200)):
        images = [np.asarray(noise(size, seed).image) for seed in range(3 if dynamic else 2)]
        for classes in ([0, 1, 2], [1]):
            for found, expected in zip(own.boxes(images, classes), reference.boxes(images, classes), strict=True):
                assert len(found) > 0
                np.testing.assert_array_equal(found[:, 5], expected[:, 5])
                np.testing.assert_allclose(found[:, :4], expected[:, :4], atol=0.01)
                np.testing.assert_allclose(found[:, 4], expected[:, 4], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "segment"}, "its task is segment"),
        ({"args": "{'nms': True}"}, "its own non-maximum suppression"),
        ({"channels": "4"}, "pictures of 4 channels"),
        ({"names": "{"}, "not complete"),
        ({"imgsz": "[64]"}, "not complete"),
        ({"names": {}}, "not complete"),
    ],
)
def test_what_is_not_known(changes: dict[str, Any], reason: str) -> None:
    good = {"task": "detect", "names": "{0: 'person'}", "imgsz": "[64, 64]", "args": "{}", "batch": "1"}
    assert known_metadata(good)["names"] == {0: "person"}
    with pytest.raises(Unknown, match=reason):
        known_metadata({**good, **changes})
    with pytest.raises(Unknown, match="no metadata"):
        known_metadata({})


def test_what_is_not_known_is_computed_by_ultralytics(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = exported(write_tiny_yolo(tmp_path), tmp_path, format="onnx", nms=True)
    with caplog.at_level(logging.INFO):
        (found,) = detector(path).detect([noise((64, 64), 0)])
    assert len(found) > 0
    assert f"{path} is computed by Ultralytics, with torch: it contains its own" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_what_is_known_is_computed_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = exported(write_tiny_yolo(tmp_path), tmp_path, format="openvino", dynamic=True)
    monkeypatch.setattr(UltralyticsNetwork, "__init__", lambda *_, **__: pytest.fail("Ultralytics was used"))
    with caplog.at_level(logging.INFO):
        for weights in (path, next(path.glob("*.xml"))):
            assert len(detector(weights, device="auto").detect([noise((64, 64), 0)])[0]) > 0
    assert "Ultralytics" not in caplog.text
