"""Site files: rows and means of a site's cameras beside a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel, load_checkpoint, save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.site import SITE_FORMAT_KEY, Site, load_site, save_site
from reid.site.with_site import unknown_camera_row, with_site

TINY = TransReIDConfig(width=32, depth=2, heads=4, image_size=(32, 32), cameras=2, unknown_row=True)
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
# No constant: the norm in front of the first block would take that away.
SHIFT = np.linspace(-1, 1, 32)


def loaded_model(**changes: Any) -> LoadedModel:
    torch.manual_seed(0)
    config = replace(TINY, **changes)
    model = TransReID(config).eval()
    names = tuple(f"c{row + 1}" for row in range(config.cameras))
    return LoadedModel(model=model, model_hash="0123456789abcdef", camera_names=names)


def make_site(rows: np.ndarray, names: tuple[str, ...] = ("hall", "door"), **changes: Any) -> Site:
    return Site(model_hash="0123456789abcdef", camera_names=names, rows=rows.astype(np.float32), **changes)


def features(loaded: LoadedModel, camera: str | None, views: Tensor | None = None) -> Tensor:
    row = -1 if camera is None else loaded.camera_names.index(camera)
    with torch.inference_mode():
        result: Tensor = loaded.model(IMAGES, torch.full((2,), row), views)
    return result


def test_a_file_keeps_everything(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(2, 32)).astype(np.float32)
    site = make_site(rng.normal(size=(2, 32)), means=means, card={"crops": 7})
    save_site(tmp_path / "site.safetensors", site)
    again = load_site(tmp_path / "site.safetensors")
    assert (again.model_hash, again.camera_names, again.card) == (site.model_hash, ("hall", "door"), {"crops": 7})
    assert np.array_equal(again.rows, site.rows)
    assert again.means is not None
    assert np.array_equal(again.means, means)
    assert np.array_equal(again.camera_means["door"], means[1])
    assert again.embedding_hash == site.embedding_hash
    assert replace(site, card={}).embedding_hash == site.embedding_hash
    assert replace(site, means=None).embedding_hash != site.embedding_hash

    with_norms = replace(site, norms={"base.norm.bias": np.ones(32, np.float32)})
    assert with_norms.embedding_hash != site.embedding_hash
    save_site(tmp_path / "norms.safetensors", with_norms)
    assert load_site(tmp_path / "norms.safetensors").embedding_hash == with_norms.embedding_hash
    # a program from before norms refuses the one file and reads the other
    versions = []
    for name in ("site", "norms"):
        with safe_open(tmp_path / f"{name}.safetensors", framework="numpy") as file:
            versions.append(json.loads(file.metadata()[SITE_FORMAT_KEY])["version"])
    assert versions == [1, 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "there is no site file", id="missing"),
        pytest.param(b"nothing", "not a readable site file", id="damaged"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "site.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_site(path)


def test_a_checkpoint_is_no_site_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, TransReID(TINY), camera_names=["c1", "c2"])
    with pytest.raises(InputError, match="is not a site file"):
        load_site(path)


@pytest.mark.parametrize("unknown_row", [True, False])
@pytest.mark.parametrize("views", [0, 2])
def test_rows_of_the_site_come_behind_the_model_s_own(unknown_row: bool, views: int) -> None:
    """What the model knew stays as it was; a site camera with the row of a known one gives that one's features."""
    loaded = loaded_model(unknown_row=unknown_row, views=views)
    span = max(views, 1)
    own_c2 = loaded.model.base.sie_embed[span : 2 * span, 0].mean(dim=0).detach().numpy()
    adapted = with_site(loaded, make_site(np.stack([own_c2, own_c2 + SHIFT])))
    assert adapted.camera_names == ("c1", "c2", "hall", "door")
    for camera in ("c1", "c2", None):
        assert torch.allclose(features(adapted, camera), features(loaded, camera), atol=1e-6)
    assert torch.allclose(features(adapted, "hall"), features(loaded, "c2"), atol=1e-6)
    assert not torch.allclose(features(adapted, "door"), features(loaded, "c2"), atol=1e-3)
    assert adapted.model_hash != loaded.model_hash


def test_a_camera_of_the_same_name_is_replaced() -> None:
    loaded = loaded_model()
    row = loaded.model.base.sie_embed[1, 0].detach().numpy()
    adapted = with_site(loaded, make_site(row[None], names=("c1",)))
    assert adapted.camera_names == ("c2", "c1")
    assert torch.allclose(features(adapted, "c1"), features(loaded, "c2"), atol=1e-6)
    assert torch.allclose(features(adapted, "c2"), features(loaded, "c2"), atol=1e-6)


def test_norms_of_the_site_hold_for_every_camera() -> None:
    """The bias of the last norm, before a neck that is not used, is added to the features."""
    loaded = loaded_model()
    bias = loaded.model.base.norm.bias.detach().numpy() + SHIFT.astype(np.float32)
    rows = loaded.model.base.sie_embed[:1, 0].detach().numpy()
    site = with_site(loaded, make_site(rows, names=("hall",), norms={"base.norm.bias": bias}))
    for camera, own in (("hall", "c1"), ("c2", "c2"), (None, None)):
        moved = features(site, camera) - features(loaded, own)
        assert torch.allclose(moved, torch.from_numpy(SHIFT).float().expand(2, -1), atol=1e-5)
    assert not torch.equal(site.model.base.norm.bias, loaded.model.base.norm.bias)


def test_a_model_without_side_information_gets_a_table() -> None:
    loaded = loaded_model(cameras=0, unknown_row=False)
    zero = np.zeros((1, 32))
    adapted = with_site(loaded, make_site(zero, names=("hall",)))
    with torch.inference_mode():
        before = loaded.model(IMAGES)
    assert torch.allclose(features(adapted, "hall"), before, atol=1e-6)
    assert torch.allclose(features(adapted, None), before, atol=1e-6)
    moved = with_site(loaded, make_site(zero + SHIFT, names=("hall",)))
    assert not torch.allclose(features(moved, "hall"), before, atol=1e-3)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        pytest.param(
            Site("fedcba9876543210", ("hall",), np.zeros((1, 32), np.float32)), "learned for the model", id="model"
        ),
        pytest.param(make_site(np.zeros((1, 16)), names=("hall",)), "rows have 16 values", id="width"),
        pytest.param(
            make_site(np.zeros((1, 32)), names=("hall",), means=np.zeros((1, 8), np.float32)),
            "means have 8 values",
            id="feature length",
        ),
        pytest.param(
            make_site(np.zeros((1, 32)), names=("hall",), norms={"base.norm.bias": np.zeros(8, np.float32)}),
            r"base\.norm\.bias \(8,\), but the model has no such",
            id="norm of another width",
        ),
        pytest.param(
            make_site(np.zeros((1, 32)), names=("hall",), norms={"base.cls_token": np.zeros(32, np.float32)}),
            r"base\.cls_token",
            id="no norm",
        ),
    ],
)
def test_a_site_of_another_model_is_refused(site: Site, words: str) -> None:
    with pytest.raises(InputError, match=words):
        with_site(loaded_model(), site)


def test_the_unknown_row_is_the_trained_one_or_the_mean() -> None:
    trained = loaded_model()
    assert torch.equal(unknown_camera_row(trained.model), trained.model.base.sie_embed[2, 0].detach())
    without = loaded_model(unknown_row=False)
    assert torch.allclose(
        unknown_camera_row(without.model), without.model.base.sie_embed[:, 0].mean(dim=0).detach()
    )


def test_which_row_a_camera_of_the_pipeline_uses() -> None:
    site = make_site(np.zeros((2, 32)))
    wanted: dict[str, str | int | None] = {"hall": None, "door": "c2", "yard": None, "gate": 0}
    assert site.rows_of(wanted, ("c1", "c2")) == {"hall": "hall", "door": "c2", "yard": None, "gate": "c1"}


def test_a_saved_model_with_a_site_of_it_loads(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, loaded_model().model, camera_names=["c1", "c2"], dtype=torch.float16)
    loaded = load_checkpoint(path)
    site = Site(loaded.model_hash, ("hall",), np.zeros((1, 32), np.float32))
    assert with_site(loaded, site).camera_names == ("c1", "c2", "hall")


@pytest.mark.parametrize("name", ["rows", "means", "norms"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, name: str, value: float) -> None:
    path = tmp_path / "site.safetensors"
    arrays = {"rows": np.zeros((2, 32), np.float32), "means": np.zeros((2, 32), np.float32)}
    norms = {"base.norm.weight": np.ones(32, np.float32)}
    save_site(path, make_site(arrays["rows"], means=arrays["means"], norms=norms))
    tensors = load_file(path)
    tensors["norms.base.norm.weight" if name == "norms" else name].view(-1)[7] = value
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(tensors, path, {SITE_FORMAT_KEY: metadata[SITE_FORMAT_KEY]})
    with pytest.raises(InputError, match=r"is damaged: .* has values that are not finite numbers"):
        load_site(path)
    with pytest.raises(ValueError, match="not finite"):
        make_site(np.full((2, 32), value))


def test_changed_bytes_of_a_site_file_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "site.safetensors"
    save_site(path, make_site(np.full((2, 32), 0.5), means=np.full((2, 32), 0.25, np.float32)))
    whole = path.read_bytes()
    for at in range(len(whole) - 256, len(whole) - 16, 16):
        path.write_bytes(whole[:at] + bytes(16) + whole[at + 16 :])
        with pytest.raises(InputError, match="its checksum is wrong"):
            load_site(path)


@pytest.mark.parametrize(
    "header", ["[]", "3", "null", "[" * 100_000, '{"version": 1, "camera_names": 5, "card": 7}']
)
def test_a_site_file_with_another_header_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "site.safetensors"
    save_file({"rows": torch.zeros(2, 32)}, path, {SITE_FORMAT_KEY: header})
    with pytest.raises(InputError, match=r"site\.safetensors"):
        load_site(path)
