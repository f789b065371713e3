"""Reading training configurations, and the ones that are published with the project."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.core.errors import InputError
from pipeline.core.paths import PROJECT_ROOT
from reid.training.build import build_model
from reid.training.config import load_training_config

CONFIGS = PROJECT_ROOT / "configs" / "reid"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_builds_its_model(path: Path) -> None:
    config = load_training_config(path)
    with torch.device("meta"):
        model = build_model(config, cameras=20, views=8, identities=3)
    switches = config.model
    assert model.config.cameras == (20 if switches.camera_embedding else 0)
    assert model.config.views == (8 if switches.view_embedding else 0)
    assert model.config.jpm == switches.jigsaw
    assert ("stride" in path.stem) == (model.config.stride < 16)
    assert ("deit" in path.stem) == (config.augmentation.erasing_probability == 0.8) or "small" in path.stem


@pytest.mark.parametrize(
    ("name", "lr", "batch", "tokens", "sie_rows", "shift"),
    [
        ("market1501_vit", 0.008, 64, 128, 0, 5),
        ("market1501_vit_sie", 0.008, 64, 128, 20, 5),
        ("market1501_transreid_384", 0.008, 64, 192, 20, 5),
        ("market1501_transreid_stride12_384", 0.008, 64, 310, 20, 5),
        ("dukemtmcreid_transreid_384", 0.008, 64, 192, 20, 5),
        ("dukemtmcreid_transreid_stride12_384", 0.008, 64, 310, 20, 5),
        ("msmt17_transreid_384", 0.008, 64, 192, 20, 5),
        ("msmt17_transreid_stride12", 0.008, 64, 210, 20, 5),
        ("msmt17_transreid_stride12_deit", 0.005, 64, 210, 20, 5),
        ("occluded_duke_transreid_stride11", 0.008, 64, 242, 20, 5),
        ("veri776_vit", 0.008, 64, 256, 0, 8),
        ("veri776_transreid_stride12", 0.01, 64, 441, 160, 8),
        ("veri776_transreid_deit", 0.01, 64, 256, 160, 8),
        ("vehicleid_transreid_deit", 0.03, 256, 256, 0, 8),
        ("vehicleid_vit", 0.04, 224, 256, 0, 8),
        ("vehicleid_transreid_stride12_deit", 0.03, 256, 441, 0, 8),
    ],
)
def test_published_rows(name: str, lr: float, batch: int, tokens: int, sie_rows: int, shift: int) -> None:
    """Settings of the authors' released configurations; cameras and views as VeRi-776 has them."""
    config = load_training_config(CONFIGS / "transreid" / f"{name}.yaml")
    with torch.device("meta"):
        model = build_model(config, cameras=20, views=8, identities=3).config
    assert config.optimizer.lr == lr
    assert config.data.ids_per_batch * config.data.crops_per_id == batch
    assert (model.tokens, model.sie_rows, model.shift) == (tokens, sie_rows, shift)
    assert (config.optimizer.name, config.optimizer.bias_lr_factor, config.schedule.step) == ("sgd", 2.0, "epoch")
    assert config.optimizer.decay_vectors


def test_a_file_is_read_over_its_base_and_overrides_over_both(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "model: {architecture: vit_small, jigsaw: false}\noptimizer: {name: sgd, lr: 0.1}\nschedule: {epochs: 9}\n"
    )
    row = tmp_path / "rows" / "row.yaml"
    row.parent.mkdir()
    row.write_text("base: ../base.yaml\nmodel: {jigsaw: true}\noptimizer: {lr: 0.2}\n")
    config = load_training_config(row, {"schedule": {"epochs": 7}})
    assert (config.model.architecture, config.model.jigsaw) == ("vit_small", True)
    assert (config.optimizer.name, config.optimizer.lr, config.schedule.epochs) == ("sgd", 0.2, 7)

    (row.parent / "second.yaml").write_text("base: row.yaml\n")
    with pytest.raises(InputError, match=r"second\.yaml: base: row\.yaml has a base itself"):
        load_training_config(row.parent / "second.yaml")
    row.write_text("base: [1]\n")
    with pytest.raises(InputError, match=r"row\.yaml: base: expected the name of a file, but found \[1\]"):
        load_training_config(row)
    row.write_text("base: nowhere.yaml\n")
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot read"):
        load_training_config(row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("model: [", "is not valid YAML", id="no YAML"),
        pytest.param(
            "model: {architecture: vit_small, sizes: 3}", r"model\.sizes: is no key of a", id="unknown key"
        ),
        pytest.param("model: {}", r"model\.architecture: Field required", id="missing key"),
        pytest.param("schedule: {epochs: 2.5}", r"schedule\.epochs: .*integer.*2\.5", id="wrong type"),
        pytest.param("optimizer: {name: sgd, lr: '1e-4'}", r"optimizer\.lr: .*'1e-4'; quotes make", id="text"),
        pytest.param(
            "optimizer: {name: sgd, lr: [1]}", r"optimizer\.lr: .*but found a list with 1 value", id="list"
        ),
        pytest.param("schedule: {epochs: 4, warmup_epochs: 5.0}", "must be less than epochs 4", id="long warm-up"),
    ],
)
def test_configuration_errors_name_file_key_and_expectation(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        load_training_config(path)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines()[:1])
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot read"):
        load_training_config(tmp_path / "nowhere.yaml")


def test_every_shipped_configuration_is_one_of_a_training_or_is_said_to_be_none() -> None:
    folder = PROJECT_ROOT / "configs"
    for path in sorted((folder / "reid").rglob("*.yaml")):
        load_training_config(path)
    for path in sorted(folder.glob("*.yaml")):
        with pytest.raises(InputError, match="is no key of a training configuration") as caught:
            load_training_config(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600


def test_a_number_may_have_an_exponent_without_a_point(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("model: {architecture: vit_small}\noptimizer: {name: sgd, lr: 1e-4}\nschedule: {epochs: 9}\n")
    assert load_training_config(path).optimizer.lr == 1e-4
