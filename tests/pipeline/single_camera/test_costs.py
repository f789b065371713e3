from __future__ import annotations

import numpy as np
import pytest

from pipeline.single_camera.costs import cosine_distance, fused_cost, gate_distance
from pipeline.single_camera.track import Track
from tests.helpers.factories import at_distance, one_hot

INF = np.inf


def test_the_gate_is_in_heights_of_the_track() -> None:
    tracks = np.array([[0, 0, 40, 100], [0, 0, 40, 200]], np.float64)
    detections = np.array([[30, 40, 70, 140], [0, 0, 40, 100]], np.float32)
    # The centres are (20, 50) and (20, 100); (50, 90) and (20, 50).
    assert gate_distance(tracks, detections) == pytest.approx(
        np.array([[0.5, 0], [np.hypot(30, 10) / 200, 50 / 200]])
    )


def test_a_track_of_no_height_has_a_gate_still() -> None:
    distance = gate_distance(np.array([[0, 0, 0, 0]], np.float64), np.array([[3, 4, 3, 4]], np.float32))
    assert distance.tolist() == [[5.0]]


def test_cosine_distance_is_known_only_where_both_have_an_embedding() -> None:
    appearances = [one_hot(0)[0], None, at_distance(0.3)]
    # The second detection has an embedding, but it is not to be used.
    found = cosine_distance(appearances, one_hot(0, 0, 1), np.array([True, False, True]))
    assert found is not None
    assert found[0].tolist() == [0, INF, 1]
    assert found[1].tolist() == [INF] * 3
    assert found[2] == pytest.approx([0.3, INF, 1 - np.sqrt(1 - 0.49)])


@pytest.mark.parametrize(
    ("appearances", "embeddings", "embedded"),
    [
        pytest.param([one_hot(0)[0]], None, None, id="no embeddings"),
        pytest.param([one_hot(0)[0]], one_hot(1), np.array([False]), id="none to be used"),
        pytest.param([None], one_hot(1), np.array([True]), id="no track with an appearance"),
        pytest.param([], one_hot(1), np.array([True]), id="no track"),
    ],
)
def test_no_cosine_distance(
    appearances: list[np.ndarray | None], embeddings: np.ndarray | None, embedded: np.ndarray | None
) -> None:
    assert cosine_distance(appearances, embeddings, embedded) is None


@pytest.mark.parametrize(
    ("iou_cost", "appearance", "gate", "cost"),
    [
        pytest.param(0.4, INF, 0.0, 0.5, id="overlap alone: 0.4 of 0.8"),
        pytest.param(1.0, INF, 0.0, 1.25, id="no overlap and no embedding: too dear"),
        pytest.param(1.0, 0.1, 0.9, 0.4, id="appearance in place of overlap: 0.1 of 0.25"),
        pytest.param(1.0, 0.1, 1.1, 1.25, id="but not beyond the gate"),
        pytest.param(1.0, 0.3, 0.0, 1.25, id="and not if it is unlike"),
        pytest.param(0.4, 0.2, 0.0, 0.5, id="the smaller of the two: overlap"),
        pytest.param(0.4, 0.05, 0.0, 0.2, id="the smaller of the two: appearance"),
        pytest.param(0.4, 0.9, 0.0, 0.5, id="unlike people may still overlap"),
    ],
)
def test_fused_cost(iou_cost: float, appearance: float, gate: float, cost: float) -> None:
    found = fused_cost(
        np.array([[iou_cost]]),
        np.array([[appearance]]),
        np.array([[gate]]),
        max_iou_distance=0.8,
        max_cosine_distance=0.25,
        max_gate_distance=1.0,
    )
    assert found == pytest.approx(np.array([[cost]]))


def test_the_running_appearance_moves_by_three_tenths() -> None:
    track = Track(class_id=0, first_s=0.0, last_s=0.0)
    embeddings = one_hot(0, 1)
    track.blend_appearance(embeddings[0], 1.0)
    embeddings[0] = 9  # the track keeps its own copy
    assert track.appearance is not None
    assert track.appearance.tolist() == one_hot(0)[0].tolist()
    track.blend_appearance(embeddings[1], 2.0)
    length = np.hypot(0.7, 0.3)
    assert track.appearance[:2] == pytest.approx([0.7 / length, 0.3 / length])
    assert track.embedded_s == 2.0
    assert track.appearance.dtype == np.float32


def test_opposite_embeddings_leave_the_appearance_of_a_length() -> None:
    track = Track(class_id=0, first_s=0.0, last_s=0.0)
    for embedding in (one_hot(0)[0], -one_hot(0)[0], -one_hot(0)[0]):
        track.blend_appearance(embedding, 0.0)
        assert np.linalg.norm(track.appearance) == pytest.approx(1)  # type: ignore[arg-type]
