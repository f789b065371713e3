"""Every runtime computes what torch computes; files are recognised by what they say of themselves."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.core.inference_runtime import Computation, cpu_name
from reid.backends.choose import build_backend
from reid.backends.exported import load_export
from reid.backends.onnx_model import OnnxBackend
from reid.backends.openvino_model import OpenVinoBackend
from reid.backends.tensorrt_engine import read_engine, write_engine
from reid.checkpoints import LoadedModel
from reid.embedder import NetworkEmbedder
from reid.export.calibration import CalibrationCrops
from reid.export.to_onnx import write_onnx
from reid.export.to_openvino import write_openvino
from reid.export.to_tensorrt import write_tensorrt
from reid.model_header import ModelHeader
from tests.reid.test_embedder import BOXES, frame, loaded_model

# 9 x 3 patches of stride 6: an odd number, which the jigsaw pads.
EVERYTHING = {"depth": 1, "stride": 6, "cameras": 2, "views": 2, "unknown_row": True}
SMALL = {"depth": 1, "jpm": False}
PLAIN = {"depth": 1, "jpm": False, "cameras": 0}


def crops(count: int, seed: int = 0) -> NDArray[np.uint8]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 64, 32), dtype=torch.uint8, generator=generator).numpy()


def rows(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """-1, 0, 1, -1, 0, ..."""
    return np.arange(count, dtype=np.int64) % 3 - 1


def cosines(features: Any, expected: Any) -> Any:
    norms = np.linalg.norm(features, axis=1) * np.linalg.norm(expected, axis=1)
    return (features * expected).sum(axis=1) / norms


def torch_features(loaded: LoadedModel, count: int) -> Any:
    return build_backend(loaded, device="cpu", runtime="torch").features(crops(count), rows(count))


def write(kind: str, loaded: LoadedModel, folder: Path, **options: Any) -> Path:
    """A file of the runtime `kind`."""
    path = folder / {"onnx": "model.onnx", "openvino": "model.xml"}[kind]
    {"onnx": write_onnx, "openvino": write_openvino}[kind](loaded, path, **options)
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The model EVERYTHING as a file of a runtime, written once."""
    return functools.cache(lambda kind: write(kind, loaded_model(**EVERYTHING), tmp_path_factory.mktemp(kind)))


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_a_file_computes_what_the_model_computes(kind: str, written: Callable[[str], Path]) -> None:
    loaded = loaded_model(**EVERYTHING)
    exported = load_export(written(kind))
    assert exported.header == ModelHeader.of(loaded)
    backend = build_backend(exported, device="cpu", half=False)
    for count in (1, 2, 5):
        features = backend.features(crops(count), rows(count))
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, torch_features(loaded, count), atol=2e-5)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_the_embedder_loads_files_as_it_loads_checkpoints(kind: str, written: Callable[[str], Path]) -> None:
    loaded = loaded_model(**EVERYTHING)
    file = written(kind)
    path = file.parent if kind == "openvino" else file  # OpenVINO's also as the folder
    camera_rows = {"a": "hall", "b": 1, "c": None}
    found, expected = (
        NetworkEmbedder(model, camera_rows=camera_rows, device="cpu", runtime="torch", half=False, batch_size=3)
        for model in (load_export(path), loaded)
    )
    frames = [frame("a", 1), frame("b", 2), frame("c", 3)]
    for one, other in zip(found.embed(frames, [BOXES] * 3), expected.embed(frames, [BOXES] * 3), strict=True):
        np.testing.assert_allclose(one.embeddings, other.embeddings, atol=1e-5)
    assert (found.dim, found.model_hash) == (expected.dim, expected.model_hash)
    assert found.unknown_cameras == expected.unknown_cameras == {"c": "row for unknown cameras"}
    with pytest.raises(InputError, match="the model has 0: hall, 1: door"):
        NetworkEmbedder(load_export(path), camera_rows={"x": "attic"})


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_half_precision_stays_near_and_can_be_compared(kind: str, tmp_path: Path) -> None:
    loaded = loaded_model(**SMALL)
    exported = load_export(write(kind, loaded, tmp_path, precision="fp16"))
    assert exported.header.precision == "fp16"
    assert exported.header.embedding_hash == loaded.model_hash
    found, expected = build_backend(exported, device="cpu").features(crops(4), rows(4)), torch_features(loaded, 4)
    assert not np.array_equal(found, expected)
    assert cosines(found, expected).min() > 0.999


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_int8_is_near_but_never_compared(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="nncf is not installed")
    loaded = loaded_model(**SMALL)
    calibration = CalibrationCrops(crops(8, seed=1), rows(8))
    exported = load_export(write(kind, loaded, tmp_path, precision="int8", calibration=calibration))
    found, expected = build_backend(exported, device="cpu").features(crops(4), rows(4)), torch_features(loaded, 4)
    assert np.abs(found - expected).max() > 1e-3
    assert cosines(found, expected).min() > 0.9
    other = CalibrationCrops(crops(8, seed=2), rows(8))
    assert exported.header.embedding_hash == f"{loaded.model_hash}-int8-{calibration.calibration_hash}"
    assert calibration.calibration_hash != other.calibration_hash


@pytest.mark.parametrize(
    ("device", "providers", "runtime"),
    [
        pytest.param("auto", ["CPUExecutionProvider"], "ONNX Runtime, fp32 on cpu", id="auto without CUDA"),
        pytest.param("cpu", ["CUDAExecutionProvider"], "ONNX Runtime, fp32 on cpu", id="the CPU beside CUDA"),
        pytest.param("auto", ["CUDAExecutionProvider"], "ONNX Runtime, fp32 on cuda", id="auto with CUDA"),
    ],
)
def test_onnx_takes_the_gpu_by_itself_only_where_its_runtime_can(
    device: str,
    providers: list[str],
    runtime: str,
    written: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    exported = load_export(written("onnx"))
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    asked: list[list[Any]] = []
    monkeypatch.setattr("reid.device.torch_may_use_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("reid.backends.onnx_model.processor_name", str)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*providers, "CPUExecutionProvider"])
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda path, options, providers: asked.append(providers) or session
    )
    computation = build_backend(exported, device=device).computation
    assert f"{computation.library}, {computation.precision} on {computation.device}" == runtime
    assert ("CUDAExecutionProvider" in str(asked)) is runtime.endswith("cuda")


def test_a_gpu_that_onnx_runtime_cannot_use_is_refused_where_it_is_named(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    exported = load_export(written("onnx"))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr("reid.device.choose_device", torch.device)
    with pytest.raises(InputError, match="the installed onnxruntime is for the CPU; pip install onnxruntime-gpu"):
        build_backend(exported, device="cuda")


def test_int8_needs_crops(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an int8 export needs crops to calibrate with; give --data"):
        write_openvino(loaded_model(**PLAIN), tmp_path / "model.xml", precision="int8")


def test_on_a_cpu_checkpoints_go_to_openvino_through_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MTMC_CACHE", str(tmp_path))
    loaded = loaded_model(**SMALL)
    first = build_backend(loaded, device="cpu")
    assert isinstance(first, OpenVinoBackend)
    assert (first.computation.library, first.computation.device) == ("OpenVINO", "CPU")
    assert "preparing the embedding model 0123456789abcdef for the CPU, once" in caplog.text
    caplog.clear()
    again = build_backend(loaded, device="cpu")
    assert "preparing" not in caplog.text
    np.testing.assert_array_equal(again.features(crops(5), rows(5)), first.features(crops(5), rows(5)))
    exact = build_backend(loaded, device="cpu", half=False)
    np.testing.assert_allclose(exact.features(crops(5), rows(5)), torch_features(loaded, 5), atol=2e-5)
    # The same file's hash with another table of cameras, as with a site's rows, is another network.
    loaded.model.base.sie_embed.data[0] *= -3
    changed = build_backend(loaded, device="cpu").features(crops(5), rows(5))
    assert np.abs(changed - first.features(crops(5), rows(5))).max() > 0.01
    assert len(list(tmp_path.iterdir())) == 2


def test_what_computes_a_checkpoint_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = loaded_model(**PLAIN)  # has no input but the images
    slow = build_backend(loaded, device="cpu", runtime="torch").computation
    assert slow == Computation("torch", "fp32", "cpu", cpu_name())
    fast = build_backend(loaded, device="cpu", runtime="openvino", half=False)
    assert (fast.computation.library, fast.computation.precision) == ("OpenVINO", "fp32")
    np.testing.assert_allclose(fast.features(crops(3), rows(3)), torch_features(loaded, 3), atol=2e-5)
    monkeypatch.setattr("pipeline.core.inference_runtime.find_spec", lambda name: None)
    assert build_backend(loaded, device="cpu").computation == slow
    with pytest.raises(InputError, match="runtime: openvino needs the package openvino: pip install openvino"):
        build_backend(loaded, device="cpu", runtime="openvino")


def test_the_runtime_says_what_the_processor_computes_in(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    class Compiled:
        """As on a CPU that takes bfloat16 by itself, or as on a device that does not say."""

        def __init__(self, properties: dict[str, Any]) -> None:
            self._properties = {**properties, "SUPPORTED_PROPERTIES": list(properties)}

        def get_property(self, name: str) -> Any:
            return self._properties[name]

    path = written("openvino")
    for properties, said in (
        ({"INFERENCE_PRECISION_HINT": openvino.Type.bf16}, "bf16"),
        ({}, "fp32"),
    ):
        compiled = Compiled(properties)
        monkeypatch.setattr(openvino.Core, "compile_model", lambda *_, compiled=compiled: compiled)
        computation = OpenVinoBackend(path).computation
        assert (computation.library, computation.precision, computation.device) == ("OpenVINO", said, "CPU")
        assert computation.processor


def _foreign_onnx(folder: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [_renamed(value)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "foreign.onnx")
    return folder / "foreign.onnx"


def _renamed(value: Any) -> Any:
    other = type(value)()
    other.CopyFrom(value)
    other.name = "y"
    return other


def _foreign_openvino(folder: Path) -> Path:
    import openvino

    openvino.save_model(openvino.Core().read_model(_foreign_onnx(folder)), folder / "foreign.xml")
    return folder / "foreign.xml"


def _text(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text("no network")
        return folder / name

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_foreign_onnx, "not a re-identification network of this project: its metadata_props have no mtmc_reid"),
        (_foreign_openvino, "is not a re-identification network of this project: its rt_info has no mtmc_reid"),
        (_text("a.onnx"), "a.onnx is not a readable ONNX network"),
        (_text("a.xml"), "a.xml is not a readable OpenVINO network"),
        (_text("a.engine"), "a.engine is not a re-identification engine of this project"),
        (_text("a.pt"), "a.pt is not an exported network; those end in .onnx, .xml, .engine"),
        (lambda folder: folder, "is a folder with 0 .xml files"),
        (lambda folder: folder / "none.onnx", "there is no weights file .*none.onnx"),
    ],
)
def test_wrong_files_are_one_line(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_export(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_damaged_headers_are_refused(written: Callable[[str], Path], tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "damaged.onnx"
    network = onnx.load(written("onnx"))
    entry = next(item for item in network.metadata_props if item.key == "mtmc_reid")
    good = json.loads(entry.value)
    for text, message in (
        ("{", "has damaged metadata"),
        (json.dumps({**good, "version": 99}), "format 99, but this one reads 1; export it again"),
        (json.dumps({**good, "colour": "red"}), "has damaged metadata"),
        (
            json.dumps({**good, "views": 1}),
            "has the inputs cameras, images, views, but its metadata describes images, cameras",
        ),
    ):
        entry.value = text
        onnx.save(network, path)
        with pytest.raises(InputError, match=message):
            load_export(path)


def test_devices_that_are_not_there(written: Callable[[str], Path]) -> None:
    for device, message in (
        ("cuda", "OpenVINO networks run on cpu, intel:gpu, intel:npu"),
        ("intel:npu.7", "cannot be used on the OpenVINO device NPU.7"),
    ):
        with pytest.raises(InputError, match=message):
            build_backend(load_export(written("openvino")), device=device)
    with pytest.raises(InputError, match="ONNX files run on cpu and cuda"):
        OnnxBackend(written("onnx"), "meta")


class TestTensorRt:
    def test_engine_files_carry_their_header(self, tmp_path: Path) -> None:
        header = replace(ModelHeader.of(loaded_model()), precision="fp16")
        write_engine(tmp_path / "a.engine", header, b"plan")
        assert read_engine(tmp_path / "a.engine") == (header, b"plan")
        assert load_export(tmp_path / "a.engine").header == header

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
    def test_without_a_gpu_nothing_is_tried(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="a TensorRT export needs an NVIDIA GPU, and torch sees none here"):
            write_tensorrt(loaded_model(), tmp_path / "a.engine")
        write_engine(tmp_path / "a.engine", ModelHeader.of(loaded_model()), b"plan")
        with pytest.raises(InputError, match=r"a\.engine needs an NVIDIA GPU, and torch sees none here"):
            build_backend(load_export(tmp_path / "a.engine"), device="cpu")
        with pytest.raises(InputError, match="int8 is for --format onnx and openvino"):
            write_tensorrt(loaded_model(), tmp_path / "b.engine", precision="int8")

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
    @pytest.mark.parametrize(("precision", "limit"), [("fp32", 0.99999), ("fp16", 0.999)])
    def test_an_engine_computes_what_the_model_computes(
        self, precision: Any, limit: float, tmp_path: Path
    ) -> None:
        pytest.importorskip("tensorrt", reason="tensorrt is not installed")
        loaded = loaded_model(**EVERYTHING)
        write_tensorrt(loaded, tmp_path / "a.engine", precision=precision, max_batch=4)
        backend = build_backend(load_export(tmp_path / "a.engine"))
        for count in (1, 4, 7):  # more than fit in the engine at once
            features = backend.features(crops(count), rows(count))
            assert cosines(features, torch_features(loaded, count)).min() > limit
