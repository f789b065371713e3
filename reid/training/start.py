"""The weights that training starts from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import timm
import torch
from torch import Tensor, nn

from pipeline.core.errors import InputError
from reid.checkpoint_file import OWN_FORMAT_KEY
from reid.checkpoints import load_checkpoint
from reid.model_header import UNKNOWN
from reid.models.branches import names_with_jigsaw, names_without_jigsaw
from reid.models.loading import VIEWS_IN_USE, load_transreid
from reid.models.position_embedding import resize_position_embedding
from reid.models.pretrained import init_backbone
from reid.models.sie import side_information
from reid.models.state_dict import errors_naming, read_state_dict, shorten
from reid.models.transreid import TransReID, TransReIDConfig
from reid.safetensors_file import read_metadata
from reid.training.data import ONLY_SET

STANDARDISATION_CROPS = 512
TIMM_PREFIX = "timm:"
IDENTITIES_KEY = "identities_digest"  # in a checkpoint's card: digest of the identities of its classifiers' rows
#: In a checkpoint's card: data set -> digest of the identities of the training; a list of them in an average of
#: trainings on different people.
IDENTITIES_OF_SETS_KEY = "identities_digests"

_SAME = ("width", "heads", "mlp_ratio", "qkv_bias", "patch", "position_embedding")


@dataclass(frozen=True)
class RowNames:
    """Names of the rows of a model.

    Attributes:
        cameras, views: rows of the side information table.
        identities: digest of the classifiers' identities (`reid.datasets.identities_digest`); "" if unknown.
    """

    cameras: Sequence[str] = ()
    views: Sequence[str] = ()
    identities: str = ""


def start_from(
    model: TransReID,
    source: str | Path,
    names: RowNames,
    *,
    new_side_information: Literal["zero", "random"] = "zero",
) -> list[str]:
    """Initialise `model` from trained weights.

    Args:
        model: changed in place.
        source: a checkpoint of this project or of the authors of TransReID, or a backbone. A backbone is a file in
            timm's, DeiT's or DINO's layout, or "timm:NAME", which timm downloads. Heads and side information of a
            checkpoint are used as far as they match `names`. A shallower model uses some of its blocks
            (`evenly_spread_blocks`).
        names: names of the model's rows. The authors' cameras count as c1, c2, ..., their viewpoints as v0, v1, ...
        new_side_information: initial values of a table for which the source has none.

    Returns:
        What was copied, resized, mapped and left out, one sentence each.

    Raises:
        InputError: the file is missing or damaged, the download failed, or the weights have another architecture or
            fewer blocks.
    """
    if str(source).startswith(TIMM_PREFIX):
        report = init_backbone(model, _timm_weights(str(source).removeprefix(TIMM_PREFIX)))
    elif is_own_checkpoint(source):
        loaded = load_checkpoint(source)
        of_source = RowNames(loaded.camera_names, loaded.view_names, str(loaded.card.get(IDENTITIES_KEY, "")))
        with errors_naming(source):
            return _from_transreid(model, loaded.model, names, of_source, new_side_information)
    else:
        state = read_state_dict(source)
        if _is_official(state):
            with errors_naming(source):
                return _from_official(model, state, names, new_side_information)
        report = init_backbone(model, source)
    if model.config.sie_rows:
        report.append(_begin_side_information(model, new_side_information))
    return report


def learned_identities(card: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the digests of the training identities by data set, as the card of a checkpoint states them; a single data
    set is `ONLY_SET`. There is one digest, or in an average of trainings on different people one for each of these."""
    if IDENTITIES_OF_SETS_KEY not in card:
        return {ONLY_SET: (str(card[IDENTITIES_KEY]),)} if IDENTITIES_KEY in card else {}
    digests: Mapping[str, str | list[str]] = card[IDENTITIES_OF_SETS_KEY]
    return {
        str(name): tuple(map(str, value if isinstance(value, list) else [value]))
        for name, value in digests.items()
    }


def is_own_checkpoint(source: str | Path) -> bool:
    """Return whether `source` is a checkpoint of this project."""
    return not str(source).startswith(TIMM_PREFIX) and OWN_FORMAT_KEY in read_metadata(Path(source))


def is_backbone(source: str | Path) -> bool:
    """Return whether `source` is a backbone that was not trained for re-identification."""
    if str(source).startswith(TIMM_PREFIX):
        return True
    return not is_own_checkpoint(source) and not _is_official(read_state_dict(source))


def _is_official(state: dict[str, Tensor]) -> bool:
    return "base.cls_token" in state


def _timm_weights(name: str) -> dict[str, Any]:
    """Return timm's pretrained weights `name`, downloaded or from its cache."""
    if not timm.is_model(name.split(".")[0]):
        similar = timm.list_models(f"*{name.split('_')[0]}*patch16_224*")
        raise InputError(f"timm has no model {name!r}; it has, among others, {shorten(similar)}")
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0)
    # timm, the client of the hub and its HTTP client each raise their own errors
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"timm cannot provide the pretrained weights of {name} ({type(error).__name__}: {reason}); on a machine "
            "without network, give --init a file that was downloaded elsewhere"
        ) from error
    return dict(network.state_dict())


def _from_official(
    model: TransReID, state: dict[str, Tensor], names: RowNames, new_side_information: Literal["zero", "random"]
) -> list[str]:
    config = model.config
    views = config.views if config.views > 1 else None
    rows = state["base.sie_embed"].shape[0] if "base.sie_embed" in state else 0
    report = []
    if views is None and rows > VIEWS_IN_USE and rows % VIEWS_IN_USE == 0:
        del state["base.sie_embed"]
        report.append(f"left out {rows} rows of side information: unclear if per camera or per camera and view")
    elif views is not None and (rows <= views or rows % views):
        views = None
    source = load_transreid(
        state,
        image_size=config.image_size,
        stride=config.stride,
        views=views if rows else None,
        heads=config.heads,
        shift=config.shift,
    )
    of_source = RowNames(
        cameras=[f"c{row + 1}" for row in range(source.config.cameras)],
        views=[f"v{row}" for row in range(source.config.views)],
    )
    report += source.loading_report
    return report + _from_transreid(model, source, names, of_source, new_side_information)


def _from_transreid(
    model: TransReID,
    source: TransReID,
    names: RowNames,
    of_source: RowNames,
    new_side_information: Literal["zero", "random"],
) -> list[str]:
    ours, theirs = model.config, source.config
    _check_architecture(ours, theirs)
    report = []
    state = source.state_dict()
    table = state.pop("base.sie_embed", None)
    if ours.grid_hw != theirs.grid_hw and "base.pos_embed" in state:
        state["base.pos_embed"] = resize_position_embedding(state["base.pos_embed"], theirs.grid_hw, ours.grid_hw)
        old, new = theirs.grid_hw, ours.grid_hw
        report.append(f"resized the position embedding from {old[0]}x{old[1]} to {new[0]}x{new[1]} patches")
    if ours.depth < theirs.depth:
        kept = evenly_spread_blocks(theirs.depth, ours.depth)
        state = _thinned(state, kept)
        report.append(
            f"copied {len(kept)} of {theirs.depth} blocks: {', '.join(str(block + 1) for block in kept)}"
        )
    if ours.jpm != theirs.jpm:
        renamed = names_with_jigsaw if ours.jpm else names_without_jigsaw
        state = {new: value for name, value in state.items() for new in renamed(name, ours.depth)}
        report.append("copied the last block and the final norm " + ("into b1 and b2" if ours.jpm else "from b1"))
    if theirs.num_classes or ours.num_classes:
        same_number = theirs.num_classes == ours.num_classes
        report += _fit_classifiers(state, names.identities, of_source.identities, same_number=same_number)
    own = model.state_dict()
    unfit = [name for name in state if name in own and own[name].shape != state[name].shape]
    if unfit:
        raise InputError(f"the weights are of another architecture: {shorten(sorted(unfit))} have other shapes")
    taken = [name for name in own if name in state]
    with torch.no_grad():
        for name in taken:
            own[name].copy_(state[name])
    report.append(f"copied {len(taken)} tensors")
    fresh = sorted(own.keys() - set(taken) - {"base.sie_embed"})
    if fresh:
        report.append(f"newly initialised: {shorten(fresh, 12)}")
    if ours.sie_rows and table is not None:
        report.append(_map_side_information(model, source, names, of_source))
    elif ours.sie_rows:
        report.append(_begin_side_information(model, new_side_information))
    elif table is not None:
        report.append("left out the side information, which the configuration switches off")
    return report


def _check_architecture(ours: TransReIDConfig, theirs: TransReIDConfig) -> None:
    differing = [name for name in _SAME if getattr(ours, name) != getattr(theirs, name)]
    if ours.depth > theirs.depth:
        differing.append("depth")
    if differing:
        values = ", ".join(
            f"{name} {getattr(theirs, name)} instead of {getattr(ours, name)}" for name in differing
        )
        raise InputError(f"the weights are of another architecture: {values}")


def evenly_spread_blocks(depth: int, count: int) -> list[int]:
    """Return indices, from 0, of `count` of `depth` blocks, including the last and, if `count` is above 1, the first.

    A transformer with some of the blocks of another one is a good start for distillation from it (Sanh et al.,
    DistilBERT, 2019).
    """
    return [round(block) for block in np.linspace(depth - 1, 0, count)[::-1].tolist()]


def _thinned(state: dict[str, Tensor], kept: Sequence[int]) -> dict[str, Tensor]:
    """Return the state dict of a model with only the blocks `kept`; with the jigsaw, `b1` and `b2` are the last one."""
    index_of = {block: index for index, block in enumerate(kept)}
    result = {}
    for name, value in state.items():
        block = re.match(r"base\.blocks\.(\d+)\.", name)
        if not block:
            result[name] = value
        elif int(block[1]) in index_of:
            result[f"base.blocks.{index_of[int(block[1])]}.{name[block.end() :]}"] = value
    return result


def _fit_classifiers(state: dict[str, Tensor], identities: str, of_source: str, *, same_number: bool) -> list[str]:
    """Remove the classifiers from `state` unless they are for the same identities; return what was done."""
    classifiers = [name for name in state if name.startswith("classifier")]
    if not classifiers:
        return []
    if of_source and identities == of_source:
        return ["kept the classifiers: the identities are the same"]
    if not of_source and same_number:
        return ["kept the classifiers: the number of identities is the same, but the weights do not name them"]
    for name in classifiers:
        del state[name]
    return ["left out the classifiers, which are for other identities"]


def _map_side_information(model: TransReID, source: TransReID, names: RowNames, of_source: RowNames) -> str:
    """Fill the model's table by the names of cameras and views. A name that the source does not have gets the source's
    values for an unknown camera or view."""
    ours, theirs = model.config, source.config
    cameras: Sequence[str | None] = names.cameras if ours.cameras else [None]
    views: Sequence[str | None] = names.views if ours.views > 1 else [None]
    wanted: list[tuple[str | None, str | None]] = [(camera, view) for camera in cameras for view in views]
    if ours.unknown_row:
        wanted.append((None, None))
    camera_row = {name: row for row, name in enumerate(of_source.cameras)}
    view_row = {name: row for row, name in enumerate(of_source.views)}
    with torch.no_grad():
        rows = side_information(
            source.base.sie_embed,
            torch.tensor([camera_row.get(camera or "", UNKNOWN) for camera, _ in wanted]),
            torch.tensor([view_row.get(view or "", UNKNOWN) for _, view in wanted]),
            camera_count=theirs.cameras,
            view_count=theirs.views,
            batch=len(wanted),
        )
        model.base.sie_embed.copy_(rows * (theirs.sie_coefficient / ours.sie_coefficient))
    known = [name for name in cameras if name in camera_row]
    unknown = [name for name in cameras if name is not None and name not in camera_row]
    parts = []
    if known:
        parts.append(f"of {', '.join(map(str, known))} by name")
    if unknown:
        parts.append(f"of {', '.join(map(str, unknown))} as of an unknown camera")
    return (
        f"copied the side information {'; '.join(parts)}" if parts else "copied the side information of viewpoints"
    )


def _begin_side_information(model: TransReID, how: Literal["zero", "random"]) -> str:
    if how == "zero":
        nn.init.zeros_(model.base.sie_embed)
        return "side information starts at zero"
    return "side information starts at random"


@torch.no_grad()
def standardise_features(model: TransReID, images: Tensor) -> None:
    """Set the final norms so that features of `images` (B, 3, H, W) have mean 0 and standard deviation 1 per channel.

    Data-dependent initialisation as in Kraehenbuehl et al., ICLR 2016. Cameras count as unknown. With the jigsaw, the
    local features share their norm and are standardised together.
    """
    was_training = model.training
    model.eval()
    overall, *local = model.features(images)
    heads: list[tuple[nn.Module, Tensor]] = [(model.base.norm, overall)]
    if local:
        heads = [(model.b1[1], overall), (model.b2[1], torch.cat(local))]
    for module, features in heads:
        norm = cast(nn.LayerNorm, module)
        deviation = features.std(0).clamp_min(1e-6)
        norm.weight.div_(deviation)
        norm.bias.sub_(features.mean(0)).div_(deviation)
    model.train(was_training)
