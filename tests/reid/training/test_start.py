"""What a run takes from the weights that it starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from rich.console import Console

from pipeline.core.errors import InputError
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.datasets import read_dataset
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.start import IDENTITIES_KEY, RowNames, evenly_spread_blocks, is_backbone, start_from
from reid.training.train import train
from reid.training.trainer import CHECKPOINT_NAME, Trainer
from tests.helpers.tiny_training import draw_people, tiny_config

CPU = torch.device("cpu")
QUIET = Console(quiet=True)
TINY = TransReIDConfig(width=32, depth=2, heads=2, image_size=(64, 32), cameras=2, unknown_row=True, num_classes=5)


def make_model(seed: int, **changes: Any) -> TransReID:
    """A model whose tensors all differ from those of another seed."""
    torch.manual_seed(seed)
    model = TransReID(replace(TINY, **changes))
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.normal_()
    return model


def save_own(path: Path, model: TransReID, names: RowNames) -> Path:
    card = {IDENTITIES_KEY: names.identities}
    save_checkpoint(
        path, model, camera_names=names.cameras, view_names=names.views, card=card, inference_only=False
    )
    return path


def row(model: TransReID, index: int) -> torch.Tensor:
    return model.base.sie_embed.detach()[index, 0]


def test_the_same_identities_keep_their_classifiers(tmp_path: Path) -> None:
    source = make_model(1, jpm=True)
    path = save_own(tmp_path / "own.safetensors", source, RowNames(("c1", "c2"), (), "abc"))
    model = make_model(2, jpm=True)
    report = start_from(model, path, RowNames(("c1", "c2"), (), "abc"))
    assert all(tensor.equal(source.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert "kept the classifiers: the identities are the same" in report


@pytest.mark.parametrize("identities", ["xyz", ""])
def test_other_identities_begin_with_new_classifiers(tmp_path: Path, identities: str) -> None:
    source = make_model(1)
    path = save_own(tmp_path / "own.safetensors", source, RowNames(("c1", "c2"), (), "abc"))
    model = make_model(2)
    before = model.state_dict()["classifier.weight"].clone()
    report = start_from(model, path, RowNames(("c1", "c2"), (), identities))
    assert model.state_dict()["classifier.weight"].equal(before)
    assert model.base.cls_token.equal(source.base.cls_token)
    assert "left out the classifiers, which are for other identities" in report
    assert "newly initialised: classifier.weight" in report


@pytest.mark.parametrize(("classes", "kept"), [(5, True), (6, False)])
def test_a_checkpoint_that_does_not_name_its_identities(tmp_path: Path, classes: int, kept: bool) -> None:
    source = make_model(1)
    path = save_own(tmp_path / "own.safetensors", source, RowNames(("c1", "c2")))
    model = make_model(2, num_classes=classes)
    report = start_from(model, path, RowNames(("c1", "c2"), (), "abc"))
    assert model.state_dict()["classifier.weight"].equal(source.state_dict()["classifier.weight"]) == kept
    sentence = "kept the classifiers: the number of identities is the same, but the weights do not name them"
    assert (sentence in report) == kept


def test_camera_rows_go_by_name_and_new_cameras_begin_as_unknown_ones(tmp_path: Path) -> None:
    source = make_model(1)
    path = save_own(tmp_path / "own.safetensors", source, RowNames(("hall", "door")))
    model = make_model(2, cameras=3, sie_coefficient=1.5, num_classes=9)
    report = start_from(model, path, RowNames(("yard", "door", "hall")))
    # the source's factor on its rows was 3.0
    for index, theirs in ((0, 2), (1, 1), (2, 0), (3, 2)):
        assert torch.allclose(row(model, index), 2.0 * row(source, theirs))
    sentence = "copied the side information of door, hall by name; of yard as of an unknown camera"
    assert sentence in report


def test_camera_rows_without_an_unknown_row_begin_as_the_mean(tmp_path: Path) -> None:
    source = make_model(1, unknown_row=False)
    path = save_own(tmp_path / "own.safetensors", source, RowNames(("hall", "door")))
    model = make_model(2)
    start_from(model, path, RowNames(("hall", "yard")))
    assert torch.allclose(row(model, 0), row(source, 0))
    assert torch.allclose(row(model, 1), (row(source, 0) + row(source, 1)) / 2)


def test_views_go_by_name(tmp_path: Path) -> None:
    """The source's rows are c1 v0, c1 v1, c2 v0, c2 v1."""
    source = make_model(1, views=2, unknown_row=False)
    path = save_own(tmp_path / "own.safetensors", source, RowNames(("c1", "c2"), ("v0", "v1")))
    model = make_model(2, views=3, unknown_row=False)
    start_from(model, path, RowNames(("c2", "c1"), ("v1", "v0", "v7")))
    expected = [row(source, 3), row(source, 2), (row(source, 2) + row(source, 3)) / 2, row(source, 1)]
    assert all(torch.allclose(row(model, index), theirs) for index, theirs in enumerate(expected))
    of_cameras = make_model(3, unknown_row=False)
    start_from(of_cameras, path, RowNames(("c2", "c1")))
    assert torch.allclose(row(of_cameras, 0), (row(source, 2) + row(source, 3)) / 2)


@pytest.mark.parametrize("how", ["zero", "random"])
def test_side_information_that_the_weights_lack(tmp_path: Path, how: Any) -> None:
    source = make_model(1, cameras=0, unknown_row=False)
    path = save_own(tmp_path / "own.safetensors", source, RowNames())
    model = make_model(2)
    before = model.base.sie_embed.detach().clone()
    report = start_from(model, path, RowNames(("c1", "c2")), new_side_information=how)
    assert model.base.sie_embed.equal(torch.zeros_like(before) if how == "zero" else before)
    assert f"side information starts at {how}" in report
    without = make_model(3, cameras=0, unknown_row=False)
    save_own(path, model, RowNames(("c1", "c2")))
    assert "left out the side information, which the configuration switches off" in start_from(
        without, path, RowNames()
    )


def test_the_jigsaw_begins_with_the_last_block_and_goes_back_to_it(tmp_path: Path) -> None:
    plain, jigsaw = make_model(1), make_model(2, jpm=True)
    path = save_own(tmp_path / "own.safetensors", plain, RowNames(("c1", "c2")))
    assert "copied the last block and the final norm into b1 and b2" in start_from(
        jigsaw, path, RowNames(("c1", "c2"))
    )
    state, theirs = jigsaw.state_dict(), plain.state_dict()
    for branch in ("b1", "b2"):
        assert state[f"{branch}.0.mlp.fc1.weight"].equal(theirs["base.blocks.1.mlp.fc1.weight"])
        assert state[f"{branch}.1.weight"].equal(theirs["base.norm.weight"])
    images = torch.randn(2, 3, 64, 32)
    cameras = torch.tensor([0, -1])
    with torch.no_grad():
        assert torch.allclose(
            jigsaw.eval()(images, cameras=cameras)[:, :32], plain.eval()(images, cameras=cameras), atol=1e-4
        )
    save_own(path, jigsaw, RowNames(("c1", "c2")))
    back = make_model(3)
    assert "copied the last block and the final norm from b1" in start_from(back, path, RowNames(("c1", "c2")))
    assert back.state_dict()["base.norm.bias"].equal(theirs["base.norm.bias"])


def test_another_size_resizes_the_position_embedding(tmp_path: Path) -> None:
    source = make_model(1)
    path = save_own(tmp_path / "own.safetensors", source, RowNames(("c1", "c2")))
    model = make_model(2, image_size=(96, 32))
    report = start_from(model, path, RowNames(("c1", "c2")))
    assert report[0] == "resized the position embedding from 4x2 to 6x2 patches"
    assert model.base.pos_embed.shape == (1, 13, 32)
    assert model.base.pos_embed[:, :1].equal(source.base.pos_embed[:, :1])


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = save_own(tmp_path / "own.safetensors", make_model(1), RowNames(("c1", "c2")))
    before = make_model(2, depth=3)
    with pytest.raises(InputError, match=r"own\.safetensors: .*another architecture: depth 2 instead of 3"):
        start_from(before, path, RowNames(("c1", "c2")))


def official(model: TransReID) -> dict[str, torch.Tensor]:
    return {f"module.{name}": value for name, value in model.state_dict().items()}


def test_an_official_checkpoint_of_the_same_data(tmp_path: Path) -> None:
    """Market-1501: six cameras in the order of their numbers; 751 identities, of whom the file says nothing."""
    sizes = {"width": 64, "heads": 1, "depth": 12, "image_size": (256, 128), "unknown_row": False}
    source = make_model(1, **sizes, cameras=6, num_classes=751, jpm=True)
    torch.save(official(source), tmp_path / "transformer_120.pth")
    model = make_model(2, **sizes, cameras=2, num_classes=3, jpm=True)
    assert not is_backbone(tmp_path / "transformer_120.pth")
    report = start_from(model, tmp_path / "transformer_120.pth", RowNames(("c6", "c2")))
    assert row(model, 0).equal(row(source, 5))
    assert row(model, 1).equal(row(source, 1))
    assert model.state_dict()["b2.0.mlp.fc1.weight"].equal(source.state_dict()["b2.0.mlp.fc1.weight"])
    assert model.state_dict()["bottleneck_3.weight"].equal(source.state_dict()["bottleneck_3.weight"])
    assert any("left out the classifiers of 751 identities" in line for line in report)
    assert any(line.startswith("newly initialised: classifier.weight") for line in report)


def test_an_official_table_that_may_be_of_views_is_left_out_or_taken(tmp_path: Path) -> None:
    """VeRi-776: 20 cameras x 8 viewpoints in 160 rows."""
    sizes = {"width": 64, "heads": 1, "depth": 12, "image_size": (256, 128), "unknown_row": False}
    source = make_model(1, **sizes, cameras=20, views=8)
    torch.save(official(source), tmp_path / "veri.pth")
    with_views = make_model(2, **sizes, cameras=2, views=8)
    start_from(with_views, tmp_path / "veri.pth", RowNames(("c1", "c20"), [f"v{v}" for v in range(8)]))
    assert row(with_views, 8 + 3).equal(row(source, 19 * 8 + 3))
    without = make_model(3, **sizes, cameras=2)
    report = start_from(without, tmp_path / "veri.pth", RowNames(("c1", "c20")))
    assert report[0] == "left out 160 rows of side information: unclear if per camera or per camera and view"
    assert not without.base.sie_embed.any()


def test_a_plain_transformer(tmp_path: Path) -> None:
    source = make_model(1, image_size=(32, 32))
    backbone = {k.removeprefix("base."): v for k, v in source.state_dict().items() if k.startswith("base.")}
    del backbone["sie_embed"]
    path = tmp_path / "vit.pth"
    torch.save({"teacher": {f"backbone.{name}": value for name, value in backbone.items()}}, path)
    model = make_model(2)
    assert is_backbone(path)
    assert "side information starts at zero" in start_from(model, path, RowNames(("c1", "c2")))
    assert model.base.cls_token.equal(source.base.cls_token)
    assert not model.base.sie_embed.any()
    with pytest.raises(InputError, match="width 48"):
        start_from(make_model(3, width=48), path, RowNames())


def test_a_model_that_timm_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def create_model(name: str, **options: Any) -> torch.nn.Module:
        asked.append((name, options))
        if name.endswith(".dino"):
            raise ConnectionError("no route\nto the hub")
        return timm.models.vision_transformer.VisionTransformer(
            img_size=32, patch_size=16, embed_dim=32, depth=2, num_heads=2, num_classes=0
        )

    monkeypatch.setattr("reid.training.start.timm.create_model", create_model)
    model = make_model(2)
    before = model.base.cls_token.detach().clone()
    report = start_from(model, "timm:vit_small_patch16_224", RowNames(("c1", "c2")))
    assert asked == [("vit_small_patch16_224", {"pretrained": True, "num_classes": 0})]
    assert not model.base.cls_token.equal(before)
    assert any(line.startswith("copied ") for line in report)
    with pytest.raises(InputError, match=r"weights of vit_small_patch16_224\.dino \(ConnectionError: no route to"):
        start_from(model, "timm:vit_small_patch16_224.dino", RowNames())
    with pytest.raises(InputError, match=r"timm has no model 'vit_smaal'; it has, among others, .*vit_\w+"):
        start_from(model, "timm:vit_smaal", RowNames())


def test_a_longer_run_begins_with_all_that_a_shorter_one_learned(tmp_path: Path) -> None:
    people = draw_people(tmp_path / "people", 16)
    config = tiny_config(schedule={"epochs": 1})
    train(config, data={"": people}, folder=tmp_path, device=CPU, console=QUIET)
    learned = load_checkpoint(tmp_path / CHECKPOINT_NAME).model.state_dict()
    longer = Trainer(tiny_config(schedule={"epochs": 3}), {"": read_dataset(people)}, tmp_path, CPU)
    longer.start_from(tmp_path / CHECKPOINT_NAME)
    assert all(tensor.equal(learned[name]) for name, tensor in longer.model.state_dict().items())

    others = draw_people(tmp_path / "others", 17)
    report = Trainer(config, {"": read_dataset(others)}, tmp_path, CPU).start_from(tmp_path / CHECKPOINT_NAME)
    assert "left out the classifiers, which are for other identities" in report


@pytest.mark.parametrize(
    ("of", "count", "expected"),
    [(12, 6, [0, 2, 4, 7, 9, 11]), (12, 4, [0, 4, 7, 11]), (5, 5, [0, 1, 2, 3, 4]), (3, 2, [0, 2]), (12, 1, [11])],
)
def test_blocks_that_a_shallower_model_takes(of: int, count: int, expected: list[int]) -> None:
    assert evenly_spread_blocks(of, count) == expected


@pytest.mark.parametrize("jigsaw", [False, True])
def test_a_shallower_model_takes_some_blocks(tmp_path: Path, jigsaw: bool) -> None:
    names = RowNames(("c1", "c2"), (), "abc")
    source = make_model(1, depth=5, jpm=jigsaw)
    path = save_own(tmp_path / "deep.safetensors", source, names)
    model = make_model(2, depth=3, jpm=jigsaw)
    report = start_from(model, path, names)
    kept = {0: 0, 1: 2} if jigsaw else {0: 0, 1: 2, 2: 4}
    theirs = source.state_dict()
    for name, tensor in model.state_dict().items():
        for ours, of_source in kept.items():
            if name.startswith(f"base.blocks.{ours}."):
                name = name.replace(f"blocks.{ours}.", f"blocks.{of_source}.")
                break
        assert tensor.equal(theirs[name]), name
    assert "copied 3 of 5 blocks: 1, 3, 5" in report


def test_a_shallower_model_without_the_jigsaw_ends_in_the_global_branch(tmp_path: Path) -> None:
    names = RowNames(("c1", "c2"), (), "abc")
    source = make_model(1, depth=4, jpm=True)
    model = make_model(2, depth=2)
    start_from(model, save_own(tmp_path / "deep.safetensors", source, names), names)
    last = model.base.blocks[1].state_dict()
    assert all(tensor.equal(source.b1[0].state_dict()[name]) for name, tensor in last.items())


def test_a_deeper_model_is_refused(tmp_path: Path) -> None:
    names = RowNames(("c1", "c2"))
    path = save_own(tmp_path / "shallow.safetensors", make_model(1, depth=2), names)
    with pytest.raises(InputError, match="of another architecture: depth 2 instead of 3"):
        start_from(make_model(2, depth=3), path, names)
