"""Resizing of position embeddings, on numbers that a hand can check."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reid.models.position_embedding import resize_position_embedding, sincos_position_embedding


@pytest.mark.parametrize(
    ("old", "values", "new", "expected"),
    [
        # the centre of new pixel i lies at (i + .5) / 2 - .5 of the old ones: -.25 (held at 0), .25, .75, 1.25
        pytest.param(
            (2, 2),
            [0, 1, 10, 11],
            (4, 2),
            [0, 1, 2.5, 3.5, 7.5, 8.5, 10, 11],
            id="rows are stretched, columns stay",
        ),
        pytest.param((2, 2), [0, 1, 10, 11], (2, 4), [0, 0.25, 0.75, 1, 10, 10.25, 10.75, 11], id="columns alone"),
        # new pixel i lies at 2 i + .5, between two old ones; antialiasing would look at more than those two
        pytest.param((1, 4), [0, 0, 0, 8], (1, 2), [0, 4], id="made smaller without antialiasing"),
        pytest.param((2, 3), [1, 2, 3, 4, 5, 6], (2, 3), [1, 2, 3, 4, 5, 6], id="the same grid"),
    ],
)
def test_resize(old: tuple[int, int], values: list[float], new: tuple[int, int], expected: list[float]) -> None:
    embedding = torch.tensor([99.0, *values]).view(1, -1, 1)
    resized = resize_position_embedding(embedding, old, new)
    assert resized.shape == (1, 1 + len(expected), 1)
    np.testing.assert_allclose(resized.flatten(), [99, *expected], rtol=1e-6)


def test_resize_keeps_the_precision_of_its_input() -> None:
    half = torch.ones(1, 5, 2, dtype=torch.float16)
    assert resize_position_embedding(half, (2, 2), (3, 3)).dtype == torch.float16


def test_sincos_tells_every_patch_from_every_other() -> None:
    embedding = sincos_position_embedding((3, 5), 16)
    assert embedding.shape == (1, 16, 16)
    assert not embedding[0, 0].any()
    assert torch.cdist(embedding[0], embedding[0]).fill_diagonal_(1).min() > 0.1
    # each angle gives a sine and a cosine: every patch has the length sqrt(16 / 2)
    np.testing.assert_allclose(embedding[0, 1:].norm(dim=1), 8**0.5, rtol=1e-5)
