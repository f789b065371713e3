"""Averages the weights of models that began from the same start.

A model that is trained on a few places gains there and loses some of what its start knew about all others. The average
of start and result keeps both (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022; several results:
"Model soups", ICML 2022).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.start import IDENTITIES_OF_SETS_KEY, learned_identities

#: In the card of an average: the hash and the share of each model.
PARTS_KEY = "average_of"
_TABLE = "base.sie_embed"
# Models may differ in these: camera tables are joined, classifiers are left out, drop path is for training only.
_FREE = {"cameras": 0, "unknown_row": False, "num_classes": 0, "drop_path": 0.0, "sie_coefficient": 0.0}


def average(
    models: Sequence[LoadedModel], shares: Sequence[float]
) -> tuple[TransReID, tuple[str, ...], dict[str, Any]]:
    """Return the weighted mean of the weights, without classifiers.

    The camera table of the result has the cameras of all models. A model that does not know a camera contributes its
    row for unknown cameras to it, or else the mean of its rows; a model without a table contributes zero.

    Args:
        models: at least one, of the same architecture, image size and input normalisation.
        shares: one positive number for each model; their sum is 1.

    Returns:
        The model, the names of its cameras, and its card: the parts with their shares, and the digests of the people
        whom any of them was trained on (several of a data set, if the models learned different people of it).

    Raises:
        InputError: the models cannot be averaged, or a share is wrong; the message says why.
    """
    if len(models) != len(shares) or not models:
        raise InputError(f"{len(models)} models need as many shares, but there are {len(shares)}")
    if min(shares) <= 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        raise InputError(f"shares must be above 0 with the sum 1, but are {', '.join(f'{x:g}' for x in shares)}")
    if any(model.model.config.views > 1 for model in models):
        raise InputError("models with viewpoints cannot be averaged")
    first = models[0]
    for number, other in enumerate(models[1:], start=2):
        _check_alike(first, other, number)
    names = tuple(dict.fromkeys(name for model in models for name in model.camera_names))
    tables = [model.model.config for model in models if model.model.config.sie_rows]
    config = replace(
        first.model.config,
        cameras=len(names),
        unknown_row=any(each.unknown_row for each in tables),
        num_classes=0,
        drop_path=0.0,
        sie_coefficient=tables[0].sie_coefficient if tables else first.model.config.sie_coefficient,
    )
    result = TransReID.uninitialised(config)
    states = [model.model.state_dict() for model in models]
    state = {key: _mean([each[key] for each in states], shares) for key in result.state_dict() if key != _TABLE}
    if config.sie_rows:
        state[_TABLE] = _mean([_table(model, names, config.unknown_row) for model in models], shares)
    result.load_state_dict(state)
    result.neck_feature = first.model.neck_feature
    return result.eval(), names, _card(models, shares)


def _check_alike(first: LoadedModel, other: LoadedModel, number: int) -> None:
    ours, theirs = (_compared(model.model.config) for model in (first, other))
    differ = [name for name in ours if ours[name] != theirs[name]]
    for name in ("input_mean", "input_std"):
        if getattr(first, name) != getattr(other, name):
            differ.append(name)
    if first.model.neck_feature != other.model.neck_feature:
        differ.append("neck_feature")
    tables = {model.model.config.sie_coefficient for model in (first, other) if model.model.config.sie_rows}
    if len(tables) > 1:
        differ.append("sie_coefficient")
    if differ:
        raise InputError(f"model {number} differs from the first in {', '.join(differ)}: they cannot be averaged")


def _compared(config: TransReIDConfig) -> dict[str, Any]:
    return {**asdict(config), **_FREE}


def _mean(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor, share in zip(tensors, shares, strict=True):
        total += share * tensor.double()
    return total.to(tensors[0].dtype)


def _table(loaded: LoadedModel, names: Sequence[str], with_unknown: bool) -> Tensor:
    """Return the rows (C, 1, D) of a model for these cameras, and for unknown ones after them if wanted."""
    config = loaded.model.config
    count = len(names) + with_unknown
    if not config.sie_rows:
        return torch.zeros(count, 1, config.width)
    rows = loaded.model.base.sie_embed.detach()
    otherwise = rows[-1] if config.unknown_row else rows.mean(dim=0)
    own: Mapping[str, Tensor] = dict(zip(loaded.camera_names, rows, strict=False))
    found = [own.get(name, otherwise) for name in names]
    return torch.stack(found + [otherwise] * with_unknown)


def _card(models: Sequence[LoadedModel], shares: Sequence[float]) -> dict[str, Any]:
    digests: dict[str, list[str]] = {}
    for model in models:
        for name, of_model in learned_identities(model.card).items():
            known = digests.setdefault(name, [])
            known.extend(digest for digest in of_model if digest not in known)
    parts = [{"model_hash": model.model_hash, "share": share} for model, share in zip(models, shares, strict=True)]
    learned = {name: of_set[0] if len(of_set) == 1 else of_set for name, of_set in digests.items()}
    return {PARTS_KEY: parts} | ({IDENTITIES_OF_SETS_KEY: learned} if learned else {})
