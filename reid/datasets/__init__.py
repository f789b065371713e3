"""Re-identification data sets on disk: one layout per module, opened through `read_dataset`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.errors import InputError
from reid.datasets.base import Crop, CropSet, ReidDataset, camera_indices, hold_out_identities
from reid.datasets.images import read_rgb
from reid.datasets.market1501 import TRAIN_FOLDER, read_market1501
from reid.datasets.plain_folder import read_plain_folder

__all__ = [
    "LAYOUTS",
    "Crop",
    "CropSet",
    "ReidDataset",
    "camera_indices",
    "hold_out_identities",
    "read_dataset",
    "read_rgb",
]

LAYOUTS: Mapping[str, Callable[[Path], ReidDataset]] = MappingProxyType(
    {"plain": read_plain_folder, "market1501": read_market1501}
)


def read_dataset(path: Path, layout: str = "auto") -> ReidDataset:
    """Read the data set at `path`.

    Args:
        path: its folder.
        layout: a key of `LAYOUTS`, or "auto": Market-1501 where the folder bounding_box_train exists, else plain.

    Raises:
        InputError: the folder does not exist or does not have that layout.
    """
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder of person crops, but there is no such folder")
    if layout == "auto":
        layout = "market1501" if (path / TRAIN_FOLDER).is_dir() else "plain"
    if layout not in LAYOUTS:
        raise InputError(f"unknown data set layout {layout!r}; known: auto, {', '.join(LAYOUTS)}")
    return LAYOUTS[layout](path)
