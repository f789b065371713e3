"""Pack data sets into small files for another machine: crops at the input size of a model, compressed again."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from pipeline.core.errors import InputError
from reid.crops import resize_image
from reid.datasets import CropSet, read_rgb

QUALITIES = (95, 90, 85, 80, 75, 70, 60, 50, 40)
_SAMPLE_EVERY = 20  # crops; the sample estimates the size of a data set at a quality


def pack(sets: Mapping[str, CropSet], size_hw: tuple[int, int], max_bytes: int, folder: Path) -> int:
    """Write NAME.zip for each data set, at the highest JPEG quality of `QUALITIES` at which all of them fit.

    Crops larger than `size_hw` (height, width) in pixels are shrunk to it; others keep their size. They keep their
    file names, with .jpg, from which `read_dataset` takes people and cameras.

    Returns:
        The quality.

    Raises:
        InputError: the data sets do not fit at the lowest quality, or a crop cannot be read.
    """
    everything = [crop.path for crops in sets.values() for crop in crops.crops]
    sample = [_shrunk(path, size_hw) for path in everything[::_SAMPLE_EVERY]]
    share = len(sample) / max(len(everything), 1)
    for quality in QUALITIES:
        # a zip file adds a name and headers per crop, about 150 bytes
        expected = sum(len(_coded(image, quality)) for image in sample) / share + 150 * len(everything)
        if expected <= 0.97 * max_bytes:
            break
    else:
        raise InputError(
            f"{len(everything)} crops of {size_hw[0]}x{size_hw[1]} pixels are about {expected / 1e6:.0f} MB at quality "
            f"{quality}, more than {max_bytes / 1e6:.0f} MB: take fewer data sets, or a smaller size"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, crops in sets.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_STORED) as archive:
            for crop in crops.crops:
                archive.writestr(f"{crop.path.stem}.jpg", _coded(_shrunk(crop.path, size_hw), quality))
    return quality


def unpack(path: Path, folder: Path) -> Path:
    """Extract a file of `pack` to a folder that `read_dataset` can read; return that folder.

    Raises:
        InputError: the file is missing or damaged.
    """
    target = folder / path.stem
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(target)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a file of 'mtmc reid pack': {error}") from error
    return target


def _shrunk(path: Path, size_hw: tuple[int, int]) -> Image.Image:
    image = read_rgb(path)
    if image.height <= size_hw[0] and image.width <= size_hw[1]:
        return image
    return Image.fromarray(resize_image(image, size_hw).transpose(1, 2, 0))


def _coded(image: Image.Image, quality: int) -> bytes:
    coded = io.BytesIO()
    image.save(coded, "jpeg", quality=quality)
    return coded.getvalue()
