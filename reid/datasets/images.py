"""Reading crops from disk."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from pipeline.core.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_READERS = 4  # threads; Pillow decodes without holding the GIL


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in `folder`, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def read_rgb(path: Path) -> Image.Image:
    """Decode one image as RGB.

    Raises:
        InputError: the file is missing or cannot be decoded; the message names it.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    # Pillow's errors for damaged files have no common base class: besides OSError there are SyntaxError, ValueError,
    # TypeError, OverflowError and DecompressionBombError, depending on the format and the byte
    except Exception as error:
        raise InputError(f"{path}: cannot be read as an image ({error}); replace or remove it") from error


def unreadable_images(paths: Iterable[Path]) -> list[tuple[Path, InputError]]:
    """Return the files that `read_rgb` cannot read, with its errors, in the given order; decodes every file."""

    def fault(path: Path) -> InputError | None:
        try:
            read_rgb(path)
        except InputError as error:
            return error
        return None

    listed = list(paths)
    with ThreadPoolExecutor(_READERS) as pool:
        return [
            (path, error) for path, error in zip(listed, pool.map(fault, listed), strict=True) if error is not None
        ]
