"""The pictures of a training: decoded once, stored uncompressed on disk, read as an array."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from pipeline.files.whole_files import replacing
from reid.crops import resize_image
from reid.datasets import CropSet, read_rgb
from reid.training.data import crops_digest

_READERS = 4  # threads; Pillow decodes without holding the GIL


def decoded_crops(crops: CropSet, size_hw: tuple[int, int], folder: Path, console: Console) -> NDArray[np.uint8]:
    """Return all crops at the input size of the model, scaled as in `reid.embedder`.

    They are stored in `folder`, in a file named after the crops and their size, and read as a memory map. If they do
    not fit into memory, the training gets slower but does not fail.

    Returns:
        (N, 3, height, width) uint8 RGB, in the order of the crops, read-only.

    Raises:
        InputError: a crop cannot be read; the message names it.
    """
    height, width = size_hw
    path = folder / f"crops_{crops_digest(crops)}_{height}x{width}.npy"
    if not path.exists():
        shape = (len(crops), 3, height, width)
        with replacing(path) as part:
            pixels = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)

            def decode(row: int) -> None:
                pixels[row] = resize_image(read_rgb(crops.crops[row].path), size_hw)

            size_mb = pixels.nbytes / 2**20
            with Progress(console=console, transient=True) as progress, ThreadPoolExecutor(_READERS) as pool:
                task = progress.add_task(f"decoding {len(crops)} crops ({size_mb:.0f} MB)", total=len(crops))
                for _ in pool.map(decode, range(len(crops))):
                    progress.advance(task)
            pixels.flush()
    kept: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return kept
