"""The model's outputs, shapes and gradients, on tiny ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.core.errors import InputError
from reid.models.jpm import part_token_ids
from reid.models.transreid import ARCHITECTURES, TransReID, TransReIDConfig, architecture

TINY = TransReIDConfig(width=32, depth=3, heads=4, image_size=(64, 32))
IMAGES = torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def infer(model: TransReID, *inputs: Tensor | None) -> Tensor:
    with torch.inference_mode():
        feature = model.eval()(*inputs)
    assert isinstance(feature, Tensor)
    return feature


@pytest.mark.parametrize(
    ("image_size", "stride", "grid", "tokens"),
    [
        ((256, 128), 16, (16, 8), 128),
        ((256, 128), 14, (18, 9), 162),
        ((256, 128), 12, (21, 10), 210),
        ((256, 128), 11, (22, 11), 242),
        ((384, 128), 16, (24, 8), 192),
        ((384, 128), 12, (31, 10), 310),
        ((256, 256), 16, (16, 16), 256),
        ((256, 256), 12, (21, 21), 441),
    ],
)
def test_patch_grid(image_size: tuple[int, int], stride: int, grid: tuple[int, int], tokens: int) -> None:
    config = replace(TINY, image_size=image_size, stride=stride)
    assert (config.grid_hw, config.tokens) == (grid, tokens)


@pytest.mark.parametrize(
    ("name", "million"),
    [("vit_base", 85.75), ("deit_small", 21.64), ("vit_small_8x768", 47.93), ("vit_tiny", 5.51)],
)
def test_parameters_of_the_named_backbones(name: str, million: float) -> None:
    with torch.device("meta"):
        base = TransReID(ARCHITECTURES[name]).base
    assert sum(p.numel() for p in base.parameters()) / 1e6 == pytest.approx(million, abs=0.02)


@pytest.mark.parametrize("stride", [16, 12, 13])  # 8, 15 (odd) and 8 patches
@pytest.mark.parametrize("width", [32, 48])
def test_jigsaw_parts_are_the_last_block_over_their_patches(width: int, stride: int) -> None:
    config = replace(TINY, width=width, jpm=True, shift=3, stride=stride)
    model = TransReID(config).eval()
    with torch.inference_mode():
        tokens = model.base(IMAGES)
        ids = part_token_ids(config.tokens, parts=4, shift=3, groups=2, rearrange=True)
        local = [model.b2(tokens[:, [0, *part]])[:, 0] / 4 for part in ids]
        expected = torch.cat([model.b1(tokens)[:, 0], *local], dim=1)
    assert config.feature_dim == 5 * width
    torch.testing.assert_close(infer(model, IMAGES), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("jpm", "heads"), [(False, 1), (True, 5)])
def test_training_outputs(jpm: bool, heads: int) -> None:
    model = TransReID(replace(TINY, jpm=jpm, shift=2, num_classes=7, drop_path=0.1)).train()
    logits, features = model(IMAGES)
    assert [tuple(x.shape) for x in logits] == [(3, 7)] * heads
    assert [tuple(x.shape) for x in features] == [(3, 32)] * heads
    # the features are those before the neck: classifying them after it gives the logits
    normed = (features[-1] - features[-1].mean(0)) / (features[-1].var(0, correction=0) + 1e-5).sqrt()
    classifier = model.get_submodule(model.head_names("classifier")[-1])
    torch.testing.assert_close(logits[-1], classifier(normed), atol=1e-5, rtol=1e-4)

    sum(x.sum() for x in (*logits, *features)).backward()
    untrained = [name for name, p in model.named_parameters() if p.grad is None]
    assert untrained == [f"{name}.bias" for name in model.head_names("bottleneck")]


def test_neck_feature() -> None:
    model = TransReID(TINY)
    bottleneck = model.get_submodule("bottleneck")
    assert isinstance(bottleneck, torch.nn.BatchNorm1d)
    bottleneck.weight.data.fill_(3.0)
    before = infer(model, IMAGES)
    model.neck_feature = "after"
    torch.testing.assert_close(infer(model, IMAGES), 3.0 * before / (1 + 1e-5) ** 0.5)


def test_drop_path_rises_linearly_and_is_off_in_evaluation() -> None:
    model = TransReID(replace(TINY, depth=5, drop_path=0.2, jpm=True, shift=2))
    branches = [model.get_submodule("b1.0"), model.get_submodule("b2.0")]
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for block in (*model.base.blocks, *branches)]
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2, 0.2])
    assert torch.equal(infer(model, IMAGES), infer(model, IMAGES))


def test_initialisation() -> None:
    model = TransReID(replace(TINY, width=64, jpm=True, shift=2, cameras=6, num_classes=100))
    state = model.state_dict()
    for key, std in {
        "base.blocks.0.mlp.fc1.weight": 0.02,
        "base.pos_embed": 0.02,
        "base.sie_embed": 0.02,
        "base.patch_embed.proj.weight": (2 / (16 * 16 * 64)) ** 0.5,
        "classifier_4.weight": 0.001,
    }.items():
        assert float(state[key].std()) == pytest.approx(std, rel=0.15), key
    assert not state["base.blocks.0.attn.qkv.bias"].any()
    assert all(torch.equal(value, state[f"b2{key[2:]}"]) for key, value in state.items() if key.startswith("b1."))


def test_the_fixed_position_embedding_is_no_weight() -> None:
    config = replace(TINY, position_embedding="sincos")
    model = TransReID(config)
    assert "base.pos_embed" not in model.state_dict()
    empty = TransReID.uninitialised(config)
    empty.load_state_dict(model.state_dict())
    assert torch.equal(infer(empty, IMAGES), infer(model, IMAGES))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, "width 32 is not divisible by 5 heads"),
        ({"image_size": (8, 32)}, "smaller than a patch of 16 pixels"),
        ({"jpm": True, "shift": 9}, "shift 9 is beyond the 8 patches"),
        ({"jpm": True, "shift": 1, "parts": 9}, "8 patches cannot be cut into 9 parts"),
        ({"unknown_row": True}, "unknown_row needs a camera table"),
        ({"cameras": -1}, "cameras must not be negative"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"drop_path": 1.0}, r"drop_path must be in \[0, 1\)"),
        ({"position_embedding": "rope"}, "position_embedding must be one of learned, sincos"),
        ({"position_embedding": "sincos", "width": 30, "heads": 2}, "needs a width divisible by 4"),
    ],
)
def test_impossible_configurations(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(TINY, **change)


def test_unknown_architecture() -> None:
    assert architecture("vit_small").width == 384
    with pytest.raises(InputError, match="unknown architecture 'vit_huge'; the known ones are vit_base"):
        architecture("vit_huge")


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match=r"takes images of \(height, width\) \(64, 32\), not \(32, 64\)"):
        infer(TransReID(TINY), IMAGES.transpose(2, 3))
    with pytest.raises(ValueError, match="without classifiers"):
        TransReID(TINY).train()(IMAGES)


EXPORTED = replace(TINY, jpm=True, shift=2, stride=12, cameras=3, views=2, unknown_row=True)  # 5 x 2 patches


def test_export_with_any_batch_size() -> None:
    model = TransReID(EXPORTED).eval()
    cameras, views = torch.tensor([0, -1, 2]), torch.tensor([1, 0, -1])
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        model,
        (IMAGES[:2], cameras[:2], views[:2]),
        dynamic_shapes={"images": {0: batch}, "cameras": {0: batch}, "views": {0: batch}},
    )
    torch.testing.assert_close(program.module()(IMAGES, cameras, views), infer(model, IMAGES, cameras, views))


@pytest.mark.filterwarnings("ignore:# The axis name. batch will not be used:UserWarning")  # both inputs share it
def test_onnx_export_with_any_batch_size() -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model = TransReID(EXPORTED).eval()
    cameras = torch.tensor([0, -1, 2])
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        model, (IMAGES[:2], cameras[:2]), dynamo=True, dynamic_shapes={"images": {0: batch}, "cameras": {0: batch}}
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (feature,) = session.run(None, {"images": IMAGES.numpy(), "cameras": cameras.numpy()})
    torch.testing.assert_close(torch.from_numpy(feature), infer(model, IMAGES, cameras), atol=1e-5, rtol=0)
