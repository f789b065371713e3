"""The models that the repository carries are whole, calibrated and described."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.config.calibration import Calibration
from reid.checkpoints import load_checkpoint
from reid.site.site import load_site
from reid.training.start import learned_identities

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights"
EMBEDDERS = sorted(WEIGHTS.glob("*.safetensors"))
# Pairs of people within a limit at places with few pairs, if there are more than one.
PAIRS_WITHIN = {("transreid_open_small", "pets09"): 2}


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
    # Without the means of their cameras, all people are further from each other.
    assert 0.2 < found.crop.max_cosine_distance < found.centred_crop.max_cosine_distance < 0.6
    assert 0.2 < found.track.max_cosine_distance < found.centred_track.max_cosine_distance < 0.7
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    for limit in (found.crop, found.track, found.centred_crop, found.centred_track):
        assert f"{limit.max_cosine_distance:.3f}".removeprefix("0") in card
        assert len(limit.of_left_out) >= 4
        for place, rate in limit.of_left_out.items():
            pairs_of_people = {"pets09": 45, "stadtmitte": 45, "campus": 21}.get(place)
            # Among so few pairs of people, one alone is more than 1 %.
            within = PAIRS_WITHIN.get((path.stem, place), 1)
            assert rate <= (0.01 if pairs_of_people is None else within / pairs_of_people + 1e-9)


@pytest.mark.parametrize("name", ["transreid_open", "transreid_open_small"])
def test_an_open_model_saw_no_photograph_of_a_person(name: str) -> None:
    """Its cameras and identities are rendered ones, as its card says."""
    loaded = load_checkpoint(WEIGHTS / f"{name}.safetensors")
    assert len(loaded.camera_names) == 110
    assert {name.split("/")[0] for name in loaded.camera_names} == {"rendered_1", "rendered_2"}
    assert set(learned_identities(loaded.card)) == {"rendered_1", "rendered_2"}
    found = Calibration.from_card(loaded.card)
    assert found is not None
    assert "rendered" in found.measured_on
    assert "Apache-2.0" in (WEIGHTS / f"{name}.md").read_text(encoding="utf-8")


def test_the_terms_of_the_research_model_are_on_its_card() -> None:
    assert "non-commercial research only" in (WEIGHTS / "transreid_research.md").read_text(encoding="utf-8")


def test_the_site_of_the_demo_is_of_the_shipped_model() -> None:
    site = load_site(ROOT / "demo" / "site.safetensors")
    assert site.model_hash == load_checkpoint(WEIGHTS / "transreid_open.safetensors").model_hash
