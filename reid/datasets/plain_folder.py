"""A folder of crops named `PPPP_cC_KK.jpg`: person id, camera number, running number."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.core.errors import InputError
from reid.datasets.base import Crop, CropSet, ReidDataset
from reid.datasets.folders import content
from reid.datasets.images import IMAGE_SUFFIXES, image_files

_NAME = re.compile(r"(?P<person>\d+)_c(?P<camera>\d+)_(?P<number>\d+)")
_EXPECTED = "names like 0001_c2_03.jpg (person id, camera number, running number)"


def read_plain_folder(folder: Path) -> ReidDataset:
    """Read a plain folder. Train, query and gallery are all its crops.

    Files that are not images are skipped. Cameras are called c1, c2, ... as in the file names.

    Raises:
        InputError: the folder has no image, or the name of an image does not match.
    """
    crops = []
    for path in image_files(folder):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise InputError(f"{folder}: expected {_EXPECTED}, but found {path.name}; rename or remove it")
        crops.append(Crop(path, int(match["person"]), f"c{int(match['camera'])}"))
    if not crops:
        raise InputError(
            f"{folder}: expected crops ({', '.join(IMAGE_SUFFIXES)}) with {_EXPECTED}, but found no image; "
            f"it holds {content(folder)}"
        )
    crop_set = CropSet.of(crops)
    return ReidDataset(train=crop_set, query=crop_set, gallery=crop_set)
