"""VeRi-776 (Liu et al., A Deep Learning-Based Approach to Progressive Vehicle Re-identification, ECCV 2016).

Viewpoints come from the key point annotation of Wang et al., Orientation Invariant Feature Embedding, ICCV 2017.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.core.errors import InputError
from reid.datasets.base import Crop, CropSet, ReidDataset
from reid.datasets.folders import content, read_rows, require
from reid.datasets.images import image_files

TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER = "image_train", "image_query", "image_test"
TRAIN_KEYPOINTS, TEST_KEYPOINTS = "keypoint_train.txt", "keypoint_test.txt"

_NAME = re.compile(r"(?P<vehicle>\d+)_c(?P<camera>\d+).*")
_EXPECTED = "names like 0001_c001_00016450_0.jpg (vehicle id, camera number)"
_EXAMPLE = "image_train/0001_c001_00016450_0.jpg 55 60 ... 3"


def read_veri776(root: Path) -> ReidDataset:
    """Read image_train, image_query and image_test under `root`: 20 cameras, c1 to c20.

    The views v0 to v7 are the last column of keypoint_train.txt and keypoint_test.txt. Crops that these files do not
    list stay in the data set with the view None, and a note gives their number. The authors of TransReID leave them
    out, so their counts (and, slightly, their results) differ.

    Raises:
        InputError: a folder is missing or empty, the name of an image does not match, or a key point line has no view.
    """
    require(root, "VeRi-776", (TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER))
    train_views, test_views = _views(root / TRAIN_KEYPOINTS), _views(root / TEST_KEYPOINTS)
    parts = {
        TRAIN_FOLDER: _read(root / TRAIN_FOLDER, train_views),
        QUERY_FOLDER: _read(root / QUERY_FOLDER, test_views),
        GALLERY_FOLDER: _read(root / GALLERY_FOLDER, test_views),
    }
    notes = []
    for name in (TRAIN_KEYPOINTS, TEST_KEYPOINTS):
        if not (root / name).is_file():
            notes.append(f"there is no {name}, so its crops have no view")
    for name, crops in parts.items():
        without = sum(crop.view is None for crop in crops.crops)
        if without:
            notes.append(f"{without} of {len(crops)} crops of {name} have no view")
    return ReidDataset(
        train=parts[TRAIN_FOLDER], query=parts[QUERY_FOLDER], gallery=parts[GALLERY_FOLDER], notes=tuple(notes)
    )


def _views(path: Path) -> dict[str, str]:
    """Return image name -> view; empty if the file does not exist."""
    if not path.is_file():
        return {}
    views = {}
    for row in read_rows(path, columns=None, example=_EXAMPLE):
        if not row[-1].isdigit():
            raise InputError(f"{path}: expected lines like {_EXAMPLE!r}, which end in a view, found {row[-1]!r}")
        views[Path(row[0]).name] = f"v{int(row[-1])}"
    return views


def _read(folder: Path, views: dict[str, str]) -> CropSet:
    crops = []
    for path in image_files(folder):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise InputError(f"{folder}: expected {_EXPECTED}, but found {path.name}; rename or remove it")
        crops.append(Crop(path, int(match["vehicle"]), f"c{int(match['camera'])}", views.get(path.name)))
    if not crops:
        raise InputError(f"{folder}: expected crops with {_EXPECTED}, but found none; it holds {content(folder)}")
    return CropSet.of(crops)
