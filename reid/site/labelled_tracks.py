"""Crops of a labelled data set in the form of an unlabelled site's tracks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.errors import InputError
from reid.crops import Resize, resize_antialiased, resize_image
from reid.datasets import read_dataset, read_rgb
from reid.site.site_crops import SiteCrops


def labelled_tracks(
    folder: Path,
    *,
    cameras: Sequence[str] | None,
    size_hw: tuple[int, int],
    layout: str = "auto",
    resize: Resize = resize_antialiased,
) -> SiteCrops:
    """Return the training crops of a data set; the crops of one person in one camera form one track.

    The result contains neither identities across cameras nor real times: no two tracks count as simultaneous.

    Args:
        cameras: use only these; None for all.
        size_hw: (height, width) of the crops.
        layout: layout of the data set, as in `read_dataset`.
        resize: as in `resize_image`.

    Raises:
        InputError: the folder is not a data set, or does not have a camera of `cameras`.
    """
    crops = read_dataset(folder, layout).train
    names = tuple(cameras) if cameras else crops.cameras
    if missing := [name for name in names if name not in crops.cameras]:
        raise InputError(f"{folder} has no camera {missing[0]!r}; it has {', '.join(crops.cameras)}")
    chosen = [crop for crop in crops.crops if crop.camera in names]
    keys = sorted({(names.index(crop.camera), crop.person_id) for crop in chosen})
    number = {key: index for index, key in enumerate(keys)}
    images = [resize_image(read_rgb(crop.path), size_hw, resize) for crop in chosen]
    # Consecutive, so that no two tracks overlap.
    times = np.arange(len(keys), dtype=np.float64)
    return SiteCrops(
        camera_names=names,
        images=np.stack(images),
        track=np.array([number[names.index(crop.camera), crop.person_id] for crop in chosen], np.int64),
        camera=np.array([camera for camera, _ in keys], np.int64),
        start_s=times,
        end_s=times,
    )
