"""BoT-SORT of boxmot with OSNet, run by the interpreter of an environment that has boxmot.

Started by `pipeline.benchmark.boxmot_tracker`; imports nothing of this project.

- Standard input: two arrays per frame, the picture (H, W, 3) uint8 BGR and the detections (N, 6) float32 (xyxy in px,
  confidence, class).
- Standard output: one array per frame, the tracks (M, 5) float64 (xyxy in px, id).

Every array is in numpy's file format, preceded by its length in bytes as an 8-byte little-endian integer. All other
printed text goes to standard error.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def send(stream: IO[bytes], array: NDArray[Any]) -> None:
    """Write one array."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    stream.write(content.tell().to_bytes(8, "little") + content.getvalue())


def receive(stream: IO[bytes]) -> NDArray[Any]:
    """Read one array.

    Raises:
        EOFError: the other side has ended.
    """
    length = stream.read(8)
    if len(length) < 8:
        raise EOFError("the other side has ended")
    content = stream.read(int.from_bytes(length, "little"))
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def main(weights: Path) -> None:
    """Track until the input ends."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from boxmot import BotSort  # type: ignore[import-not-found]
    from boxmot.trackers.config import load_tracker_config  # type: ignore[import-not-found]

    settings = load_tracker_config("botsort", None, {})  # the tuned defaults of the package
    tracker = BotSort(**settings, reid_weights=weights, device="cpu", half=False)
    while True:
        try:
            image = receive(source)
        except EOFError:
            return
        tracks = tracker.update(receive(source), image)
        found = np.asarray(tracks, np.float64)[:, :5] if len(tracks) else np.zeros((0, 5))
        send(target, found)
        target.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
