"""Rows of the side information table."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from reid.models.sie import side_information
from reid.models.transreid import TransReID, TransReIDConfig

TINY = TransReIDConfig(width=16, depth=2, heads=2, image_size=(32, 16))


def rows(
    values: list[float],
    cameras: list[int] | None,
    views: list[int] | None,
    *,
    camera_count: int,
    view_count: int,
    batch: int = 1,
) -> list[float]:
    table = torch.tensor(values).view(-1, 1, 1)
    given = [None if ids is None else torch.tensor(ids) for ids in (cameras, views)]
    found = side_information(table, *given, camera_count=camera_count, view_count=view_count, batch=batch)
    assert found.shape == (batch, 1, 1)
    return [float(x) for x in found.flatten()]


CAMERA_VIEW = [0.0, 1, 2, 10, 11, 12]  # 2 cameras x 3 views: 10 * camera + view


@pytest.mark.parametrize(
    ("values", "counts", "cameras", "views", "expected"),
    [
        pytest.param([0.0, 1, 2], (3, 0), [2], None, 2, id="camera"),
        pytest.param(
            [0.0, 1, 2], (3, 1), [2], [1], 2, id="one view: its id is ignored, also when it counts from 1"
        ),
        pytest.param([0.0, 1, 5], (3, 0), None, None, 2, id="no camera known: the mean of the rows"),
        pytest.param([0.0, 1, 5], (3, 0), [-1], None, 2, id="this camera not known"),
        pytest.param([0.0, 1, 5, 99], (3, 0), None, None, 99, id="no camera known: the trained row for that"),
        pytest.param([0.0, 1, 5, 99], (3, 0), [1], None, 1, id="a known camera beside the trained row"),
        pytest.param([7.0], (1, 0), [0], None, 7, id="one camera"),
        pytest.param([7.0], (1, 0), None, None, 7, id="one camera, not known"),
        pytest.param([7.0, 99], (1, 0), [-1], None, 99, id="one camera and the trained row"),
        pytest.param([0.0, 1, 2], (0, 3), [17], [2], 2, id="views alone: the camera is ignored"),
        pytest.param([0.0, 1, 2], (0, 3), None, None, 1, id="views alone, not known"),
        pytest.param(CAMERA_VIEW, (2, 3), [1], [2], 12, id="camera and view"),
        pytest.param(CAMERA_VIEW, (2, 3), [1], None, 11, id="view not known: the mean of the camera's views"),
        pytest.param(CAMERA_VIEW, (2, 3), None, [2], 7, id="camera not known: the mean of the view's cameras"),
        pytest.param(CAMERA_VIEW, (2, 3), None, None, 6, id="neither known"),
        pytest.param([*CAMERA_VIEW, 99.0], (2, 3), [-1], [2], 99, id="camera not known, trained row"),
        pytest.param([*CAMERA_VIEW, 99.0], (2, 3), [0], [-1], 1, id="view not known beside a trained row"),
    ],
)
def test_row(
    values: list[float],
    counts: tuple[int, int],
    cameras: list[int] | None,
    views: list[int] | None,
    expected: float,
) -> None:
    found = rows(values, cameras, views, camera_count=counts[0], view_count=counts[1])
    assert found == [pytest.approx(expected)]


def test_samples_of_a_batch_are_looked_up_one_by_one() -> None:
    found = rows([0.0, 1, 5], [2, -1, 0], None, camera_count=3, view_count=0, batch=3)
    assert found == [5, pytest.approx(2), 0]


@pytest.mark.parametrize(
    ("cameras", "views", "message"),
    [
        ([2], [0], r"camera index 2 is outside the model's table of 2 cameras: give 0 to 1, or -1"),
        ([-2], [0], "camera index -2 is outside"),
        ([0], [3], "view index 3 is outside the model's table of 3 views"),
    ],
)
def test_index_outside_the_table(cameras: list[int], views: list[int], message: str) -> None:
    with pytest.raises(IndexError, match=message):
        rows(CAMERA_VIEW, cameras, views, camera_count=2, view_count=3)


def feature(model: TransReID, cameras: Tensor | None = None) -> Tensor:
    images = torch.linspace(-1, 1, 3 * 32 * 16).view(1, 3, 32, 16)
    with torch.inference_mode():
        found = model.eval()(images, cameras)
    assert isinstance(found, Tensor)
    return found


def test_the_row_times_the_coefficient_is_added_to_every_token() -> None:
    """That is the same as adding it to the position embedding, the class token's included."""
    with_table = TransReID(replace(TINY, cameras=1, sie_coefficient=3.0))
    without = TransReID(TINY)
    state = with_table.state_dict()
    row = state.pop("base.sie_embed")
    state["base.pos_embed"] = state["base.pos_embed"] + 3.0 * row
    without.load_state_dict(state)
    torch.testing.assert_close(feature(with_table, torch.tensor([0])), feature(without), atol=1e-5, rtol=0)


def test_a_model_without_a_table_ignores_cameras() -> None:
    model = TransReID(TINY)
    assert torch.equal(feature(model), feature(model, torch.tensor([17])))


def test_dropping_the_camera_trains_the_unknown_row_alone() -> None:
    model = TransReID(replace(TINY, cameras=2, unknown_row=True, num_classes=3)).train()
    logits, features = model(torch.randn(2, 3, 32, 16), torch.tensor([-1, -1]))
    (logits[0].sum() + features[0].square().sum()).backward()
    gradient = model.base.sie_embed.grad
    assert gradient is not None
    assert [bool(row.any()) for row in gradient] == [False, False, True]
