"""Reading crops from disk."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from pipeline.core.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_READERS = 4  # Pillow decodes outside of Python's lock


def image_files(folder: Path) -> list[Path]:
    """The image files directly in `folder`, in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def read_rgb(path: Path) -> Image.Image:
    """Decode one image as RGB.

    Raises:
        InputError: the file is missing or cannot be decoded; names it.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    # what Pillow raises for damaged bytes has no common class: besides OSError there are SyntaxError, ValueError,
    # TypeError, OverflowError and DecompressionBombError, depending on the format and the byte
    except Exception as error:
        raise InputError(f"{path}: cannot be read as an image ({error}); replace or remove it") from error


def unreadable_images(paths: Iterable[Path]) -> list[tuple[Path, InputError]]:
    """The files that `read_rgb` refuses, with what it says of them, in the order given; decodes every file."""

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
