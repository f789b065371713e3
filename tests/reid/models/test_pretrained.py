"""Starting from classification and self-supervised vision transformers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.core.errors import InputError
from reid.models.position_embedding import resize_position_embedding
from reid.models.pretrained import init_backbone
from reid.models.transreid import TransReID, TransReIDConfig, architecture

TINY = TransReIDConfig(width=16, depth=3, heads=2, cameras=2)  # 256x128: 16 x 8 patches


def timm_state_dict(side: int = 14, *, depth: int = 3, distilled: bool = False) -> dict[str, Tensor]:
    """A state dict with timm's names for `TINY`'s backbone, trained on side x side patches."""
    torch.manual_seed(1)
    image_size = (16 * side, 16 * side)
    base = TransReID(replace(TINY, depth=depth, cameras=0, image_size=image_size)).base
    state = {key: value.detach().clone() for key, value in base.state_dict().items()}
    state |= {"head.weight": torch.zeros(1000, 16), "head.bias": torch.zeros(1000)}
    if distilled:
        state["dist_token"] = torch.full((1, 1, 16), 9.0)
        state["head_dist.weight"] = torch.zeros(1000, 16)
        position = state["pos_embed"]
        state["pos_embed"] = torch.cat([position[:, :1], torch.full((1, 1, 16), 9.0), position[:, 1:]], dim=1)
    return state


def test_every_tensor_of_the_backbone_is_taken() -> None:
    model, source = TransReID(TINY), timm_state_dict()
    sie = model.base.sie_embed.detach().clone()
    report = init_backbone(model, source)
    own = model.base.state_dict()
    for key, value in source.items():
        if key == "pos_embed":
            assert torch.equal(own[key], resize_position_embedding(value, (14, 14), (16, 8)))
        elif not key.startswith("head"):
            assert torch.equal(own[key], value), key
    assert torch.equal(own["sie_embed"], sie)
    assert report == [
        "skipped head.weight, head.bias",
        "resized the position embedding from 14x14 to 16x8 patches",
        "copied 42 tensors of 3 blocks of width 16",
    ]


def test_the_distillation_token_is_dropped() -> None:
    plain, distilled = TransReID(TINY), TransReID(TINY)
    init_backbone(plain, timm_state_dict())
    report = init_backbone(distilled, timm_state_dict(distilled=True))
    assert torch.equal(plain.base.pos_embed, distilled.base.pos_embed)
    assert "dropped the distillation token's position embedding" in report


def test_with_the_jigsaw_both_branches_start_as_the_last_block() -> None:
    model, source = TransReID(replace(TINY, jpm=True)), timm_state_dict()
    report = init_backbone(model, source)
    own = model.state_dict()
    for branch in ("b1", "b2"):
        assert torch.equal(own[f"{branch}.0.mlp.fc1.weight"], source["blocks.2.mlp.fc1.weight"])
        assert torch.equal(own[f"{branch}.1.weight"], source["norm.weight"])
    assert torch.equal(own["base.blocks.1.mlp.fc1.weight"], source["blocks.1.mlp.fc1.weight"])
    assert report[-1] == "copied the last block and the final norm into b1 and b2"


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda s: {"model": s, "epoch": 1}, id="DeiT"),
        pytest.param(
            lambda s: {"student": {}, "teacher": {f"module.backbone.{k}": v for k, v in s.items()}}, id="DINO"
        ),
    ],
)
def test_wrapped_state_dicts(wrap: Any) -> None:
    model, source = TransReID(TINY), timm_state_dict()
    init_backbone(model, wrap(source))
    assert torch.equal(model.base.cls_token, source["cls_token"])


def test_a_grid_that_is_the_models_own_is_kept() -> None:
    source = timm_state_dict()
    source["pos_embed"] = torch.randn(1, 129, 16)  # 16 x 8, as after training on persons
    model = TransReID(TINY)
    report = init_backbone(model, source)
    assert torch.equal(model.base.pos_embed, source["pos_embed"])
    assert not any("resized" in line for line in report)


def test_a_fixed_position_embedding_stays() -> None:
    model = TransReID(replace(TINY, position_embedding="sincos"))
    before = model.base.pos_embed.clone()
    assert "left out the position embedding: the model has a fixed one" in init_backbone(model, timm_state_dict())
    assert torch.equal(model.base.pos_embed, before)


def changed(key: str, value: Tensor | None) -> dict[str, Tensor]:
    state = timm_state_dict()
    if value is None:
        del state[key]
    else:
        state[key] = value
    return state


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param({"conv1.weight": torch.zeros(3)}, "not a vision transformer in timm's layout", id="network"),
        pytest.param(timm_state_dict(depth=4), "unknown tensors blocks.3.attn.proj.bias", id="a block too many"),
        pytest.param(timm_state_dict(depth=2), "no weights for base.blocks.2.attn.proj", id="a block too few"),
        pytest.param(changed("blocks.0.ls1.gamma", torch.ones(16)), "unknown tensors blocks.0", id="layer scale"),
        pytest.param(
            changed("patch_embed.proj.weight", torch.zeros(16, 3, 14, 14)),
            r"patch_embed.proj.weight \(16, 3, 14, 14\) instead of \(16, 3, 16, 16\)",
            id="patches of 14 pixels",
        ),
        pytest.param(
            changed("pos_embed", torch.zeros(1, 91, 16)),
            "the 90 position embeddings are neither a square grid nor the model's 16x8 grid",
            id="a grid that cannot be told",
        ),
    ],
)
def test_other_weights_are_refused_and_the_model_stays(source: dict[str, Tensor], message: str) -> None:
    model = TransReID(TINY)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        init_backbone(model, source)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_real_weights() -> None:
    if "MTMC_DATA" not in os.environ:
        pytest.skip("MTMC_DATA is not set")
    path = Path(os.environ["MTMC_DATA"]) / "weights" / "vit_small_patch16_224_pretrained_fp16.safetensors"
    model = TransReID.uninitialised(replace(architecture("vit_small"), jpm=True, stride=12))
    report = init_backbone(model, path)
    assert "resized the position embedding from 14x14 to 21x10 patches" in report
    assert "copied 150 tensors of 12 blocks of width 384" in report
