"""What load_transreid makes of state dicts, and what it refuses."""

from __future__ import annotations

import logging
import pickle
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import reid
from pipeline.core.errors import InputError
from reid.checkpoints import save_checkpoint
from reid.models.loading import load_transreid
from reid.models.position_embedding import resize_position_embedding
from reid.models.transreid import TransReID, TransReIDConfig
from tests.helpers.state_dicts import released_of, released_shapes, released_state_dict

SMALL = TransReIDConfig(width=64, depth=3, heads=1, cameras=6)
JIGSAW = replace(SMALL, jpm=True, stride=12)
IMAGES = torch.randn(2, 3, 256, 128, generator=torch.Generator().manual_seed(0))
CAMERAS = torch.tensor([0, 5])


@pytest.fixture(scope="module")
def models() -> dict[str, TransReID]:
    torch.manual_seed(0)
    return {"plain": TransReID(SMALL).eval(), "jigsaw": TransReID(JIGSAW).eval()}


def infer(model: TransReID) -> Tensor:
    assert not model.training
    with torch.inference_mode():
        feature = model(IMAGES, CAMERAS)
    assert isinstance(feature, Tensor)
    return feature


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 158), ({"sie_rows": 6}, 159), ({"jpm": True}, 210), ({"sie_rows": 6, "jpm": True}, 211)],
)
def test_the_key_table_has_as_many_keys_as_released_files(options: dict[str, Any], count: int) -> None:
    assert len(released_shapes(**options)) == count


def without(state: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith(prefixes)}


@pytest.mark.parametrize(
    ("name", "left_out", "reported"),
    [
        pytest.param("plain", (), ["base.fc", "classifier"], id="plain"),
        pytest.param("plain", ("classifier",), ["base.fc"], id="plain without classifier"),
        pytest.param("plain", ("base.fc", "classifier"), [], id="plain without anything unused"),
        pytest.param("plain", ("bottleneck",), ["no bottleneck"], id="plain without neck"),
        pytest.param("jigsaw", (), ["base.blocks.2", "base.norm", "base.fc", "classifier_4"], id="jigsaw"),
        pytest.param("jigsaw", ("base.blocks.2.", "base.norm."), ["base.fc"], id="jigsaw without unused layers"),
    ],
)
def test_unused_tensors_may_be_there_or_not(
    models: dict[str, TransReID], name: str, left_out: tuple[str, ...], reported: list[str]
) -> None:
    model = models[name]
    loaded = load_transreid(without(released_of(model), *left_out))
    assert loaded.config == model.config
    assert torch.equal(infer(loaded), infer(model))
    report = " | ".join(loaded.loading_report)
    assert all(word in report for word in reported), report


@pytest.mark.parametrize(
    "left_out", [(), ("base.blocks.11.",), ("base.norm.",), ("base.blocks.11.", "base.norm.")]
)
def test_depth_of_a_jigsaw_model(left_out: tuple[str, ...]) -> None:
    state = without(released_state_dict(192, 12, jpm=True), *left_out)
    config = load_transreid(state).config
    assert (config.depth, config.heads, config.jpm, config.parts) == (12, 3, True, 4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param({}, (768, 12, 12, 4.0, True, None), id="vit_base, deit_base"),
        pytest.param({"width": 384}, (384, 12, 6, 4.0, True, None), id="deit_small"),
        pytest.param({"width": 192}, (192, 12, 3, 4.0, True, None), id="vit_tiny"),
        pytest.param(
            {"depth": 8, "mlp": 2304, "qkv_bias": False},
            (768, 8, 8, 3.0, False, 768**-0.5),
            id="vit_small of TransReID, not that of TransReID-SSL",
        ),
        pytest.param(
            {"depth": 8, "mlp": 2304, "qkv_bias": False, "jpm": True},
            (768, 8, 8, 3.0, False, 768**-0.5),
            id="the same with jigsaw",
        ),
    ],
)
def test_architecture(shape: dict[str, int], expected: tuple[Any, ...]) -> None:
    c = load_transreid(released_state_dict(**shape)).config
    assert (c.width, c.depth, c.heads, c.mlp_ratio, c.qkv_bias, c.attention_scale) == expected


@pytest.mark.parametrize(
    ("tokens", "given", "expected"),
    [
        (128, {}, ((256, 128), 16)),
        (162, {}, ((256, 128), 14)),
        (210, {}, ((256, 128), 12)),
        (242, {}, ((256, 128), 11)),
        (310, {}, ((384, 128), 12)),
        (441, {}, ((256, 256), 12)),
        (324, {"image_size": (256, 256)}, ((256, 256), 14)),
        (324, {"stride": 12}, ((224, 224), 12)),
        (128, {"image_size": (128, 256)}, ((128, 256), 16)),
        (128, {"image_size": (100, 200), "stride": 11}, ((100, 200), 11)),  # 8 x 17 patches: resized
        (128, {"stride": 12}, ((256, 128), 12)),
        (128, {"image_size": (384, 128)}, ((384, 128), 16)),
        (77, {"image_size": (112, 176), "stride": 16}, ((112, 176), 16)),  # 7 x 11, of no published model
        (324, {}, "image_size=(256, 256) with stride=14 or image_size=(224, 224) with stride=12"),
        (
            324,
            {"image_size": (384, 128)},
            "image_size=(384, 128) with stride=12 or image_size=(384, 128) with stride=14",
        ),
        (77, {}, "77 patches do not match image_size=None, stride=None"),
        (77, {"image_size": (256, 128), "stride": 16}, "give the image_size and stride of the training"),
    ],
)
def test_image_size_and_stride(tokens: int, given: dict[str, Any], expected: tuple[Any, ...] | str) -> None:
    state = released_state_dict(64, 1, tokens=tokens)
    if isinstance(expected, str):
        with pytest.raises(InputError) as error:
            load_transreid(state, **given)
        assert expected in str(error.value)
    else:
        config = load_transreid(state, **given).config
        assert (config.image_size, config.stride) == expected


def test_the_position_embedding_is_resized_to_another_size(models: dict[str, TransReID]) -> None:
    state = released_of(models["jigsaw"])
    loaded = load_transreid(state, image_size=(384, 128))
    assert loaded.config.grid_hw == (31, 10)
    expected = resize_position_embedding(state["base.pos_embed"], (21, 10), (31, 10))
    assert torch.equal(loaded.base.pos_embed, expected)
    assert "resized the position embedding from 21x10 to 31x10 patches" in loaded.loading_report
    assert state["base.pos_embed"].shape[1] == 211  # the caller's own is untouched


AMBIGUOUS = "cameras=160, views=0 or cameras=20, views=8"


@pytest.mark.parametrize(
    ("rows", "given", "expected"),
    [
        (0, {}, (0, 0)),
        (0, {"cameras": 0, "views": 1}, (0, 0)),
        (6, {}, (6, 0)),
        (8, {}, (8, 0)),
        (1, {}, (1, 0)),
        (160, {"cameras": 20}, (20, 8)),
        (160, {"views": 8}, (20, 8)),
        (160, {"cameras": 160}, (160, 0)),
        (160, {"views": 1}, (160, 0)),
        (160, {"cameras": 20, "views": 8}, (20, 8)),
        (8, {"views": 8}, (0, 8)),
        (8, {"cameras": 0}, (0, 8)),
        (160, {}, AMBIGUOUS),
        (6, {"cameras": 4}, "6 side information rows, which is not cameras=4"),
        (6, {"cameras": 3, "views": 3}, "6 side information rows, which is not cameras=3 times views=3"),
        (0, {"cameras": 6}, "no side information table, but cameras=6"),
    ],
)
def test_side_information_rows(rows: int, given: dict[str, Any], expected: tuple[int, int] | str) -> None:
    state = released_state_dict(64, 1, sie_rows=rows)
    if isinstance(expected, str):
        with pytest.raises(InputError) as error:
            load_transreid(state, **given)
        assert expected in str(error.value)
    else:
        config = load_transreid(state, **given).config
        assert (config.cameras, config.views) == expected


def test_shift_and_coefficient_are_the_callers() -> None:
    config = load_transreid(released_state_dict(64, 2, jpm=True, sie_rows=2), shift=8, sie_coefficient=1.5).config
    assert (config.shift, config.sie_coefficient) == (8, 1.5)


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapped_files(models: dict[str, TransReID], tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    state: Any = OrderedDict((prefix + key, value) for key, value in released_of(models["plain"]).items())
    if wrapper:
        state = {wrapper: state, "epoch": 120}
    torch.save(state, tmp_path / "transformer_120.pth")
    loaded = reid.load_transreid(tmp_path / "transformer_120.pth")
    assert torch.equal(infer(loaded), infer(models["plain"]))


def test_safetensors_in_half_precision(models: dict[str, TransReID], tmp_path: Path) -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in released_of(models["plain"]).items()}
    save_file(state, tmp_path / "model.safetensors")
    loaded = load_transreid(str(tmp_path / "model.safetensors"))
    assert loaded.base.cls_token.dtype == torch.float32
    torch.testing.assert_close(infer(loaded), infer(models["plain"]), atol=0.02, rtol=0)


def test_the_report_is_logged(models: dict[str, TransReID], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "reid.models.loading"):
        loaded = load_transreid(released_of(models["plain"], classes=751))
    assert [record.message for record in caplog.records] == loaded.loading_report
    assert "left out the classifiers of 751 identities: classifier" in loaded.loading_report


def changed(**changes: tuple[int, ...] | None) -> dict[str, Tensor]:
    """A released state dict with tensors of other shapes, or without them (None)."""
    state = released_state_dict(64, 2)
    for key, shape in changes.items():
        key = key.replace("__", ".")
        if shape is None:
            del state[key]
        else:
            state[key] = torch.zeros(shape)
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        pytest.param({"epoch": 3}, "the state dict: holds no tensors; its entries are epoch", id="no tensors"),
        pytest.param(
            {"cls_token": torch.zeros(1, 1, 384), "blocks.0.attn.qkv.weight": torch.zeros(1152, 384)},
            r"plain vision transformer.*init_backbone: it has cls_token \(1, 1, 384\)",
            id="timm",
        ),
        pytest.param({"image_encoder.class_embedding": torch.zeros(768)}, "a CLIP-ReID model", id="CLIP-ReID"),
        pytest.param(
            {"base.cls_token": torch.zeros(1, 1, 384), "base.patch_embed.conv.0.weight": torch.zeros(64, 3, 7, 7)},
            "a TransReID-SSL model with a convolutional stem",
            id="convolutional stem",
        ),
        pytest.param({"base.layers.0.weight": torch.zeros(3)}, r"lacks base.cls_token.*has base.layers.0", id="?"),
        pytest.param(changed(base__blocks__1__norm1__bias=None), "lacks base.blocks.1.norm1.bias", id="missing"),
        pytest.param(changed(base__extra=(3, 2)), r"also has base.extra \(3, 2\)", id="left over"),
        pytest.param(
            changed(base__norm__bias=(65,)), r"base.norm.bias \(65,\) instead of \(64,\)", id="another shape"
        ),
        pytest.param(
            released_state_dict(80, 2), "width of 80 does not determine the number of attention heads", id="80"
        ),
    ],
)
def test_other_state_dicts_are_refused(state: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_transreid(state)


def test_heads_may_be_given() -> None:
    assert load_transreid(released_state_dict(80, 2), heads=5).config.heads == 5


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_unreadable_files(tmp_path: Path, models: dict[str, TransReID]) -> None:
    with pytest.raises(InputError, match=r"there is no weights file .*absent\.pth"):
        load_transreid(tmp_path / "absent.pth")

    torch.save({"model": Evil(tmp_path / "touched")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil\.pth is not a PyTorch file of tensors alone"):
        load_transreid(tmp_path / "evil.pth")
    assert not (tmp_path / "touched").exists()

    torch.save(released_of(models["plain"]), tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.pth cannot be read"):
        load_transreid(tmp_path / "cut.pth")

    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(InputError, match=r"cut\.safetensors is not a readable safetensors file"):
        load_transreid(tmp_path / "cut.safetensors")

    (tmp_path / "list.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"list\.pth cannot be read"):
        load_transreid(tmp_path / "list.pth")

    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list\.pth holds a list instead of a state dict"):
        load_transreid(tmp_path / "list.pth")


def test_a_checkpoint_of_this_project_is_pointed_to_its_own_loader(tmp_path: Path) -> None:
    """Its unknown row would otherwise pass for one camera more."""
    path = tmp_path / "own.safetensors"
    save_checkpoint(path, TransReID(replace(SMALL, unknown_row=True)), camera_names=list("abcdef"))
    with pytest.raises(InputError, match=r"load it with reid\.checkpoints\.load_checkpoint"):
        load_transreid(path)


def test_evil_would_have_run(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Evil(tmp_path / "touched")))
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("field", "option", "value", "reported"),
    [
        ("rearrange", "rearrange", False, "in their order (RE_ARRANGE False; shift and groups have no effect)"),
        ("groups", "shuffle_groups", 3, "in 3 groups (SHUFFLE_GROUP 3)"),
        ("divide_length", "divide_length", 8, "1/8 of the patches each (DEVIDE_LENGTH 8)"),
        ("shift", "shift", 8, "assumed 8 as the shift"),
    ],
)
def test_settings_of_the_jigsaw_that_shapes_do_not_tell_are_arguments(
    models: dict[str, TransReID], field: str, option: str, value: int, reported: str
) -> None:
    changed = TransReID.uninitialised(replace(JIGSAW, **{field: value})).eval()  # type: ignore[arg-type]
    changed.load_state_dict(models["jigsaw"].state_dict())
    loaded = load_transreid(released_of(models["jigsaw"]), **{option: value})  # type: ignore[arg-type]
    assert torch.equal(infer(loaded), infer(changed))
    # The setting changes the local features, and not the global one.
    difference = (infer(loaded) - infer(models["jigsaw"])).abs()
    assert difference[:, : SMALL.width].max() == 0
    assert difference[:, SMALL.width :].max() > 0
    assert reported in " | ".join(loaded.loading_report)


def test_the_report_says_what_was_assumed_of_the_jigsaw(models: dict[str, TransReID]) -> None:
    report = " | ".join(load_transreid(released_of(models["jigsaw"])).loading_report)
    for setting in ("assumed 5 as the shift", "RE_ARRANGE True", "SHUFFLE_GROUP 2", "DEVIDE_LENGTH 4"):
        assert setting in report
    assert "jigsaw" not in " | ".join(load_transreid(released_of(models["plain"])).loading_report)
    unused = load_transreid(released_of(models["plain"]), shift=8, rearrange=False).loading_report
    assert any("settings of the jigsaw have no effect" in line for line in unused)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"divide_length": 3}, "divide_length 3 leaves no patches for some of the 4 parts"),
        ({"divide_length": 500}, "210 patches cannot be cut into 500 parts"),
        ({"shuffle_groups": 0}, "groups must be at least 1, but is 0"),
    ],
)
def test_settings_of_the_jigsaw_that_cannot_be(
    models: dict[str, TransReID], options: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_transreid(released_of(models["jigsaw"]), **options)  # type: ignore[arg-type]
