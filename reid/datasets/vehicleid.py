"""VehicleID (Liu et al., Deep Relative Distance Learning, CVPR 2016), which does not state cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.core.errors import InputError
from reid.datasets.base import Crop, CropSet, ReidDataset
from reid.datasets.folders import content, read_rows, require, require_images

LIST_FOLDER, IMAGE_FOLDER = "train_test_split", "image"
SMALL_TEST_IDS = 800  # the small test list, for which TransReID reports results
DRAWS = 10

_EXAMPLE = "0000001 00001"


def read_vehicleid(root: Path, test_ids: int = SMALL_TEST_IDS) -> ReidDataset:
    """Read train_test_split/train_list.txt and test_list_`test_ids`.txt under `root`; crops are in image/.

    The protocol is the mean over ten random draws (`single_gallery_draws`, seed 0), each with one crop per vehicle as
    gallery and all others as queries. The cameras are unknown, so training crops have the camera c0. Queries and
    gallery have two different cameras, so that no true match is dropped as one of the same camera.

    Raises:
        InputError: a list is missing, a line has another form, or a listed file is missing.
    """
    test_list = f"{LIST_FOLDER}/test_list_{test_ids}.txt"
    require(root, "VehicleID", (IMAGE_FOLDER, LIST_FOLDER))
    if not (root / test_list).is_file():
        raise InputError(
            f"{root}: expected {test_list}, but {LIST_FOLDER} holds {content(root / LIST_FOLDER)}; choose a list "
            "by the layout (--layout, for training data.layout), such as vehicleid:1600"
        )
    train = _read(root, root / LIST_FOLDER / "train_list.txt")
    draws = single_gallery_draws(_read(root, root / test_list), draws=DRAWS, seed=0)
    return ReidDataset(train=train, query=draws[0][0], gallery=draws[0][1], draws=tuple(draws))


def single_gallery_draws(crops: CropSet, *, draws: int, seed: int) -> list[tuple[CropSet, CropSet]]:
    """Return (query, gallery) of each draw: a random crop of every identity is gallery, its other crops are queries.

    Args:
        crops: any number per identity; their cameras are replaced by "query" and "gallery".
        seed: of all draws; a draw depends only on the seed, its number and the crops.
    """
    rows_of: dict[int, list[int]] = {}
    for row, crop in enumerate(crops.crops):
        rows_of.setdefault(crop.person_id, []).append(row)
    result = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        chosen = {int(rng.choice(rows_of[person_id])) for person_id in sorted(rows_of)}
        result.append(
            (
                _seen_by("query", [crop for row, crop in enumerate(crops.crops) if row not in chosen]),
                _seen_by("gallery", [crop for row, crop in enumerate(crops.crops) if row in chosen]),
            )
        )
    return result


def _seen_by(camera: str, crops: Sequence[Crop]) -> CropSet:
    return CropSet(tuple(replace(crop, camera=camera) for crop in crops))


def _read(root: Path, list_file: Path) -> CropSet:
    crops = []
    for name, vehicle_id in read_rows(list_file, columns=2, example=_EXAMPLE):
        if not vehicle_id.isdigit():
            raise InputError(
                f"{list_file}: expected lines like {_EXAMPLE!r}, but found {f'{name} {vehicle_id}'!r}"
            )
        crops.append(Crop(root / IMAGE_FOLDER / f"{name}.jpg", int(vehicle_id), "c0"))
    if not crops:
        raise InputError(f"{list_file}: expected lines like {_EXAMPLE!r}, but found none")
    require_images((crop.path for crop in crops), list_file)
    return CropSet.of(crops)
