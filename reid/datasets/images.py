"""Reading crops from disk."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from pipeline.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


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
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for some broken PNG files
        raise InputError(f"{path}: cannot be read as an image ({error}); replace or remove it") from error
