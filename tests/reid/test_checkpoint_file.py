"""A checkpoint that is not loaded says and computes what the loaded one does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import InputError, RunError
from reid import convert
from reid.backends.choose import build_backend
from reid.backends.openvino_model import OpenVinoBackend
from reid.checkpoint_file import open_checkpoint
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.model_header import ModelHeader
from reid.site.site import Site, save_site
from reid.site.with_site import with_site
from tests.reid.test_backends import SMALL, crops, rows
from tests.reid.test_embedder import loaded_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    loaded = loaded_model(**SMALL)
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, loaded.model, camera_names=loaded.camera_names, card={"data": "none"})
    return path


def site_of(checkpoint: Path) -> Site:
    """A site with a new camera, and one that replaces a camera of the model."""
    table = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    return Site(load_checkpoint(checkpoint).model_hash, ("hall", "yard"), table)


def test_its_header_is_that_of_the_model(checkpoint: Path, tmp_path: Path) -> None:
    file, loaded = open_checkpoint(checkpoint), load_checkpoint(checkpoint)
    assert file.header == ModelHeader.of(loaded)
    site = site_of(checkpoint)
    adapted = file.at_site(tmp_path / "site.safetensors", site)
    assert adapted.header == ModelHeader.of(with_site(loaded, site))
    assert adapted.header.camera_names == ("door", "hall", "yard")
    with pytest.raises(InputError, match="the site file was learned for the model other"):
        file.at_site(tmp_path / "site", Site("other", ("a",), site.rows[:1]))


def test_a_process_converts_it_once(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setenv("MTMC_CACHE", str(tmp_path / "cache"))
    site = site_of(checkpoint)
    save_site(tmp_path / "site.safetensors", site)
    file = open_checkpoint(checkpoint).at_site(tmp_path / "site.safetensors", site)
    backend = build_backend(file, device="cpu", half=False)
    assert isinstance(backend, OpenVinoBackend)
    expected = build_backend(with_site(load_checkpoint(checkpoint), site), device="cpu", runtime="torch")
    features = backend.features(crops(6), rows(6))
    np.testing.assert_allclose(features, expected.features(crops(6), rows(6)), atol=2e-5)
    monkeypatch.setattr("reid.conversion.run_module", lambda *_: pytest.fail("converted again"))
    build_backend(file, device="cpu")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_file_that_changes_meanwhile_is_not_cached(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["convert", str(checkpoint), str(tmp_path / "a.xml"), "the hash of before"])
    monkeypatch.setattr(convert, "reporting", lambda work: work())
    with pytest.raises(RunError, match="changed while it was converted: start again"):
        convert.main()
    assert not (tmp_path / "a.xml").exists()
