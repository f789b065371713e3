"""Choice of the SIE rows that an evaluation uses for the crops of each camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from torch import Tensor

from pipeline.core.errors import InputError
from reid.checkpoints import LoadedModel
from reid.models.transreid import TransReID, TransReIDConfig


class CameraRows(StrEnum):
    """The SIE row that is added to the tokens of a crop."""

    OWN = "own"  #: the row of the crop's camera; for a camera that the model does not know, UNKNOWN or else MEAN
    UNKNOWN = "unknown"  #: the row that was trained for unknown cameras
    MEAN = "mean"  #: the mean of the rows of all cameras of the training
    WRONG = "wrong"  #: the row of the camera after its own; unknown cameras get the rows of the table in turn
    NONE = "none"  #: no row


def with_camera_rows(loaded: LoadedModel, choice: CameraRows, cameras: Sequence[str]) -> LoadedModel:
    """Return the model with a camera table that gives each of `cameras` the row of `choice`.

    A table of cameras and viewpoints keeps its viewpoints: each camera then has one row per viewpoint.

    Args:
        loaded: is not changed.
        cameras: names of the cameras of the evaluation.

    Raises:
        InputError: the checkpoint does not have these rows; the message says why.
    """
    config = loaded.model.config
    if choice is CameraRows.OWN or (choice is CameraRows.NONE and not config.sie_rows):
        return loaded
    if choice is CameraRows.NONE:
        return replace(loaded, model=_with_state(loaded, replace(config, sie_coefficient=0.0), None))
    if not config.cameras:
        raise InputError(
            f"--rows {choice} is impossible with this checkpoint: it was trained without a table of cameras; use "
            f"--rows {CameraRows.NONE}"
        )
    if choice is CameraRows.UNKNOWN and not config.unknown_row:
        raise InputError(
            f"--rows {choice} is impossible with this checkpoint: it was trained without a row for unknown "
            f"cameras; use --rows {CameraRows.MEAN}"
        )
    if choice is CameraRows.WRONG and config.cameras == 1 and set(cameras) & set(loaded.camera_names):
        raise InputError(f"--rows {choice} is impossible with this checkpoint: its table has only one camera")
    table = loaded.model.base.sie_embed.detach()
    views = max(config.views, 1)
    own = table[: config.cameras * views].reshape(config.cameras, views, config.width)
    if choice is CameraRows.WRONG:
        rows = own[_wrong_rows(loaded.camera_names, cameras)]
    elif choice is CameraRows.MEAN:
        rows = own.mean(dim=0).expand(len(cameras), -1, -1)
    else:
        rows = table[-1].expand(len(cameras), views, -1)
    model = _with_state(
        loaded, replace(config, cameras=len(cameras), unknown_row=False), rows.reshape(-1, 1, config.width)
    )
    return replace(loaded, model=model, camera_names=tuple(cameras))


def _wrong_rows(known: Sequence[str], cameras: Sequence[str]) -> list[int]:
    """Return for each camera a row of `known` that is not its own."""
    rows = []
    strangers = 0
    for camera in cameras:
        if camera in known:
            rows.append((known.index(camera) + 1) % len(known))
        else:
            rows.append(strangers % len(known))
            strangers += 1
    return rows


def _with_state(loaded: LoadedModel, config: TransReIDConfig, table: Tensor | None) -> TransReID:
    """Return the loaded tensors in a model with another configuration and, if one is given, another camera table."""
    model = TransReID.uninitialised(config)
    state = dict(loaded.model.state_dict())
    if table is not None:
        state["base.sie_embed"] = table
    model.load_state_dict(state)
    model.neck_feature = loaded.model.neck_feature
    return model.eval()
