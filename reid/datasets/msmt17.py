"""MSMT17 (Wei et al., Person Transfer GAN, CVPR 2018), version 1 and version 2.

Version 2 has masked faces and its results differ from those of version 1: state which was used.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import InputError
from reid.datasets.base import Crop, CropSet, ReidDataset
from reid.datasets.folders import content, read_rows, require, require_images

TRAIN_LIST = "list_train.txt"
TEST_FOLDERS = {"train": "test", "mask_train_v2": "mask_test_v2"}  # by the folder of the training crops

_LISTS = (TRAIN_LIST, "list_val.txt", "list_query.txt", "list_gallery.txt")
_EXAMPLE = "0000/0000_000_01_0303morning_0015_0.jpg 0"


def read_msmt17(root: Path) -> ReidDataset:
    """Read the four list files under `root`, whose crops are in train and test or mask_train_v2 and mask_test_v2.

    The training part is list_train and list_val together, as in published results: 32,621 crops of 1,041 identities.
    The camera is the third `_` field of a file name; there are 15.

    Raises:
        InputError: a list or folder is missing, a line has another form, or a listed file is missing.
    """
    require(root, "MSMT17", _LISTS)
    train_folders = [name for name in TEST_FOLDERS if (root / name).is_dir()]
    if len(train_folders) != 1:
        found = f"both {' and '.join(train_folders)}" if train_folders else content(root)
        raise InputError(
            f"{root}: expected either train and test (MSMT17 V1) or mask_train_v2 and mask_test_v2 (V2), "
            f"but found {found}"
        )
    train = root / train_folders[0]
    test = root / TEST_FOLDERS[train_folders[0]]
    require(root, "MSMT17", (train.name, test.name))
    train_list, val_list, query_list, gallery_list = (root / name for name in _LISTS)
    version = 1 if train.name == "train" else 2
    return ReidDataset(
        train=CropSet.of([*_read(train_list, train), *_read(val_list, train)]),
        query=CropSet.of(_read(query_list, test)),
        gallery=CropSet.of(_read(gallery_list, test)),
        notes=(f"MSMT17 version {version}: results of the two versions differ",),
    )


def _read(list_file: Path, folder: Path) -> list[Crop]:
    crops = []
    for name, person_id in read_rows(list_file, columns=2, example=_EXAMPLE):
        fields = Path(name).stem.split("_")
        if len(fields) < 3 or not fields[2].isdigit() or not person_id.isdigit():
            raise InputError(
                f"{list_file}: expected lines like {_EXAMPLE!r} (camera number in the third field of the name, "
                f"then person id), but found {f'{name} {person_id}'!r}"
            )
        crops.append(Crop(folder / name, int(person_id), f"c{int(fields[2])}"))
    require_images((crop.path for crop in crops), list_file)
    return crops
