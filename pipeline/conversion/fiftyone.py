"""A Python script that builds a FiftyOne dataset, and its data as JSON: no text of the run becomes code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.conversion.boxes import RunRows, attributes
from pipeline.conversion.json_text import json_bytes

DATA_NAME = "fiftyone_data.json"
_SCRIPT = Path(__file__).with_name("build_fiftyone_dataset.py")
# FiftyOne has fields of its own for these, or none.
_ELSEWHERE = ("global_id", "confidence", "keyframe", "outside", "occluded", "track_id")


def fiftyone_files(run: RunRows, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (path below the output folder, content): the script and its data.

    Args:
        name: of the dataset.

    Raises:
        InputError: the picture size of a camera is unknown.
    """
    cameras = {}
    for camera in run.cameras:
        numbers = camera.track_numbers
        source = camera.stored.source
        cameras[camera.camera_id] = {
            "video": None if source is None else os.path.abspath(source),
            "size_wh": camera.size_wh("fiftyone-script"),
            "frames": {
                index: [
                    {
                        "class_name": linked.row.class_name,
                        "xyxy_px": linked.row.xyxy,
                        "confidence": linked.row.confidence,
                        "global_id": linked.link.global_id,
                        "attributes": {
                            key: value
                            for key, value in attributes(linked, numbers[linked.row.track_id], run.names).items()
                            if key not in _ELSEWHERE
                        },
                    }
                    for linked in rows
                ]
                for index, rows in sorted(camera.frames.items())
            },
        }
    yield DATA_NAME, json_bytes({"name": name, "cameras": cameras})
    yield _SCRIPT.name, _SCRIPT.read_bytes()
