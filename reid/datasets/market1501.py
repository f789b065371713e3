"""Market-1501 (Zheng et al., Scalable Person Re-identification, ICCV 2015) and what copies its layout."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.errors import InputError
from reid.datasets.base import Crop, CropSet, ReidDataset
from reid.datasets.images import image_files

TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER = "bounding_box_train", "query", "bounding_box_test"

_NAME = re.compile(r"(?P<person>-?\d+)_c(?P<camera>\d+).*")
_EXPECTED = "names like 0002_c1s1_000451_03.jpg (person id, camera number)"


def read_market1501(root: Path) -> ReidDataset:
    """Read the folders bounding_box_train, query and bounding_box_test under `root`.

    Person id -1 marks junk boxes and is left out; person id 0 marks distractors, which stay in the gallery.

    Raises:
        InputError: a folder is missing or empty, or an image has another name.
    """
    missing = [name for name in (TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER) if not (root / name).is_dir()]
    if missing:
        raise InputError(
            f"{root}: expected the Market-1501 folders {TRAIN_FOLDER}, {QUERY_FOLDER} and {GALLERY_FOLDER}, "
            f"but {' and '.join(missing)} is missing; name the folder that holds all three"
        )
    return ReidDataset(
        train=_read(root / TRAIN_FOLDER),
        query=_read(root / QUERY_FOLDER),
        gallery=_read(root / GALLERY_FOLDER),
    )


def _read(folder: Path) -> CropSet:
    crops = []
    for path in image_files(folder):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise InputError(f"{folder}: expected {_EXPECTED}, but found {path.name}; rename or remove it")
        person_id = int(match["person"])
        if person_id >= 0:
            crops.append(Crop(path, person_id, f"c{int(match['camera'])}"))
    if not crops:
        raise InputError(f"{folder}: expected crops with {_EXPECTED}, but found none")
    return CropSet.of(crops)
