"""Learning a site's rows from unlabelled tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.core.errors import InputError
from pipeline.core.vectors import track_means
from reid.checkpoints import LoadedModel
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.adaptation import (
    AdaptationSettings,
    adapt,
    crop_features,
    probable_people,
    site_means,
)
from reid.site.site_crops import SiteCrops
from reid.site.with_site import layer_norms, with_site

TINY = TransReIDConfig(width=32, depth=2, heads=4, image_size=(32, 16), cameras=2, unknown_row=True)
CPU = torch.device("cpu")


def site_crops(
    camera: list[int], crops_per_track: int = 1, times: list[tuple[float, float]] | None = None
) -> SiteCrops:
    """Noise pictures; without times no two tracks overlap."""
    rng = np.random.default_rng(0)
    spans = np.array(times or [(t, t) for t in range(len(camera))], np.float64)
    images = rng.integers(0, 255, (len(camera) * crops_per_track, 3, 32, 16), dtype=np.uint8)
    return SiteCrops(
        camera_names=tuple(f"cam{i}" for i in range(max(camera) + 1)),
        images=images,
        track=np.repeat(np.arange(len(camera)), crops_per_track),
        camera=np.array(camera, np.int64),
        start_s=spans[:, 0],
        end_s=spans[:, 1],
    )


def loaded_model() -> LoadedModel:
    torch.manual_seed(0)
    return LoadedModel(model=TransReID(TINY).eval(), model_hash="0123456789abcdef", camera_names=("c1", "c2"))


def unit(rows: list[list[float]]) -> np.ndarray:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_means_count_every_track_the_same() -> None:
    crops = replace(site_crops([0, 0, 1]), images=np.zeros((4, 3, 32, 16), np.uint8), track=np.array([0, 0, 1, 2]))
    features = np.array([[1, 0], [0, 1], [2, 2], [5, 6]], np.float32)
    assert track_means(features, crops.track, crops.tracks).tolist() == [[0.5, 0.5], [2, 2], [5, 6]]
    assert site_means(features, crops).tolist() == [[1.25, 1.25], [5, 6]]


def test_tracks_seen_at_one_time_by_one_camera_are_two_people() -> None:
    crops = site_crops([0, 0, 0, 1], times=[(0, 5), (4, 8), (6, 9), (0, 9)])
    expected = np.zeros((4, 4), bool)
    expected[[0, 1, 1, 2], [1, 0, 2, 1]] = True
    assert np.array_equal(crops.exclusive, expected)


@pytest.mark.parametrize(
    ("margin", "people"),
    [
        pytest.param(0.05, [0, 1, 2, 0, 1, 2], id="all three pairs"),
        pytest.param(1.5, [0, 1, 2, 3, 4, 5], id="nobody is that sure"),
    ],
)
def test_tracks_that_are_each_other_s_nearest_are_one_person(margin: float, people: list[int]) -> None:
    """Also when one camera shows everybody in another light."""
    features = unit([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    light = np.array([0.5, 0.5, 0.5], np.float32)
    crops = site_crops([0, 0, 0, 1, 1, 1])
    assert probable_people(np.concatenate([features, features + light]), crops, margin=margin).tolist() == people


def test_joining_never_brings_together_who_was_seen_at_one_time() -> None:
    """Cameras 0 and 1, and 1 and 2, agree; camera 2's pair with camera 0 is somebody seen beside the first."""
    features = unit([[1, 0, 0], [0.98, 0.2, 0], [0, 0, 1], [1, 0.05, 0], [0, 0, 1], [1, 0.1, 0], [0, 0, 1]])
    crops = site_crops([0, 0, 0, 1, 1, 2, 2], times=[(0, 1), (0, 1), (0, 1), (3, 4), (3, 4), (6, 7), (6, 7)])
    labels = probable_people(features, crops, margin=0.0)
    assert len({labels[0], labels[1], labels[2]}) == 3


def test_only_the_rows_change_and_the_loss_falls() -> None:
    loaded, crops = loaded_model(), site_crops([0] * 6 + [1] * 6, crops_per_track=4)
    before = {key: value.clone() for key, value in loaded.model.state_dict().items()}
    losses: list[float] = []
    settings = AdaptationSettings(rounds=30, steps_per_round=3, tracks_per_batch=4, learning_rate=0.05)
    site = adapt(loaded, crops, settings, device=CPU, on_step=lambda done, total, loss: losses.append(loss))

    assert site.camera_names == ("cam0", "cam1")
    assert site.rows.shape == (2, 32)
    start = loaded.model.base.sie_embed[2, 0].detach().numpy()
    assert np.abs(site.rows - start).max() > 0.05
    assert len(losses) == 90
    assert np.mean(losses[-9:]) < np.mean(losses[:9]) - 0.05
    assert all(torch.equal(value, before[key]) for key, value in loaded.model.state_dict().items())
    assert site.means is not None
    features = crop_features(with_site(loaded, site), crops, device=CPU)
    assert np.allclose(site.means, site_means(features, crops), atol=1e-6)

    again = adapt(loaded, crops, settings, device=CPU)
    assert np.array_equal(site.rows, again.rows)


def test_norms_are_learned_on_request_and_kept_beside_the_model() -> None:
    loaded, crops = loaded_model(), site_crops([0] * 6 + [1] * 6, crops_per_track=4)
    before = {key: value.clone() for key, value in loaded.model.state_dict().items()}
    settings = AdaptationSettings(rounds=2, steps_per_round=3, tracks_per_batch=4)
    assert adapt(loaded, crops, settings, device=CPU).norms == {}

    site = adapt(loaded, crops, replace(settings, learn_norms=True), device=CPU)
    assert site.norms.keys() == layer_norms(loaded.model).keys()
    assert len(site.norms) == 2 * (2 * 2 + 1)
    changes = [np.abs(values - before[name].numpy()).max() for name, values in site.norms.items()]
    # six steps of Adam, each of at most its rate
    assert all(0 < change < 6 * 3e-4 + 1e-6 for change in changes)
    assert all(torch.equal(value, before[key]) for key, value in loaded.model.state_dict().items())
    assert site.means is not None
    features = crop_features(with_site(loaded, site), crops, device=CPU)
    assert np.allclose(site.means, site_means(features, crops), atol=1e-6)


def test_no_rounds_measure_the_means_alone() -> None:
    loaded, crops = loaded_model(), site_crops([0] * 12 + [1] * 12, crops_per_track=2)
    site = adapt(loaded, crops, AdaptationSettings(rounds=0), device=CPU)
    assert np.array_equal(site.rows, np.repeat(loaded.model.base.sie_embed[2].detach().numpy(), 2, axis=0))
    assert site.means is not None
    assert adapt(loaded, crops, AdaptationSettings(rounds=0, subtract_means=False), device=CPU).means is None


def test_too_few_tracks_are_refused() -> None:
    with pytest.raises(InputError, match="3 usable tracks"):
        adapt(loaded_model(), site_crops([0, 0, 1]), AdaptationSettings(), device=CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_rows_are_learned_on_a_gpu() -> None:
    loaded, crops = loaded_model(), site_crops([0] * 6 + [1] * 6, crops_per_track=4)
    settings = AdaptationSettings(rounds=1, steps_per_round=3, tracks_per_batch=4)
    site = adapt(loaded, crops, settings, device=torch.device("cuda"))
    assert np.allclose(site.rows, adapt(loaded, crops, settings, device=CPU).rows, atol=1e-2)
