"""The embedder of the pipeline, on a tiny model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError, RunError
from pipeline.core.models import PEOPLE, Embedder
from reid.checkpoints import LoadedModel
from reid.crops import crop_boxes
from reid.embedder import NetworkEmbedder
from reid.models.transreid import TransReID, TransReIDConfig
from reid.normalise import normalise

TINY = TransReIDConfig(width=32, depth=2, heads=4, image_size=(64, 32), cameras=2, jpm=True, shift=2)
BOXES = np.array([[10, 10, 40, 80], [30, 5, 60, 90], [0, 0, 20, 40], [50, 20, 90, 95]], np.float32)


def loaded_model(**change: Any) -> LoadedModel:
    torch.manual_seed(0)
    config = replace(TINY, **change)
    model = TransReID(config).eval()
    if config.sie_rows:
        model.base.sie_embed.data *= 20  # so that cameras differ well
    return LoadedModel(model=model, model_hash="0123456789abcdef", camera_names=("hall", "door")[: config.cameras])


def frame(camera_id: str, seed: int = 0) -> Frame:
    image: NDArray[np.uint8] = np.random.default_rng(seed).integers(0, 256, (100, 100, 3), np.uint8)
    return Frame(camera_id=camera_id, frame_index=seed, time_s=0.0, size_wh=(100, 100), image=image)


def embedder(loaded: LoadedModel | None = None, **options: Any) -> NetworkEmbedder:
    options.setdefault("camera_rows", {"a": "hall", "b": 1, "c": None})
    options.setdefault("runtime", "torch")
    return NetworkEmbedder(loaded or loaded_model(), device="cpu", **options)


def one(frame_: Frame, boxes: NDArray[np.float32], **options: Any) -> NDArray[np.float32]:
    (result,) = embedder(**options).embed([frame_], [boxes])
    assert result.valid.all()
    return result.embeddings


def test_protocol_and_form() -> None:
    e: Embedder = embedder()
    (result,) = e.embed([frame("a")], [BOXES])
    assert (e.dim, e.model_hash) == (160, "0123456789abcdef")
    assert result.embeddings.shape == (4, 160)
    assert result.embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(result.embeddings, axis=1), 1, rtol=1e-6)


def test_it_is_the_models_feature_of_the_normalised_crops() -> None:
    loaded = replace(loaded_model(), input_mean=(0.4, 0.5, 0.6), input_std=(0.2, 0.3, 0.4))
    image = frame("b").image
    assert image is not None
    crops, _ = crop_boxes(image, BOXES, (64, 32))
    with torch.inference_mode():
        images = normalise(torch.from_numpy(crops), loaded.input_mean, loaded.input_std, torch.float32)
        feature = loaded.model(images, torch.tensor([1, 1, 1, 1])).numpy()
    expected = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    np.testing.assert_allclose(one(frame("b"), BOXES, loaded=loaded), expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32])
def test_many_cameras_at_once_are_as_each_alone(batch_size: int) -> None:
    frames = [frame("a", 1), frame("b", 2), frame("a", 3), frame("c", 4)]
    boxes = [BOXES[:3], BOXES, BOXES[:0], BOXES[1:2]]
    e = embedder(batch_size=batch_size)
    together = e.embed(frames, boxes)
    assert [len(result) for result in together] == [3, 4, 0, 1]
    for result, frame_, own in zip(together, frames, boxes, strict=True):
        for row, box in enumerate(own):
            (alone,) = e.embed([frame_], [box[None]])
            np.testing.assert_allclose(result.embeddings[row], alone.embeddings[0], atol=1e-5)


def test_the_camera_matters_and_is_found_by_name_or_row() -> None:
    by = {name: one(frame(name), BOXES, camera_rows={"a": "hall", "b": "door", "c": 1}) for name in "abc"}
    np.testing.assert_allclose(by["b"], by["c"], atol=1e-6)
    assert np.abs(by["a"] - by["b"]).max() > 0.01


def test_rejected_crops_are_counted_and_zero() -> None:
    boxes = np.array([[200, 0, 300, 50], [10, 10, 40, 80], [np.nan, 0, 1, 1], [5, 5, 5, 5]], np.float32)
    e = embedder()
    outside, mixed, nothing = e.embed([frame("a"), frame("b"), frame("c")], [boxes[:1], boxes, BOXES[:0]])
    assert outside.valid.tolist() == [False]
    assert mixed.valid.tolist() == [False, True, False, False]
    assert not mixed.embeddings[[0, 2, 3]].any()
    np.testing.assert_allclose(mixed.embeddings[1], one(frame("b"), boxes[1:2])[0], atol=1e-5)
    assert len(nothing) == 0
    assert (e.embedded_crops, e.rejected_crops) == (1, 4)
    e.embed([frame("a")], [BOXES])
    assert (e.embedded_crops, e.rejected_crops) == (5, 4)


def test_nothing_at_all() -> None:
    assert embedder().embed([], []) == []
    without_pixels = replace(frame("a"), image=None)
    (result,) = embedder().embed([without_pixels], [BOXES[:0]])
    assert result.embeddings.shape == (0, 160)
    with pytest.raises(ValueError, match="frame 0 of camera a has boxes but no image"):
        embedder().embed([without_pixels], [BOXES])


@pytest.mark.parametrize(
    ("unknown_row", "word"), [(True, "row for unknown cameras"), (False, "mean of the camera rows")]
)
def test_unknown_cameras(unknown_row: bool, word: str) -> None:
    loaded = loaded_model(unknown_row=unknown_row)
    e = embedder(loaded)
    assert e.unknown_cameras == {"c": word}
    mapped, absent = e.embed([frame("c"), frame("never seen")], [BOXES, BOXES])
    assert e.unknown_cameras == {"c": word, "never seen": word}
    np.testing.assert_allclose(mapped.embeddings, absent.embeddings, atol=1e-6)
    table = loaded.model.base.sie_embed.data
    table[0] = table[2] if unknown_row else table.mean(0)
    np.testing.assert_allclose(mapped.embeddings, one(frame("a"), BOXES, loaded=loaded), atol=1e-5)


def test_a_model_without_cameras_knows_no_unknown_ones() -> None:
    e = embedder(loaded_model(cameras=0), camera_rows={"a": None})
    (result,) = e.embed([frame("a")], [BOXES])
    assert result.valid.all()
    assert e.unknown_cameras == {}


def test_the_mean_of_a_camera_is_subtracted_from_its_features() -> None:
    frames, boxes = [frame("a", 1), frame("b", 2), frame("a", 3)], [BOXES[:2], BOXES, BOXES[:0]]
    plain = embedder().embed(frames, boxes)
    mean = np.zeros(160, np.float32)
    mean[:2] = 0.6, -0.8
    centred = embedder(camera_means={"a": mean}).embed(frames, boxes)
    difference = plain[0].embeddings - mean
    expected = difference / np.linalg.norm(difference, axis=1, keepdims=True)
    np.testing.assert_allclose(centred[0].embeddings, expected, atol=1e-6)
    np.testing.assert_array_equal(centred[1].embeddings, plain[1].embeddings)
    assert len(centred[2]) == 0
    with pytest.raises(
        InputError, match=r"mean feature of camera a has shape \(3,\), but the model's are \(160,\)"
    ):
        embedder(camera_means={"a": mean[:3]})


@pytest.mark.parametrize(
    ("change", "camera", "message"),
    [
        ({}, "attic", "camera x is given the unknown model camera 'attic'; the model has 0: hall, 1: door"),
        ({}, 2, "camera x is given row 2 of the model's camera table, which has 0: hall, 1: door"),
        ({}, -1, "camera x is given row -1"),
        ({"cameras": 0}, "hall", "camera x is given the model camera 'hall', but the model has no camera table"),
    ],
)
def test_wrong_camera_rows(change: dict[str, Any], camera: str | int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        embedder(loaded_model(**change), camera_rows={"x": camera})


def test_half_precision_is_asked_for_on_a_cpu() -> None:
    loaded = loaded_model()
    exact = one(frame("a"), BOXES, loaded=loaded)
    half = one(frame("a"), BOXES, loaded=loaded, half=True)
    assert not np.array_equal(half, exact)
    np.testing.assert_allclose(half, exact, atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, rtol=1e-6)
    assert loaded.model.base.cls_token.dtype == torch.float32  # the caller's model is left as it was


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-3), ("auto", 0.01)])
def test_a_gpu_gives_what_the_cpu_gives(half: Any, tolerance: float) -> None:
    on_gpu = NetworkEmbedder(loaded_model(), camera_rows={"a": 0}, device="auto", half=half)
    (result,) = on_gpu.embed([frame("a")], [BOXES])
    np.testing.assert_allclose(result.embeddings, one(frame("a"), BOXES), atol=tolerance)


def test_features_that_are_not_finite_stop_the_run() -> None:
    loaded = loaded_model()
    loaded.model.base.cls_token.data.fill_(float("nan"))
    with pytest.raises(
        RunError, match=r"model 0123456789abcdef .torch, fp32 on cpu .+ returned features that are not finite"
    ):
        embedder(loaded).embed([frame("a")], [BOXES])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "toaster"}, "the device 'toaster' cannot be used"),
        ({"device": "cuda:99"}, "the device 'cuda:99' cannot be used"),
        ({"batch_size": 0}, "batch_size must be at least 1, but is 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NetworkEmbedder(loaded_model(), camera_rows={}, **options)


def test_it_is_for_people_unless_it_is_told_another_class() -> None:
    assert list(embedder().classes) == list(PEOPLE)
    assert list(embedder(classes=["car", "truck"]).classes) == ["car", "truck"]
