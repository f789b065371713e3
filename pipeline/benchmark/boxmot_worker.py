"""BoT-SORT of boxmot with OSNet, run by the interpreter of an environment that has boxmot.

Started by `pipeline.benchmark.boxmot_tracker`; imports nothing of this project. Frames come on standard input as two
numpy arrays each, the picture (H, W, 3) uint8 BGR and the detections (N, 6) float32 (xyxy, confidence, class); tracks
(M, 5) float64 (xyxy, id) go to standard output. Whatever else is printed goes to standard error.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from numpy.lib import format as npy


def main(weights: Path) -> None:
    """Track until the input ends."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from boxmot import BotSort  # type: ignore[import-not-found]
    from boxmot.trackers.config import load_tracker_config  # type: ignore[import-not-found]

    settings = load_tracker_config("botsort", None, {})  # the package's own tuned defaults
    tracker = BotSort(**settings, reid_weights=weights, device="cpu", half=False)
    while True:
        try:
            image = npy.read_array(source)
        except ValueError:  # the end
            return
        tracks = tracker.update(npy.read_array(source), image)
        found = np.asarray(tracks, np.float64)[:, :5] if len(tracks) else np.zeros((0, 5))
        npy.write_array(target, found)
        target.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
