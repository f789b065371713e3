"""Cuts labelled crops out of recordings with known identities, in the plain layout of `reid.datasets`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.core.boxes import clip_xyxy, covered_share
from pipeline.core.datatypes import Frame
from pipeline.files.track_boxes import TrackBoxes

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CropRules:
    """Which boxes become crops.

    Attributes:
        interval_s: shortest time between two crops of a person in a camera.
        height_min_px: boxes with a smaller height inside the picture are left out.
        overlap_max: boxes covered by another box by more than this share are left out.
    """

    interval_s: float = 1.0
    height_min_px: float = 64.0
    overlap_max: float = 0.4


def write_crops(
    frames: Iterable[Frame], boxes: TrackBoxes, folder: Path, *, camera_number: int, rules: CropRules
) -> int:
    """Write crops of the boxes of one camera as `PPPP_cC_KK.jpg`; ids become person ids.

    Args:
        frames: frames of the camera, with images.
        boxes: boxes in pixels of those images; other frames are ignored.
        folder: an existing folder.
        camera_number: C of the names.

    Returns:
        How many crops were written.
    """
    last_time_s: dict[int, float] = {}
    written: dict[int, int] = {}
    for frame in frames:
        here = boxes[boxes.frame_index == frame.frame_index]
        if frame.image is None or not len(here):
            continue
        clipped = clip_xyxy(here.xyxy, frame.size_wh)
        corners = np.round(clipped).astype(int)
        size_wh = corners[:, 2:] - corners[:, :2]
        good = (size_wh[:, 1] >= rules.height_min_px) & (size_wh[:, 0] > 0)
        good &= covered_share(clipped) <= rules.overlap_max
        for person, (left, top, right, bottom) in zip(
            here.ids[good].tolist(), corners[good].tolist(), strict=True
        ):
            # minus half a millisecond, so that rounded times of frames do not lengthen the interval by a frame
            if frame.time_s - last_time_s.get(person, -np.inf) < rules.interval_s - 0.0005:
                continue
            last_time_s[person] = frame.time_s
            number = written.get(person, 0)
            written[person] = number + 1
            rgb = np.ascontiguousarray(frame.image[top:bottom, left:right, ::-1])
            path = folder / f"{person:04d}_c{camera_number}_{number:02d}.jpg"
            Image.fromarray(rgb).save(path, quality=_JPEG_QUALITY)
    return sum(written.values())
