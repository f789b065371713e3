"""The average of models: weights, camera rows, cards, and what cannot be averaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError
from reid.averaging import PARTS_KEY, average
from reid.checkpoints import LoadedModel, load_checkpoint, save_checkpoint
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.data import ONLY_SET
from reid.training.start import IDENTITIES_KEY, IDENTITIES_OF_SETS_KEY, learned_identities

SIZES: dict[str, Any] = {"width": 32, "depth": 2, "heads": 2, "image_size": (32, 16)}


def constant(
    value: float, rows: dict[str, float] | None = None, *, unknown: float | None = None, **other: Any
) -> LoadedModel:
    """A model whose weights are all `value`, with a row of a constant for each camera."""
    rows = rows or {}
    config = TransReIDConfig(**{**SIZES, **other}, cameras=len(rows), unknown_row=unknown is not None)
    model = TransReID(config)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.fill_(value)
        if rows:
            every = [*rows.values(), *([] if unknown is None else [unknown])]
            model.base.sie_embed.copy_(torch.tensor(every).reshape(-1, 1, 1).expand(-1, 1, config.width))
    return LoadedModel(model.eval(), f"hash{value:g}", tuple(rows))


def rows_of(model: TransReID) -> list[float]:
    return [float(row[0, 0]) for row in model.base.sie_embed.detach()]


def test_weights_are_averaged_with_their_shares() -> None:
    model, cameras, card = average([constant(1.0), constant(3.0)], [0.25, 0.75])
    assert cameras == ()
    assert {float(tensor.mean()) for tensor in model.state_dict().values() if tensor.is_floating_point()} == {2.5}
    assert card == {PARTS_KEY: [{"model_hash": "hash1", "share": 0.25}, {"model_hash": "hash3", "share": 0.75}]}


@pytest.mark.parametrize(
    ("models", "names", "rows"),
    [
        pytest.param(
            [constant(0, {"a": 2.0, "b": 4.0}, unknown=6.0), constant(0)],
            ("a", "b"),
            [1.0, 2.0, 3.0],
            id="a model without rows adds zero",
        ),
        pytest.param(
            [constant(0, {"a": 2.0}, unknown=6.0), constant(0, {"b": 4.0}, unknown=8.0)],
            ("a", "b"),
            [5.0, 5.0, 7.0],
            id="a camera is unknown to the other model",
        ),
        pytest.param(
            [constant(0, {"a": 2.0}, unknown=6.0), constant(0, {"b": 1.0, "c": 3.0})],
            ("a", "b", "c"),
            [2.0, 3.5, 4.5, 4.0],
            id="the mean of its rows if there is no row for unknown cameras",
        ),
        pytest.param(
            [constant(0, {"a": 2.0, "b": 8.0}), constant(0, {"b": 4.0, "a": 6.0})],
            ("a", "b"),
            [4.0, 6.0],
            id="rows belong to names",
        ),
    ],
)
def test_camera_rows(models: list[LoadedModel], names: tuple[str, ...], rows: list[float]) -> None:
    model, cameras, _ = average(models, [0.5, 0.5])
    assert cameras == names
    assert rows_of(model) == pytest.approx(rows)
    assert model.config.cameras == len(names)


@pytest.mark.parametrize(
    ("models", "shares", "message"),
    [
        ([constant(1), constant(2)], [0.5, 0.4], "with the sum 1, but are 0.5, 0.4"),
        ([constant(1), constant(2)], [1.5, -0.5], "shares must be above 0"),
        ([constant(1), constant(2)], [1.0], "2 models need as many shares"),
        ([constant(1, views=2)], [1.0], "models with viewpoints"),
        ([constant(1), constant(2, depth=3)], [0.5, 0.5], "model 2 differs from the first in depth"),
        ([constant(1), constant(2, image_size=(48, 16))], [0.5, 0.5], "differs from the first in image_size"),
    ],
)
def test_what_cannot_be_averaged(models: list[LoadedModel], shares: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        average(models, shares)


def test_the_command_keeps_who_was_trained_on(tmp_path: Path) -> None:
    files = []
    for number, digests in enumerate(({"one": "a1"}, {"one": "a1", "two": "b2"})):
        files.append(tmp_path / f"{number}.safetensors")
        card = {IDENTITIES_OF_SETS_KEY: digests}
        save_checkpoint(files[-1], constant(float(number)).model, card=card)
    output = tmp_path / "average.safetensors"
    done = CliRunner().invoke(app, ["average", *(f"{file}=0.5" for file in files), "--output", str(output)])
    assert done.exit_code == 0, done.output
    loaded = load_checkpoint(output)
    assert loaded.card[IDENTITIES_OF_SETS_KEY] == {"one": "a1", "two": "b2"}
    assert [part["share"] for part in loaded.card[PARTS_KEY]] == [0.5, 0.5]
    assert float(loaded.model.state_dict()["base.cls_token"].mean()) == 0.5


def test_trainings_on_different_people_are_averaged_and_the_card_names_both(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As two folders, each trained on alone."""
    files = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for file, digest in zip(files, ("a1", "b2"), strict=True):
        save_checkpoint(file, constant(1.0).model, card={IDENTITIES_KEY: digest})
    output = tmp_path / "average.safetensors"
    done = CliRunner().invoke(app, ["average", *(f"{file}=0.5" for file in files), "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert learned_identities(load_checkpoint(output).card) == {ONLY_SET: ("a1", "b2")}
    assert "2 different sets of people; the card names all" in caplog.text

    third = average([load_checkpoint(output), load_checkpoint(files[0])], [0.5, 0.5])[2]
    assert learned_identities(third) == {ONLY_SET: ("a1", "b2")}


def test_a_card_of_a_single_data_set_counts() -> None:
    start, trained = constant(1.0), replace(constant(3.0), card={IDENTITIES_KEY: "a1"})
    assert learned_identities(average([start, trained], [0.5, 0.5])[2]) == {ONLY_SET: ("a1",)}


@pytest.mark.parametrize("text", ["model.safetensors", "model.safetensors=half"])
def test_a_part_needs_its_share(text: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["average", text, "--output", str(tmp_path / "x.safetensors")])
    assert "expected FILE=SHARE" in str(done.exception)
