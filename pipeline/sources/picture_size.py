"""The limit on the size of pictures, which is checked before a picture is decoded wherever its header states the size.

A file of 100 kB can hold a picture that takes gigabytes of memory.
"""

from __future__ import annotations

import io

MAX_PICTURE_PX = 64_000_000
"""Default of `runtime.max_picture_megapixels`, in pixels."""


def too_large(size_wh: tuple[int, int], max_picture_px: int) -> str | None:
    """Return what is wrong with pictures of this (width, height) in pixels; None if they are not above the limit."""
    width, height = size_wh
    if width * height <= max_picture_px:
        return None
    return (
        f"a picture has {width}x{height} pixels, which is above the limit of {max_picture_px / 1e6:g} megapixels; "
        "make it smaller, or raise runtime.max_picture_megapixels"
    )


def header_size_wh(data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) that the header of an encoded picture states (JPEG, PNG, BMP, TIFF, WebP).

    Returns:
        None for other formats, and for a damaged header.
    """
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    # Not Image.open, which has a limit of its own, in a global variable. These classes read the header only.
    for magic, kind in (
        (b"\xff\xd8", JpegImagePlugin.JpegImageFile),
        (b"\x89PNG", PngImagePlugin.PngImageFile),
        (b"BM", BmpImagePlugin.BmpImageFile),
        (b"II", TiffImagePlugin.TiffImageFile),
        (b"MM", TiffImagePlugin.TiffImageFile),
        (b"RIFF", WebPImagePlugin.WebPImageFile),
    ):
        if data.startswith(magic):
            try:
                with kind(io.BytesIO(data)) as picture:
                    return picture.size
            except (SyntaxError, ValueError, OSError):
                return None
    return None
