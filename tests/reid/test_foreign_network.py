"""Networks of others: what they may look like, how crops become features, and the card beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.commands.reid.calibration_views import labelled_views
from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS, NetworkInput
from reid.backends.choose import build_backend
from reid.backends.foreign import ForeignBackend
from reid.checkpoints import save_checkpoint
from reid.datasets import read_dataset
from reid.embedder import NetworkEmbedder
from reid.embedding_model import embedding_card, embedding_hash, load_embedding_model
from reid.evaluation.peers import network_features
from reid.export.to_openvino import write_openvino
from reid.foreign_network import ForeignNetwork, load_foreign, write_network_card
from reid.models.transreid import TransReID, TransReIDConfig
from tests.helpers.factories import make_frame
from tests.helpers.foreign_networks import DIM, SIZE_HW, write_onnx, write_xml

BGR = INPUT_PRESETS["bgr255"]
ANY_SIZE = ("batch", 3, "height", "width")
TINY = TransReIDConfig(width=32, depth=1, heads=2, image_size=(32, 16), cameras=0)
NO_ROWS = np.full(3, -1, np.int64)


def features_of(network: ForeignNetwork, crops: NDArray[np.uint8]) -> Any:
    return build_backend(network, device="cpu", half=False).features(crops, NO_ROWS)


def block_means(crops: NDArray[np.uint8], network_input: NetworkInput) -> Any:
    """What the made networks compute, by numpy."""
    pixels = network_input.pixels_of(crops.transpose(0, 2, 3, 1))
    height, width = SIZE_HW
    return pixels.reshape(len(pixels), 3, height // 4, 4, width // 4, 4).mean(axis=(3, 5)).reshape(len(pixels), -1)


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, *SIZE_HW), dtype=torch.uint8, generator=generator).numpy()


@pytest.mark.parametrize(
    ("write", "options", "batched"),
    [
        pytest.param(write_onnx, {}, True, id="ONNX of any batch"),
        pytest.param(write_onnx, {"taken": (1, 3, *SIZE_HW)}, True, id="ONNX of one crop, made to take several"),
        pytest.param(write_xml, {}, True, id="OpenVINO of one crop, made to take several"),
        pytest.param(write_xml, {"only_one": True}, False, id="OpenVINO with one crop written into it"),
        pytest.param(write_onnx, {"only_one": True}, False, id="ONNX with one crop written into it"),
    ],
)
@pytest.mark.parametrize("preset", ["bgr255", "imagenet"])
def test_every_form_gives_the_features_of_the_network(
    write: Callable[..., Path],
    options: dict[str, Any],
    batched: bool,
    preset: str,
    tmp_path: Path,
    crops: NDArray[np.uint8],
) -> None:
    path = write(tmp_path / ("a.onnx" if write is write_onnx else "a.xml"), **options)
    network = load_foreign(path, INPUT_PRESETS[preset])
    assert (network.header.image_size, network.header.feature_dim) == (SIZE_HW, DIM)
    np.testing.assert_allclose(
        features_of(network, crops), block_means(crops, INPUT_PRESETS[preset]), rtol=2e-3, atol=2e-3
    )
    backend = ForeignBackend(network)
    assert backend.batched is batched
    assert backend.computation.library == "OpenVINO"
    assert backend.computation.processor


def test_a_size_is_stated_where_the_network_takes_any(tmp_path: Path, crops: NDArray[np.uint8]) -> None:
    path = write_onnx(tmp_path / "a.onnx", taken=ANY_SIZE)
    with pytest.raises(
        InputError, match=r"takes crops of any size \(N, 3, N, N\): state .* size_hw: \[256, 128\]"
    ):
        load_foreign(path, BGR)
    sized = BGR.model_copy(update={"size_hw": list(SIZE_HW)})
    np.testing.assert_allclose(features_of(load_foreign(path, sized), crops), block_means(crops, BGR), rtol=1e-4)
    fixed = write_onnx(tmp_path / "fixed.onnx")
    with pytest.raises(InputError, match=r"takes \(N, 3, 16, 8\), which is not the stated size_hw \[20, 8\]"):
        load_foreign(fixed, BGR.model_copy(update={"size_hw": [20, 8]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 2}, "has 2 inputs, but an embedder takes crops"),
        ({"outputs": 2}, "has 2 outputs, but an embedder takes crops"),
        ({"taken": ("batch", *SIZE_HW, 3)}, r"takes \(N, 16, 8, 3\), but an embedder takes crops \(N, 3"),
        ({"taken": ("batch", 3, 16)}, r"takes \(N, 3, 16\), but an embedder takes crops \(N, 3, height, width\)"),
        ({"flat": False}, r"returns \(1, 3, 4, 2\) for one crop, but an embedder returns features \(1, D\)"),
        ({"element": "UINT8"}, "takes u8, but an embedder takes numbers in floating point"),
    ],
)
def test_other_networks_are_one_line(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_foreign(write_onnx(tmp_path / "a.onnx", **options), BGR)
    assert "\n" not in str(caught.value)


def test_the_hash_is_of_both_files_and_of_the_input(tmp_path: Path) -> None:
    path = write_xml(tmp_path / "a.xml")
    first = embedding_hash(path, BGR)
    assert len(first) == 16
    assert embedding_hash(path, NetworkInput.model_validate(BGR.model_dump())) == first
    assert embedding_hash(path, INPUT_PRESETS["half"]) != first
    weights = tmp_path / "a.bin"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert embedding_hash(path, BGR) != first
    weights.unlink()
    with pytest.raises(InputError, match=r"there is no .*a\.bin, which holds the weights of a\.xml"):
        load_embedding_model(path, BGR)


def test_the_input_is_stated_for_networks_of_others_and_for_no_other(tmp_path: Path) -> None:
    foreign = write_onnx(tmp_path / "a.onnx")
    with pytest.raises(
        InputError, match=r"a\.onnx does not say what its input holds: set embedder\.input .*bgr255"
    ):
        load_embedding_model(foreign, None)
    save_checkpoint(tmp_path / "own.safetensors", TransReID(TINY))
    own = load_embedding_model(tmp_path / "own.safetensors", None)
    write_openvino(own, tmp_path / "own.xml")  # type: ignore[arg-type]
    for name in ("own.safetensors", "own.xml"):
        assert load_embedding_model(tmp_path / name, None)
        with pytest.raises(InputError, match=rf"is for third-party networks.*, but .*{name} describes its"):
            load_embedding_model(tmp_path / name, BGR)


@pytest.mark.parametrize("network_input", [None, BGR])
def test_an_official_checkpoint_is_to_be_converted(network_input: NetworkInput | None, tmp_path: Path) -> None:
    path = tmp_path / "vit_transreid.pth"
    torch.save({}, path)
    for ask in (load_embedding_model, embedding_hash, embedding_card):
        with pytest.raises(InputError, match=rf"mtmc reid convert {path} {tmp_path}/vit_transreid\.safetensors"):
            ask(path, network_input)


def test_a_card_belongs_to_one_network_and_one_input(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "a.onnx")
    assert embedding_card(path, BGR) == {}
    file = write_network_card(path, BGR, {"calibration": {"measured_on": "nothing"}})
    assert file == tmp_path / "a.onnx.calibration.json"
    assert json.loads(file.read_text())["model_hash"] == embedding_hash(path, BGR)
    assert embedding_card(path, BGR) == {"calibration": {"measured_on": "nothing"}}
    half = INPUT_PRESETS["half"]
    again = rf"mtmc reid calibrate --data CROPS --checkpoint {path} --input half"
    with pytest.raises(InputError, match=rf"belongs to the network .*a\.onnx with the input half is .*{again}"):
        embedding_card(path, half)
    odd = half.model_copy(update={"scale": 255})
    with pytest.raises(
        InputError, match=r"--input '\{channels: rgb, scale: 255, mean: \[0\.5, 0\.5, 0\.5\], std: "
    ):
        embedding_card(path, odd)
    write_onnx(path, only_one=True)
    with pytest.raises(InputError, match=r"belongs to the network .* write it again: mtmc reid calibrate"):
        embedding_card(path, BGR)
    file.write_text("{}")
    with pytest.raises(InputError, match="is not a readable calibration"):
        embedding_card(path, BGR)


def test_crops_are_resized_alike_wherever_they_come_from(tmp_path: Path) -> None:
    """A picture of noise, where interpolations differ, as a box of a frame, for `evaluate` and for `calibrate`."""
    noise = np.random.default_rng(0).integers(0, 256, (70, 30, 3)).astype(np.uint8)
    folder = tmp_path / "crops"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(noise).save(folder / f"0001_c1_{number:02}.png")
    network = load_foreign(write_onnx(tmp_path / "a.onnx"), BGR)
    frame = make_frame(image=np.ascontiguousarray(noise[..., ::-1]))
    embedder = NetworkEmbedder(network, camera_rows={}, device="cpu", half=False)
    (tracked,) = embedder.embed([frame], [np.array([[0, 0, 30, 70]], np.float32)])
    crop_set = read_dataset(folder).query
    measured = network_features(network.path, crop_set, "bgr255")
    calibrated = labelled_views(network, crop_set, "cpu")[0].embeddings
    resized = cv2.resize(noise, SIZE_HW[::-1], interpolation=cv2.INTER_LINEAR)
    expected = block_means(resized.transpose(2, 0, 1)[None], BGR)
    expected /= np.linalg.norm(expected)
    for found in (tracked.embeddings[0], measured[0], calibrated[0]):
        np.testing.assert_allclose(found, expected[0], atol=1e-5)
    assert not embedder.unknown_cameras
    assert embedder.model_hash == network.header.model_hash


@pytest.mark.parametrize(
    ("options", "batched"), [({}, True), ({"taken": (1, 3, *SIZE_HW)}, False), ({"only_one": True}, False)]
)
def test_onnx_takes_the_gpu_where_its_runtime_can(
    options: dict[str, Any],
    batched: bool,
    tmp_path: Path,
    crops: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session is that of the CPU, as there is no GPU here."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    network = load_foreign(write_onnx(tmp_path / "a.onnx", **options), BGR)
    session = onnxruntime.InferenceSession(network.path, providers=["CPUExecutionProvider"])
    monkeypatch.setattr("reid.device.torch_may_use_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda path, options, providers: session)
    monkeypatch.setattr("reid.backends.foreign.processor_name", str)
    backend = build_backend(network)
    assert isinstance(backend, ForeignBackend)
    assert backend.batched is batched
    assert (backend.computation.library, backend.computation.device) == ("ONNX Runtime", "cuda")
    np.testing.assert_allclose(backend.features(crops, NO_ROWS), block_means(crops, BGR), rtol=1e-4)


def test_devices_that_cannot_compute_it(tmp_path: Path) -> None:
    network = load_foreign(write_xml(tmp_path / "a.xml"), BGR)
    with pytest.raises(InputError, match="OpenVINO networks run on cpu, intel:gpu, intel:npu"):
        build_backend(network, device="cuda")
