"""Normalising and centring embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.core.vectors import camera_means, centred, track_means, unit


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        pytest.param([3.0, 4.0], [0.6, 0.8], id="one vector"),
        pytest.param([[3.0, 4.0], [0.0, 2.0]], [[0.6, 0.8], [0.0, 1.0]], id="two"),
        pytest.param([0.0, 0.0], [0.0, 0.0], id="nothing stays nothing"),
        pytest.param(np.zeros((0, 2)), np.zeros((0, 2)), id="none"),
        pytest.param([[[3.0, 4.0]], [[0.0, 0.0]]], [[[0.6, 0.8]], [[0.0, 0.0]]], id="in groups"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unit(vectors: object, expected: object, dtype: type) -> None:
    found = unit(np.array(vectors, dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@given(arrays(np.float32, (4, 6), elements=st.floats(-100, 100, width=32).filter(lambda x: abs(x) > 1e-3)))
def test_a_row_is_normalised_alone_as_among_others(vectors: np.ndarray) -> None:
    together = unit(vectors)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(together, [unit(row) for row in vectors], rtol=1e-5)
    np.testing.assert_allclose(unit(together), together, rtol=1e-5)


def test_centred_takes_the_mean_away_and_normalises() -> None:
    found = centred(np.array([[3.0, 1.0], [1.0, 3.0]]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, [[1, 0], [1 / 5**0.5, 2 / 5**0.5]])


def test_every_track_counts_the_same_in_the_mean_of_its_camera() -> None:
    """Three crops of a track in camera 0 and one of another; one track in camera 2, none in camera 1."""
    vectors = np.array([[1, 0], [2, 0], [3, 0], [0, 4], [5, 6]], np.float32)
    of_tracks = track_means(vectors, np.array([0, 0, 0, 1, 2]), 3)
    assert of_tracks.tolist() == [[2, 0], [0, 4], [5, 6]]
    assert camera_means(of_tracks, np.array([0, 0, 2]), 3).tolist() == [[1, 2], [0, 0], [5, 6]]
