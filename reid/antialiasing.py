"""Bilinear resizing with antialiasing in numpy, with the bytes of `torch.nn.functional.interpolate`.

Each output pixel is a weighted mean of input pixels, first along rows, then along columns. As in torch, weights are
whole numbers of 15 bits, and the result of each direction is rounded to a byte.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

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
    weights, bits = _weights(len(pixels), length)
    sums = weights @ pixels.reshape(len(pixels), -1).astype(np.int32)
    sums += 1 << (bits - 1)
    sums >>= bits
    resized: NDArray[np.uint8] = sums.astype(np.uint8).reshape(length, *pixels.shape[1:])
    return resized


@lru_cache(maxsize=1024)
def _weights(length_in: int, length_out: int) -> tuple[Any, int]:
    """Return the weights (length_out, length_in) as a sparse array of int32, and their number of fractional bits."""
    scale = length_in / length_out
    support = max(scale, 1.0)
    centre = scale * (np.arange(length_out) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + support + 0.5).astype(np.int64), length_in)
    tap = np.arange(int(np.ceil(support)) * 2 + 1)
    column = first[:, None] + tap
    share = np.maximum(1 - np.abs((column - centre[:, None] + 0.5) / support), 0)
    share[column >= end[:, None]] = 0
    share /= share.sum(axis=1, keepdims=True)
    bits = 0
    while bits < _MOST_BITS and int(0.5 + share.max() * (1 << (bits + 1))) < _WEIGHT_LIMIT:
        bits += 1
    whole = (0.5 + share * (1 << bits)).astype(np.int32)
    row, used = np.nonzero(whole)
    return csr_array((whole[row, used], (row, column[row, used])), shape=(length_out, length_in)), bits
