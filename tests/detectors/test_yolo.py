from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from detectors.ultralytics_import import import_ultralytics
from detectors.weights import model_hash
from detectors.yolo import YoloDetector
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation, cpu_name
from pipeline.core.models import Detector
from pipeline.sources.open import open_source
from tests.helpers.tiny_yolo import write_tiny_yolo

DATA = os.environ.get("MTMC_DATA")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_yolo(tmp_path_factory.mktemp("tiny"))


def detector(weights: Path | str, **changes: Any) -> YoloDetector:
    settings: dict[str, Any] = {
        "image_size_px": 64,
        "confidence_min": 0.5,
        "nms_iou": 0.5,
        "classes": ["person", "car", "truck"],
        "max_batch": 3,
        "max_detections": 20,
        "device": "cpu",
        "runtime": "torch",
        "half": False,  # with bfloat16, boxes move by .1 px and confidences by .002
    }
    return YoloDetector(str(weights), **{**settings, **changes})


def noise(size_wh: tuple[int, int], seed: int) -> Frame:
    image = np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3)).astype(np.uint8)
    return Frame(camera_id=f"c{seed}", frame_index=0, time_s=0.0, size_wh=size_wh, image=image)


def same(found: Detections, expected: Detections) -> None:
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=0.05)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-3)
    np.testing.assert_array_equal(found.class_id, expected.class_id)


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_a_box_that_is_no_number_is_none(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, column: int, value: float
) -> None:
    """A network in half precision can overflow."""
    found = np.array([[1, 2, 30, 40, 0.9, 0], [5, 6, 30, 40, 0.8, 0]], np.float32)
    found[0, column] = value
    yolo = detector(tiny)
    monkeypatch.setattr(yolo._network, "boxes", lambda images, classes: [found])
    (detections,) = yolo.detect([noise((64, 64), 0)])
    assert detections.xyxy.tolist() == [[5, 6, 30, 40]]


SIZES = [(80, 60), (64, 64), (80, 60), (40, 90), (80, 60), (80, 60), (64, 64)]


class TestDetect:
    def test_cameras_of_different_sizes_get_the_same_boxes_as_alone(self, tiny: Path) -> None:
        yolo: Detector = detector(tiny)
        frames = [noise(size, seed) for seed, size in enumerate(SIZES)]
        together = yolo.detect(frames)
        assert all(len(found) > 0 for found in together)
        for frame, found in zip(frames, together, strict=True):
            same(found, yolo.detect([frame])[0])

    def test_boxes_are_in_pixels_of_the_frame_most_confident_first(self, tiny: Path) -> None:
        found = detector(tiny).detect([noise((320, 240), 0)])[0]
        assert found.xyxy.dtype == np.float32
        assert found.xyxy.min() >= 0
        assert 64 < found.xyxy[:, 2].max() <= 320
        assert found.xyxy[:, 3].max() <= 240
        assert (found.confidence >= 0.5).all()
        assert (np.diff(found.confidence) <= 0).all()

    def test_no_frames_and_nothing_found(self, tiny: Path) -> None:
        assert detector(tiny).detect([]) == []
        found = detector(tiny, confidence_min=0.9999999).detect([noise((64, 64), 0)])
        assert [len(f) for f in found] == [0]
        assert found[0].xyxy.shape == (0, 4)

    def test_classes_are_chosen_by_name(self, tiny: Path) -> None:
        frame = noise((64, 64), 1)
        everything = detector(tiny, nms_iou=1.0, max_detections=300).detect([frame])[0]
        assert set(everything.class_id) == {0, 1, 2}
        vehicles = detector(tiny, nms_iou=1.0, max_detections=300, classes=["truck", "car"])
        assert vehicles.class_names == {2: "truck", 1: "car"}
        same(vehicles.detect([frame])[0], everything[everything.class_id != 0])

    def test_one_object_has_one_box_whatever_its_classes(self, tiny: Path) -> None:
        frame = noise((160, 160), 1)
        found = detector(tiny, image_size_px=160, nms_iou=0.3, max_detections=300).detect([frame])[0]
        assert len(set(found.class_id)) > 1
        area = np.prod(found.xyxy[:, 2:] - found.xyxy[:, :2], axis=1)
        left_top = np.maximum(found.xyxy[:, None, :2], found.xyxy[None, :, :2])
        right_bottom = np.minimum(found.xyxy[:, None, 2:], found.xyxy[None, :, 2:])
        shared = np.prod(np.maximum(right_bottom - left_top, 0), axis=2)
        iou = shared / (area[:, None] + area[None] - shared)
        # Boxes are clipped to the frame after suppression, which changes the overlap of those at its border.
        inside = (found.xyxy > 0).all(axis=1) & (found.xyxy < 160).all(axis=1)
        assert inside.sum() > 5
        assert np.triu(iou[np.ix_(inside, inside)], 1).max() <= 0.3

    def test_max_detections_keeps_the_most_confident(self, tiny: Path) -> None:
        frame = noise((64, 64), 1)
        many = detector(tiny).detect([frame])[0]
        few = detector(tiny, max_detections=2).detect([frame])[0]
        assert len(many) > 2
        same(few, many[np.arange(2)])

    def test_model_hash_follows_the_file(self, tiny: Path, tmp_path: Path) -> None:
        copy = shutil.copy(tiny, tmp_path / "copy.pt")
        assert detector(copy).model_hash == detector(tiny).model_hash == model_hash(tiny)
        assert len(model_hash(tiny)) == 16
        assert model_hash(tiny) != model_hash(tiny.with_name("tiny.yaml"))

    def test_frames_without_pictures_are_refused(self, tiny: Path) -> None:
        frame = Frame(camera_id="c", frame_index=3, time_s=0.0, size_wh=(64, 64), image=None)
        with pytest.raises(ValueError, match="frame 3 of camera c has no image"):
            detector(tiny).detect([frame])

    def test_the_number_of_threads_stays(self, tiny: Path) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            detector(tiny).detect([noise((64, 64), 0)])
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    def test_an_export_with_a_fixed_batch(self, tiny: Path, tmp_path: Path) -> None:
        pytest.importorskip("openvino", reason="openvino is not installed")
        copy = shutil.copy(tiny, tmp_path / "tiny.pt")
        with warnings.catch_warnings():
            for category in (FutureWarning, DeprecationWarning, torch.jit.TracerWarning):
                warnings.simplefilter("ignore", category)  # what exporting warns of is not what is tested
            folder = import_ultralytics().YOLO(copy).export(format="openvino", imgsz=64, batch=2)
        exported, original = detector(folder), detector(tiny)
        for frames in ([noise((64, 64), s) for s in range(5)], [noise((80, 60), 9)], []):
            for found, expected in zip(exported.detect(frames), original.detect(frames), strict=True):
                # A static export pads to its square, so only square frames are the same picture to both.
                if frames[0].size_wh == (64, 64):
                    same(found, expected)
                assert len(found) > 0
        assert exported.class_names == original.class_names
        assert exported.model_hash == model_hash(Path(folder))
        with pytest.raises(InputError, match="works at 64 px, not at image_size_px = 128"):
            detector(folder, image_size_px=128)

    def test_on_a_cpu_openvino_finds_the_same_alone_and_together(
        self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        pytest.importorskip("openvino", reason="openvino is not installed")
        monkeypatch.setenv("MTMC_CACHE", str(tmp_path))
        fast, original = detector(tiny, runtime="auto"), detector(tiny)
        assert "preparing the detector tiny.pt for the CPU, once" in caplog.text
        frames = [noise(size, seed) for seed, size in enumerate(SIZES)]
        together = fast.detect(frames)
        for frame, found, expected in zip(frames, together, original.detect(frames), strict=True):
            assert len(found) > 0
            same(found, expected)
            same(found, fast.detect([frame])[0])
        for once, again in zip(together, detector(tiny, runtime="openvino").detect(frames), strict=True):
            np.testing.assert_array_equal(once.xyxy, again.xyxy)
            np.testing.assert_array_equal(once.confidence, again.confidence)
        assert (fast.model_hash, fast.class_names) == (original.model_hash, original.class_names)
        assert len(list(tmp_path.iterdir())) == 1
        assert sorted(entry.name for entry in tiny.parent.iterdir()) == ["tiny.pt", "tiny.yaml"]

    def test_it_says_what_computes_it(self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        openvino = pytest.importorskip("openvino", reason="openvino is not installed")
        monkeypatch.setenv("MTMC_CACHE", str(tmp_path))
        assert detector(tiny).computation == Computation("torch", "fp32", "cpu", cpu_name())
        assert detector(tiny, runtime="openvino").computation.precision == "fp32"
        fast = detector(tiny, runtime="openvino", half="auto")
        by_itself = str(openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name())
        assert fast.computation.precision == {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}[by_itself]
        assert (fast.computation.library, fast.computation.device) == ("OpenVINO", "CPU")

    @pytest.mark.skipif(DATA is None, reason="MTMC_DATA is not set")
    def test_real_model_on_real_cameras(self) -> None:
        data = Path(str(DATA))
        yolo = detector(
            data / "weights" / "yolo11n.pt",
            image_size_px=640,
            confidence_min=0.25,
            nms_iou=0.7,
            classes=["person"],
        )
        frames = []
        for sequence in ("TUD-Campus", "PETS09-S2L1", "MOT17-mini/train/MOT17-04-FRCNN", "TUD-Stadtmitte"):
            with open_source(sequence, str(data / "mot" / sequence)) as source:
                frames.append(next(iter(source)))
        together = yolo.detect(frames)
        for frame, found in zip(frames, together, strict=True):
            assert len(found) >= 3, "each of these streets is busy"
            same(found, yolo.detect([frame])[0])


def exported(weights: Path, folder: Path, **arguments: Any) -> Path:
    """The network as ONNX, as Ultralytics exports it."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    copy = shutil.copy(weights, folder / weights.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what exporting warns of is not what is tested
        return Path(import_ultralytics().YOLO(copy).export(format="onnx", simplify=False, **arguments))


class TestWhatExportsChange:
    def test_their_own_suppression_is_told(
        self, tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        detector(exported(tiny, tmp_path, imgsz=64, nms=True, conf=0.6), confidence_min=0.1, runtime="auto")
        assert "was exported with nms=True: confidence_min 0.1 has no effect below" in caplog.text

    def test_a_portrait_makes_landscapes_small(
        self, tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        yolo = detector(exported(tiny, tmp_path, imgsz=(96, 64)), image_size_px=96, runtime="auto")
        yolo.detect([noise((60, 90), 0)])
        assert caplog.text == ""
        yolo.detect([noise((320, 160), 0)] * 3)
        yolo.detect([noise((320, 160), 0)])
        assert caplog.text.count("64 px wide and 96 px high: frames of 320x160 are reduced to 64x32") == 1

    def test_one_without_metadata_has_no_names_of_classes(self, tiny: Path, tmp_path: Path) -> None:
        onnx = pytest.importorskip("onnx", reason="onnx is not installed")
        path = exported(tiny, tmp_path, imgsz=64)
        network = onnx.load(path)
        del network.metadata_props[:]
        onnx.save(network, path)
        with pytest.raises(InputError, match="states no names of classes") as caught:
            detector(path, runtime="auto")
        assert len(str(caught.value)) < 400
        assert detector(path, classes=["class1"], runtime="auto").class_names == {1: "class1"}


def test_classes_of_one_name_are_one_class(tiny: Path, tmp_path: Path) -> None:
    model = import_ultralytics().YOLO(str(tiny))
    model.model.names = {0: "person", 1: "car", 2: "person"}
    model.save(tmp_path / "twice.pt")
    people = detector(tmp_path / "twice.pt", classes=["person"], nms_iou=1.0, max_detections=300)
    assert people.class_names == {0: "person", 2: "person"}
    frame = noise((64, 64), 1)
    everything = detector(tiny, nms_iou=1.0, max_detections=300).detect([frame])[0]
    same(people.detect([frame])[0], everything[everything.class_id != 1])


class TestRefused:
    @pytest.mark.parametrize("name", ["yolov5n.pt", "yolov3.pt", "it's.pt"])
    def test_a_name_that_ultralytics_takes_for_another_file(
        self, tiny: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)  # a letter u anywhere in the path hides the fault
        shutil.copy(tiny, name)
        monkeypatch.setattr(import_ultralytics(), "YOLO", lambda name: pytest.fail("loaded"), raising=False)
        with pytest.raises(InputError, match=r"Ultralytics would load .*: rename the file"):
            detector(name)

    @pytest.mark.parametrize(
        "device", ["mps", "intel:gpu", "tpu", "tpu:0", "vulkan", "", "none", "0,1", "-1", "CPU:x"]
    )
    def test_a_device_that_does_not_compute(self, tiny: Path, device: str) -> None:
        if device == "mps" and torch.backends.mps.is_available():
            pytest.skip("this machine has mps")
        with pytest.raises(InputError, match=f"the device '?{device}") as caught:
            detector(tiny, device=device)
        assert "auto" in str(caught.value)

    def test_unknown_classes_are_listed_with_the_known_ones(self, tiny: Path) -> None:
        with pytest.raises(InputError, match=r"does not know bus, tram; its classes are: person, car, truck$"):
            detector(tiny, classes=["bus", "car", "tram"])
        with pytest.raises(InputError, match=r"classes is empty; the classes of .* are: person, car, truck$"):
            detector(tiny, classes=[])

    @pytest.mark.parametrize("weights", ["folder/yolo11n.pt", "mine.pt", "mine_openvino_model"])
    def test_missing_weights(self, weights: str) -> None:
        with pytest.raises(InputError, match=f"the weights {weights} do not exist.*mtmc detectors train"):
            detector(weights)

    def test_a_download_that_fails(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        ultralytics = import_ultralytics()

        def offline(name: str) -> None:
            raise ConnectionError(f"Download failure for {name}.\nEnvironment may be offline.")

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(ultralytics, "YOLO", offline, raising=False)
        with pytest.raises(InputError, match=r"yolo11s\.pt is not here and cannot be downloaded: Down"):
            detector("yolo11s.pt")

    def test_a_file_that_is_no_checkpoint(self, tmp_path: Path) -> None:
        path = tmp_path / "a.pt"
        path.write_text("no checkpoint")
        with pytest.raises(InputError, match="cannot be loaded") as caught:
            detector(path)
        assert "\n" not in str(caught.value)

    def test_a_checkpoint_that_would_run_code(self, tmp_path: Path) -> None:
        path = tmp_path / "evil.pt"
        torch.save({"model": _RunsCode(str(tmp_path / "was run"))}, path)
        with pytest.raises(InputError, match="cannot be loaded"):
            detector(path)
        assert not (tmp_path / "was run").exists()

    def test_with_safe_loading_off_pickles_are_warned_of(
        self, tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("detectors.ultralytics_network.loads_safely", lambda: False)
        known = tmp_path / "SHA256SUMS"
        monkeypatch.setattr("detectors.weights.KNOWN_CHECKPOINTS", known)
        with caplog.at_level(logging.WARNING):
            detector(tiny)
        assert "is a pickle" in caplog.text
        caplog.clear()
        from detectors.weights import sha256

        known.write_text(f"{sha256(tiny)}  tiny.pt\n")
        with caplog.at_level(logging.WARNING):
            detector(tiny)
        assert "is a pickle" not in caplog.text

    def test_a_device_that_is_not_there(self, tiny: Path) -> None:
        with pytest.raises(InputError, match=r"the device cuda:99 cannot be used: torch sees \d+ GPUs"):
            detector(tiny, device="cuda:99")

    def test_a_model_for_another_task(self, tmp_path: Path) -> None:
        architecture = tmp_path / "tiny-cls.yaml"
        architecture.write_text("nc: 2\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\nhead: [[-1, 1, Classify, [nc]]]\n")
        import_ultralytics().YOLO(str(architecture)).save(tmp_path / "a.pt")
        with pytest.raises(InputError, match="is a model for the task 'classify', not for detection"):
            detector(tmp_path / "a.pt")

    def test_a_size_that_is_no_multiple_of_32(self, tiny: Path) -> None:
        with pytest.raises(InputError, match="set image_size_px: 128"):
            detector(tiny, image_size_px=100)


class _RunsCode:
    """Unpickling this creates a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, (self._path,))


def test_a_damaged_picture_is_still_pillows_error_after_a_detector_was_loaded(tiny: Path, tmp_path: Path) -> None:
    """Ultralytics answers it by trying to install a package."""
    detector(tiny)
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    with pytest.raises(PIL.UnidentifiedImageError):
        PIL.Image.open(tmp_path / "damaged.png")


def test_ultralytics_leaves_no_traces(tiny: Path, tmp_path: Path) -> None:
    """In a fresh process: no settings in the home folder, no analytics, nothing on the standard output."""
    code = f"""
import sys
from detectors.yolo import YoloDetector
YoloDetector({str(tiny)!r}, image_size_px=64, confidence_min=0.5, nms_iou=0.5, classes=["person"], max_batch=1,
             max_detections=9, device="cpu", runtime="torch")
import os, torch
from ultralytics import utils
from ultralytics.utils.events import events
assert "OMP_NUM_THREADS" not in os.environ and "YOLO_OFFLINE" not in os.environ
assert not utils.AUTOINSTALL and not utils.ONLINE and utils.SAFE_LOAD
assert not utils.SETTINGS["sync"] and not utils.SETTINGS["mlflow"] and not events.enabled
assert utils.LOGGER.propagate and not utils.LOGGER.handlers
print(os.environ["YOLO_CONFIG_DIR"], file=sys.stderr)
"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("YOLO_", "ULTRALYTICS_", "OMP_", "PYTEST_"))}
    environment = {**clean, "HOME": str(tmp_path), "PYTHONPATH": os.getcwd(), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    settings = Path(done.stderr.strip().splitlines()[-1])
    assert settings.parent == tmp_path
    assert not settings.exists()
    assert [entry.name for entry in tmp_path.rglob("*") if "ultralytics" in entry.name.lower()] == []
