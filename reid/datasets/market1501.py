"""Market-1501 (Zheng et al., Scalable Person Re-identification, ICCV 2015) and the data sets with the same layout.

These have the same three folders and the same pattern of file names: DukeMTMC-reID (Zheng et al., ICCV 2017),
Occluded-Duke (Miao et al., ICCV 2019) and CUHK03 in its new protocol (Zhong et al., CVPR 2017).
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.core.errors import InputError
from reid.datasets.base import Crop, CropSet, ReidDataset
from reid.datasets.folders import content, require
from reid.datasets.images import image_files

TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER = "bounding_box_train", "query", "bounding_box_test"
CUHK03_DETECTED, CUHK03_LABELED = "detected", "labeled"

_DISTRACTORS = 0  # their person id
_NAME = re.compile(r"(?P<person>-?\d+)_c(?P<camera>\d+).*")
_NAME_WITH_SEQUENCE = re.compile(r"-?\d+_c\d+s\d+_\d+_\d+")
_EXPECTED = "names like 0002_c1s1_000451_03.jpg or 0005_c2_f0046985.jpg (person id, camera number)"


def read_market1501(root: Path) -> ReidDataset:
    """Read the folders bounding_box_train, query and bounding_box_test under `root`.

    Person id -1 marks junk boxes, which are left out; person id 0 marks distractors, which stay in the gallery.

    Raises:
        InputError: a folder is missing or empty, or the name of an image does not match.
    """
    require(root, "Market-1501's layout", (TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER))
    return ReidDataset(
        train=_read(root / TRAIN_FOLDER),
        query=_read(root / QUERY_FOLDER),
        gallery=_read(root / GALLERY_FOLDER),
    )


def read_cuhk03_detected(root: Path) -> ReidDataset:
    """Read CUHK03-NP under `root`/detected: boxes of a detector, 767 identities for training and 700 for testing."""
    require(root, "cuhk03-np", (CUHK03_DETECTED,))
    return read_market1501(root / CUHK03_DETECTED)


def read_cuhk03_labeled(root: Path) -> ReidDataset:
    """Read CUHK03-NP under `root`/labeled: boxes drawn by hand, 767 identities for training and 700 for testing."""
    require(root, "cuhk03-np", (CUHK03_LABELED,))
    return read_market1501(root / CUHK03_LABELED)


def read_market1501_crops(root: Path) -> ReidDataset:
    """Read `root` as a single one of the three folders. Train, query and gallery are all its crops.

    Distractors (person id 0), which bounding_box_test has, are in the gallery only.

    Raises:
        InputError: the folder has no image, or the name of an image does not match.
    """
    crops = _read(root)
    people = crops.of_persons(person for person in crops.person_ids if person != _DISTRACTORS)
    if len(people) == len(crops):
        return ReidDataset(train=crops, query=crops, gallery=crops)
    if not people.crops:
        raise InputError(f"{root}: all {len(crops)} crops are distractors (person id 0)")
    note = f"{len(crops) - len(people)} distractors (person id {_DISTRACTORS}) are in the gallery only."
    return ReidDataset(train=people, query=people, gallery=crops, notes=(note,))


def looks_like_market1501_crops(root: Path) -> bool:
    """Return whether the name of the first image in `root` has a sequence number, such as 0002_c1s1_000451_03.jpg: only
    Market-1501 has those."""
    first = next(iter(image_files(root)), None)
    return first is not None and _NAME_WITH_SEQUENCE.fullmatch(first.stem) is not None


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
        raise InputError(f"{folder}: expected crops with {_EXPECTED}, but found none; it holds {content(folder)}")
    return CropSet.of(crops)
