"""Re-identification data sets on disk: one layout per module, opened through `read_dataset`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from pipeline.core.errors import InputError
from reid.datasets import market1501, msmt17, vehicleid, veri776
from reid.datasets.base import (
    Crop,
    CropSet,
    ReidDataset,
    camera_indices,
    hold_out_identities,
    identities_digest,
    view_indices,
)
from reid.datasets.images import read_rgb, unreadable_images
from reid.datasets.market1501 import (
    looks_like_market1501_crops,
    read_cuhk03_detected,
    read_cuhk03_labeled,
    read_market1501,
    read_market1501_crops,
)
from reid.datasets.msmt17 import read_msmt17
from reid.datasets.plain_folder import read_plain_folder
from reid.datasets.vehicleid import read_vehicleid
from reid.datasets.veri776 import read_veri776

__all__ = [
    "LAYOUTS",
    "Crop",
    "CropSet",
    "ReidDataset",
    "camera_indices",
    "hold_out_identities",
    "identities_digest",
    "read_dataset",
    "read_rgb",
    "unreadable_images",
    "view_indices",
]

Reader = Callable[[Path], ReidDataset]

LAYOUTS: Mapping[str, Reader] = MappingProxyType(
    {
        "plain": read_plain_folder,
        "market1501": read_market1501,
        "market1501_crops": read_market1501_crops,
        "dukemtmcreid": read_market1501,
        "occluded_duke": read_market1501,
        "cuhk03_detected": read_cuhk03_detected,
        "cuhk03_labeled": read_cuhk03_labeled,
        "msmt17": read_msmt17,
        "veri776": read_veri776,
        "vehicleid": read_vehicleid,
    }
)

#: A file or folder that no other layout has.
_MARKS: Mapping[str, str] = MappingProxyType(
    {
        "market1501": market1501.TRAIN_FOLDER,
        "cuhk03_detected": f"{market1501.CUHK03_DETECTED}/{market1501.TRAIN_FOLDER}",
        "cuhk03_labeled": f"{market1501.CUHK03_LABELED}/{market1501.TRAIN_FOLDER}",
        "msmt17": msmt17.TRAIN_LIST,
        "veri776": veri776.TRAIN_FOLDER,
        "vehicleid": vehicleid.LIST_FOLDER,
    }
)


def read_dataset(path: Path, layout: str = "auto") -> ReidDataset:
    """Read the data set at `path`.

    Args:
        path: its folder.
        layout: a key of `LAYOUTS`, or "auto", which detects the layout by the names of folders and lists and is
            "plain" if it finds none of them. "vehicleid:1600" uses VehicleID's test list of 1600 vehicles, not of 800.

    Raises:
        InputError: the folder does not exist, does not have that layout, or matches several layouts.
    """
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder of crops, but there is no such folder")
    reader = _reader(detect_layout(path) if layout == "auto" else layout)
    return replace(reader(path), root=path)


def detect_layout(path: Path) -> str:
    """Return the layout of the folder `path`, "plain" if it matches no other.

    Raises:
        InputError: it matches several layouts.
    """
    found = [layout for layout, mark in _MARKS.items() if (path / mark).exists()]
    if len(found) > 1:
        marks = " and ".join(_MARKS[layout] for layout in found)
        raise InputError(
            f"{path}: holds {marks}; name the layout (--layout, for training data.layout): {' or '.join(found)}"
        )
    if found:
        return found[0]
    return "market1501_crops" if looks_like_market1501_crops(path) else "plain"


def _reader(layout: str) -> Reader:
    name, colon, test_ids = layout.partition(":")
    if name not in LAYOUTS:
        raise InputError(f"unknown data set layout {layout!r}; known: auto, {', '.join(LAYOUTS)}")
    if not colon:
        return LAYOUTS[name]
    if name != "vehicleid" or not test_ids.isdigit():
        raise InputError(
            f"unknown data set layout {layout!r}: only vehicleid takes a number, the number of vehicles in its test "
            "list, such as vehicleid:1600"
        )
    return partial(read_vehicleid, test_ids=int(test_ids))
