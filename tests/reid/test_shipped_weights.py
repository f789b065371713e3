"""The models that the repository carries are whole, calibrated and described."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.config.calibration import Calibration
from reid.checkpoints import load_checkpoint
from reid.site.site import load_site

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights"
EMBEDDERS = sorted(WEIGHTS.glob("*.safetensors"))


def test_the_sums_are_those_of_the_files() -> None:
    lines = (WEIGHTS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    files = [*EMBEDDERS, *WEIGHTS.glob("*.pt")]
    assert len(files) >= 3
    assert sorted(lines) == sorted(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files
    )


@pytest.mark.parametrize("path", EMBEDDERS, ids=lambda path: path.stem)
def test_an_embedder_is_calibrated_and_small(path: Path) -> None:
    loaded = load_checkpoint(path)
    assert path.stat().st_size < 50e6
    assert loaded.model.config.unknown_row
    found = Calibration.from_card(loaded.card)
    assert found is not None
    assert found.centred_crop is not None
    assert found.centred_track is not None
    # A crop is compared with a whole track, whose mean hides less; without their cameras' means everybody is further.
    assert 0.2 < found.crop.max_cosine_distance < found.centred_crop.max_cosine_distance < 0.5
    assert 0.2 < found.track.max_cosine_distance < found.centred_track.max_cosine_distance < 0.6
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "non-commercial research only" in card
    for limit in (found.crop, found.track, found.centred_crop, found.centred_track):
        assert f"{limit.max_cosine_distance:.3f}".removeprefix("0") in card


def test_the_site_of_the_demo_is_of_the_shipped_model() -> None:
    site = load_site(ROOT / "demo" / "site.safetensors")
    assert site.model_hash == load_checkpoint(WEIGHTS / "transreid_vit_small.safetensors").model_hash
