"""A run searches an empty recording once a second, and counts the frames that it did not search."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import mtmc
from tests.helpers.media import write_video
from tests.helpers.tiny_yolo import write_tiny_yolo


def test_an_empty_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    empty = np.full((180, 320, 3), 90, np.uint8)
    # From 1.5 s on something moves; in frames 0, 10 and 15 to 24 the detector finds nobody, too.
    pictures = [
        cv2.circle(empty.copy(), (12 * n, 90), 20, (200, 200, 200), -1) if n >= 15 else empty for n in range(25)
    ]
    write_video(tmp_path / "door.mp4", pictures)
    settings = {
        "detector": {"weights": str(write_tiny_yolo(tmp_path)), "runtime": "torch", "confidence_min": 0.99},
        "embedder": {"weights": None},
        "cameras": mtmc.named_sources([f"door={tmp_path / 'door.mp4'}"]),
    }
    summary = mtmc.track(mtmc.load_config(overrides=settings), tmp_path / "gated")
    assert (summary.cameras["door"].frames, summary.cameras["door"].quiet_frames) == (25, 13)
    assert json.loads((tmp_path / "gated" / "run.json").read_text())["cameras"]["door"]["quiet_frames"] == 13
    settings["detector"] |= {"motion_gate": False}
    everything = mtmc.track(mtmc.load_config(overrides=settings), tmp_path / "all")
    assert everything.cameras["door"].quiet_frames == 0
