"""Side information that an evaluation gives to cameras: which row of the table each of them gets."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel
from reid.models.sie import side_information
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.camera_rows import CameraRows, with_camera_rows

WIDTH = 4


def loaded(table: list[float], **config: Any) -> LoadedModel:
    """A model whose side information rows hold one number each."""
    model = TransReID(TransReIDConfig(width=WIDTH, depth=1, heads=1, image_size=(32, 16), **config)).eval()
    if table:
        model.base.sie_embed.data = (
            torch.tensor(table, dtype=torch.float32).reshape(-1, 1, 1).expand(-1, 1, WIDTH).clone()
        )
    names = tuple(f"c{row + 1}" for row in range(model.config.cameras))
    return LoadedModel(model, "0123456789abcdef", names)


def rows_of(model: LoadedModel, cameras: list[str], view: int | None = None) -> list[float]:
    """What is added for each camera, before the coefficient."""
    known = [model.camera_names.index(name) if name in model.camera_names else -1 for name in cameras]
    config = model.model.config
    added = side_information(
        model.model.base.sie_embed.detach(),
        torch.tensor(known),
        None if view is None else torch.full((len(known),), view),
        camera_count=config.cameras,
        view_count=config.views,
        batch=len(known),
    )
    return [float(row[0, 0]) for row in added]


@pytest.mark.parametrize(
    ("choice", "cameras", "expected"),
    [
        pytest.param("own", ["c3", "c1"], [6, 1], id="own rows by name"),
        pytest.param("own", ["c1", "c9"], [1, 99], id="own: the unknown row for a stranger"),
        pytest.param("unknown", ["c1", "c2"], [99, 99], id="unknown"),
        pytest.param("mean", ["c1", "c9"], [3, 3], id="mean without the unknown row"),
        pytest.param("wrong", ["c1", "c2", "c3"], [2, 6, 1], id="wrong: the next, cyclic"),
        pytest.param("wrong", ["c8", "c9"], [1, 2], id="wrong: strangers take the rows in turn"),
    ],
)
def test_rows(choice: str, cameras: list[str], expected: list[float]) -> None:
    changed = with_camera_rows(loaded([1, 2, 6, 99], cameras=3, unknown_row=True), CameraRows(choice), cameras)
    assert rows_of(changed, cameras) == expected


def test_rows_keep_their_viewpoints() -> None:
    model = loaded([1, 2, 11, 12], cameras=2, views=2)
    assert rows_of(with_camera_rows(model, CameraRows.WRONG, ["c1"]), ["c1"], view=1) == [12]
    assert rows_of(with_camera_rows(model, CameraRows.MEAN, ["c1"]), ["c1"], view=0) == [6]


@pytest.mark.parametrize("config", [{"cameras": 2}, {"views": 3}])
def test_none_is_the_feature_without_side_information(config: dict[str, int]) -> None:
    with_table = loaded([5.0] * next(iter(config.values())), **config)
    plain = loaded([])
    state = {key: value for key, value in with_table.model.state_dict().items() if key != "base.sie_embed"}
    plain.model.load_state_dict(state)
    images, cameras = torch.randn(2, 3, 32, 16), torch.tensor([0, 1])
    without = with_camera_rows(with_table, CameraRows.NONE, ["c1", "c2"])
    with torch.inference_mode():
        torch.testing.assert_close(without.model(images, cameras), plain.model(images))
        assert not torch.allclose(with_table.model(images, cameras), plain.model(images))


def test_the_loaded_model_is_not_changed() -> None:
    model = loaded([1, 2, 99], cameras=2, unknown_row=True)
    with_camera_rows(model, CameraRows.WRONG, ["c1", "c2"])
    assert rows_of(model, ["c1", "c2", "c3"]) == [1, 2, 99]


@pytest.mark.parametrize(
    ("choice", "model", "problem"),
    [
        ("unknown", loaded([1, 2], cameras=2), "without a row for unknown cameras; use --rows mean"),
        ("unknown", loaded([]), "without a table of cameras; use --rows none"),
        ("wrong", loaded([]), "without a table of cameras"),
        ("mean", loaded([1, 2], views=2), "without a table of cameras"),
        ("wrong", loaded([1], cameras=1), "its table has only one camera"),
    ],
)
def test_impossible_choices_say_why(choice: str, model: LoadedModel, problem: str) -> None:
    with pytest.raises(InputError, match=f"--rows {choice} is impossible with this checkpoint.*{problem}"):
        with_camera_rows(model, CameraRows(choice), ["c1"])


@pytest.mark.parametrize("choice", ["own", "none"])
def test_without_a_table_nothing_changes(choice: str) -> None:
    model = loaded([])
    assert with_camera_rows(model, CameraRows(choice), ["c1"]) is model
