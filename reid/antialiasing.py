"""Bilinear resizing with antialiasing in numpy, with the bytes of `torch.nn.functional.interpolate`.

Each output pixel is a weighted mean of input pixels, first along rows, then along columns. As in torch, weights are
whole numbers of 15 bits, and the result of each direction is rounded to a byte.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_WEIGHT_LIMIT = 1 << 15
_MOST_BITS = 22


def resize_bytes(picture: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a picture (h, w, C) to (height, width, C)."""
    if picture.shape[1] != size_hw[1]:
        picture = _along_first(picture.transpose(1, 0, 2), size_hw[1]).transpose(1, 0, 2)
    if picture.shape[0] != size_hw[0]:
        picture = _along_first(picture, size_hw[0])
    return picture


def _along_first(pixels: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Resize (n, a, b) to (length, a, b)."""
    taps, weights, bits = _weights(len(pixels), length)
    flat = pixels.reshape(len(pixels), -1).astype(np.int32)
    sums = flat[taps[0]] * weights[0]
    part = np.empty_like(sums)
    for tap, weight in zip(taps[1:], weights[1:], strict=True):
        np.take(flat, tap, axis=0, out=part, mode="clip")
        part *= weight
        sums += part
    sums += 1 << (bits - 1)
    sums >>= bits
    resized: NDArray[np.uint8] = sums.astype(np.uint8).reshape(length, *pixels.shape[1:])
    return resized


@lru_cache(maxsize=1024)
def _weights(length_in: int, length_out: int) -> tuple[NDArray[np.int64], NDArray[np.int32], int]:
    """Return which inputs each output is the mean of (taps, length_out), with which weights (taps, length_out, 1), and
    the number of fractional bits of the weights."""
    scale = length_in / length_out
    support = max(scale, 1.0)
    centre = scale * (np.arange(length_out) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + support + 0.5).astype(np.int64), length_in)
    column = first + np.arange((end - first).max())[:, None]
    share = np.maximum(1 - np.abs((column - centre + 0.5) / support), 0)
    share[column >= end] = 0
    share /= share.sum(axis=0)
    bits = 0
    while bits < _MOST_BITS and int(0.5 + share.max() * (1 << (bits + 1))) < _WEIGHT_LIMIT:
        bits += 1
    weights = (0.5 + share * (1 << bits)).astype(np.int32)
    return np.minimum(column, length_in - 1), weights[..., None], bits
