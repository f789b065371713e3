"""`mtmc live` with models that find the same person in every picture; run as a process by the tests.

fake_live.py ARGUMENTS OF mtmc live ...

The file that the environment names as `FRAMES_FILE` gets the camera and the number of each frame that is looked at.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pipeline.assembly
from pipeline.cli import main
from pipeline.config.config import Config
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.models import Detector, Models
from pipeline.cross_camera.match_limits import MatchLimits
from tests.helpers.factories import limits_of
from tests.helpers.live.fakes import one_look, one_person

FRAMES_FILE = "MTMC_TEST_FRAMES_FILE"


class Noting:
    """Finds the person, and notes the frames; what is noted stays when the process is killed."""

    computation = None

    def __init__(self, path: Path) -> None:
        self._works = one_person()
        self._file = path.open("ab", buffering=0)
        self.class_names, self.model_hash = self._works.class_names, self._works.model_hash

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        self._file.write("".join(f"{frame.camera_id} {frame.frame_index}\n" for frame in frames).encode())
        return self._works.detect(frames)


def build_live(config: Config) -> tuple[Models, MatchLimits]:
    path = os.environ.get(FRAMES_FILE)
    detector: Detector = one_person() if path is None else Noting(Path(path))
    return Models(detector, one_look(), {"mtmc": "test"}), limits_of(config)


if __name__ == "__main__":
    pipeline.assembly.build_live = build_live
    logging.captureWarnings(True)
    main(["-v", "live", *sys.argv[1:]])
