"""The project's own model files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.core.errors import InputError, RunError
from reid.checkpoint_file import read_card
from reid.checkpoints import load_checkpoint, rewrite_card, save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig

TINY = TransReIDConfig(
    width=32,
    depth=3,
    heads=4,
    image_size=(64, 32),
    stride=12,
    cameras=2,
    unknown_row=True,
    jpm=True,
    num_classes=5,
)
IMAGES = torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def infer(model: TransReID) -> Tensor:
    with torch.inference_mode():
        feature = model.eval()(IMAGES, torch.tensor([0, 1, -1]))
    assert isinstance(feature, Tensor)
    return feature


@pytest.fixture
def model() -> TransReID:
    torch.manual_seed(0)
    model = TransReID(TINY)
    model(IMAGES)  # moves the running statistics of the necks away from 0 and 1
    return model


@pytest.mark.parametrize("inference_only", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("position_embedding", ["learned", "sincos"])
def test_round_trip(tmp_path: Path, inference_only: bool, dtype: torch.dtype, position_embedding: Any) -> None:
    torch.manual_seed(0)
    model = TransReID(replace(TINY, position_embedding=position_embedding))
    path = tmp_path / "model.safetensors"
    card = {"data": "made up", "rank1": 0.5, "nested": {"ids": [1, 2]}}
    save_checkpoint(
        path,
        model,
        camera_names=["hall", "door"],
        input_mean=(0.4, 0.5, 0.6),
        input_std=(0.1, 0.2, 0.3),
        card=card,
        dtype=dtype,
        inference_only=inference_only,
    )
    loaded = load_checkpoint(path)

    assert loaded.camera_names == ("hall", "door")
    assert loaded.view_names == ()
    assert (loaded.input_mean, loaded.input_std) == ((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    assert loaded.card == card
    assert len(loaded.model_hash) == 16
    assert read_card(path) == (loaded.model_hash, card)
    assert loaded.model.config == replace(model.config, num_classes=0 if inference_only else 5)
    assert not loaded.model.training
    assert all(p.dtype == torch.float32 for p in loaded.model.parameters())
    tolerance = 0.0 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(infer(loaded.model), infer(model), atol=tolerance, rtol=0)
    assert [path] == list(tmp_path.iterdir())


def test_the_place_of_the_feature_is_kept(tmp_path: Path, model: TransReID) -> None:
    """A feature from behind the neck is another one, and the hash says so."""
    hashes = []
    for neck in ("before", "after"):
        model.neck_feature = neck  # type: ignore[assignment]
        save_checkpoint(tmp_path / "m.safetensors", model, camera_names="ab")
        loaded = load_checkpoint(tmp_path / "m.safetensors")
        torch.testing.assert_close(infer(loaded.model), infer(model))
        hashes.append(loaded.model_hash)
    assert hashes[0] != hashes[1]


def test_statistics_and_frozen_biases_survive(tmp_path: Path, model: TransReID) -> None:
    save_checkpoint(tmp_path / "m.safetensors", model, camera_names="ab", dtype=torch.float16)
    loaded = load_checkpoint(tmp_path / "m.safetensors").model
    state = model.state_dict()
    assert torch.equal(loaded.state_dict()["bottleneck_4.running_var"], state["bottleneck_4.running_var"])
    assert not loaded.get_submodule("bottleneck_1").bias.requires_grad
    assert loaded.base.pos_embed.requires_grad


def test_an_inference_file_holds_only_what_inference_uses(tmp_path: Path, model: TransReID) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, model, camera_names="ab", inference_only=True)
    stored = load_file(path)
    unused = [k for k in stored if k.startswith(("classifier", "base.fc", "base.norm", "base.blocks.2."))]
    assert not unused
    assert "base.blocks.1.norm1.weight" in stored
    assert "b2.1.weight" in stored


def test_the_hash_is_of_what_features_depend_on(tmp_path: Path) -> None:
    """A new card changes the file, but not the hash; another weight or camera name changes it."""
    torch.manual_seed(0)
    model = TransReID(TINY)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, camera_names=["hall", "door"], card={"rank1": 0.5})
    before, bytes_before = load_checkpoint(path), path.read_bytes()

    rewrite_card(path, {"rank1": 0.6})
    after = load_checkpoint(path)
    assert path.read_bytes() != bytes_before
    assert after.card == {"rank1": 0.6}
    assert after.model_hash == before.model_hash
    assert torch.equal(infer(after.model), infer(before.model))

    save_checkpoint(path, model, camera_names=["hall", "yard"], card={"rank1": 0.5})
    assert load_checkpoint(path).model_hash != before.model_hash
    with torch.no_grad():
        model.base.cls_token[0, 0, 0] += 1
    save_checkpoint(path, model, camera_names=["hall", "door"], card={"rank1": 0.5})
    assert load_checkpoint(path).model_hash != before.model_hash


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"camera_names": ["hall"]}, r"the model has 2 cameras, but the camera names are \['hall'\]"),
        ({"camera_names": ["hall", "hall"]}, "the model has 2 cameras"),
        ({"camera_names": "ab", "view_names": ["front"]}, "the model has 0 views"),
        ({"camera_names": "ab", "dtype": torch.bfloat16}, "float32 or float16, not torch.bfloat16"),
    ],
)
def test_what_cannot_be_saved(tmp_path: Path, model: TransReID, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        save_checkpoint(tmp_path / "m.safetensors", model, **options)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, model: TransReID, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, model, camera_names="ab")
    before = path.read_bytes()

    def full_disk(part: Path, data: bytes) -> int:
        part.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(RunError, match=r"m\.safetensors cannot be written: No space left"):
        save_checkpoint(path, model, camera_names="xy")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def rewrite(path: Path, change: dict[str, Any]) -> None:
    """Store the file again with another header."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["mtmc_transreid"])
    header = {key: value for key, value in (header | change).items() if value is not None}
    save_file(load_file(path), path, metadata={"mtmc_transreid": json.dumps(header)})


CONFIG: dict[str, Any] = {
    "width": 32, "depth": 3, "heads": 4, "image_size": [64, 32], "stride": 12, "cameras": 2, "unknown_row": True
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "has format version 99, but this program reads version 1"),
        ({"camera_names": None}, "does not describe a model as this version expects it: 'camera_names'"),
        ({"config": CONFIG | {"colour": 1}}, "does not describe a model.*colour"),
        ({"config": CONFIG}, "its configuration differ in the tensors b1.0.attn"),
        ({"config": CONFIG | {"jpm": True, "width": 64}}, r"has shape \(.*\) instead of \("),
    ],
)
def test_headers_that_do_not_fit(tmp_path: Path, model: TransReID, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, model, camera_names="ab")
    rewrite(path, change)
    with pytest.raises(InputError, match=message) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)


def test_other_files_are_refused(tmp_path: Path, model: TransReID) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match=r"there is no weights file .*m\.safetensors"):
        load_checkpoint(path)
    save_checkpoint(path, model, camera_names="ab")
    for length in (4, 1000, len(path.read_bytes()) - 1):
        (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:length])
        with pytest.raises(InputError, match=r"cut\.safetensors is not a readable safetensors file"):
            load_checkpoint(tmp_path / "cut.safetensors")
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"m\.safetensors is not a checkpoint of this project.*mtmc reid convert"):
        load_checkpoint(path)
    torch.save({}, tmp_path / "m.pth")
    with pytest.raises(InputError, match=r"m\.pth is not a checkpoint of this project.*mtmc reid convert"):
        load_checkpoint(tmp_path / "m.pth")


def test_others_may_read_a_checkpoint(tmp_path: Path) -> None:
    """As the umask decides, as of any other file."""
    before = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "model.safetensors", TransReID(TransReIDConfig(width=32, depth=1, heads=1)))
    finally:
        os.umask(before)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_changed_bytes_of_a_checkpoint_are_noticed(tmp_path: Path, model: TransReID) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, camera_names=("a", "b"))
    whole = path.read_bytes()
    for at in range(len(whole) // 2, len(whole) - 64, len(whole) // 12):
        path.write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
        for read in (load_checkpoint, read_card, lambda path: rewrite_card(path, {})):
            with pytest.raises(InputError, match="its checksum is wrong"):
                read(path)


def test_a_checkpoint_without_checksum_is_read_unless_it_holds_no_numbers(
    tmp_path: Path, model: TransReID
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, camera_names=("a", "b"))
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    del metadata["mtmc_tensors_sha256"]
    tensors = load_file(path)
    save_file(tensors, path, metadata)
    load_checkpoint(path)
    next(value for value in tensors.values() if value.ndim > 1).view(-1)[3] = float("nan")
    save_file(tensors, path, metadata)
    with pytest.raises(InputError, match="values that are not finite numbers"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [{"config": []}, {"config": {"width": 10**12}}, {"config": {"width": "x"}}, {"camera_names": 7}, {"card": 5}],
)
def test_a_header_of_other_types_is_refused(tmp_path: Path, model: TransReID, change: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, camera_names=("a", "b"))
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
    (key,) = [name for name in metadata if name != "mtmc_tensors_sha256"]
    header = json.loads(metadata[key])
    if isinstance(change.get("config"), dict):
        change = {"config": {**header["config"], **change["config"]}}
    save_file(load_file(path), path, {**metadata, key: json.dumps({**header, **change})})
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_checkpoint(path)
