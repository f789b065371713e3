"""Side information embedding (SIE, TransReID section 3.3): a vector per camera, viewpoint, or both."""

from __future__ import annotations

import torch
from torch import Tensor

from reid.model_header import UNKNOWN


def check_index(name: str, index: Tensor, size: int) -> None:
    """Raise IndexError if an entry of `index` (B,) is neither UNKNOWN nor a row of a table of `size` rows.

    A traced or compiled graph cannot branch on values, so nothing is checked while one is recorded.
    """
    if torch.compiler.is_compiling():
        return
    wrong = index[(index < UNKNOWN) | (index >= size)]
    if len(wrong):
        raise IndexError(
            f"{name} index {int(wrong[0])} is outside the model's table of {size} {name}s: "
            f"give 0 to {size - 1}, or {UNKNOWN} for an unknown {name}"
        )


def side_information(
    table: Tensor,
    cameras: Tensor | None,
    views: Tensor | None,
    *,
    camera_count: int,
    view_count: int,
    batch: int,
) -> Tensor:
    """Return the rows of the side information table for a batch.

    An unknown camera gets the table's row for unknown cameras or, without one, the mean over the cameras. An unknown
    view gets the mean over the views.

    Args:
        table: (R, 1, D); row = camera * view_count + view, then possibly one row for unknown cameras.
        cameras: (B,) int64, UNKNOWN for unknown cameras; None if all are unknown.
        views: the same for the viewpoints; ignored if the table has fewer than two.
        camera_count: cameras of the table; 0 for a table of views only, and `cameras` is then ignored.
        view_count: views of the table; 0 or 1 for a table of cameras only.
        batch: B.

    Returns:
        (B, 1, D), to be added to every token.

    Raises:
        IndexError: an index is outside the table.
    """
    camera_rows, view_rows = max(camera_count, 1), max(view_count, 1)
    known = table[: camera_rows * view_rows].reshape(camera_rows, view_rows, -1)  # (C, V, D)
    known = torch.cat([known, known.mean(dim=1, keepdim=True)], dim=1)  # (C, V + 1, D)
    unknown = table[camera_rows * view_rows :, 0]  # (0 or 1, D)
    mean = known.mean(dim=0, keepdim=True)  # (1, V + 1, D)
    any_camera = unknown.unsqueeze(1).expand_as(mean) if len(unknown) else mean
    rows = torch.cat([known, any_camera]).flatten(0, 1)  # ((C + 1) * (V + 1), D)

    camera_index = _index("camera", cameras, camera_count, batch, table.device)
    view_index = _index("view", views, view_count if view_count > 1 else 0, batch, table.device)
    return rows[camera_index * (view_rows + 1) + view_index].unsqueeze(1)


def _index(name: str, index: Tensor | None, count: int, batch: int, device: torch.device) -> Tensor:
    """Return (B,) positions along one axis of the table; UNKNOWN becomes the position after the last."""
    if count == 0:
        return torch.zeros(batch, dtype=torch.int64, device=device)
    if index is None:
        return torch.full((batch,), count, dtype=torch.int64, device=device)
    check_index(name, index, count)
    index = index.to(device)
    return torch.where(index == UNKNOWN, count, index)
