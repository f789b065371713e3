"""Cuts people out of the recordings of a run, as small JPEG pictures inside the page."""

from __future__ import annotations

import base64
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.assembly import close_sources, open_sources
from pipeline.config.config import load_config
from pipeline.core.errors import InputError, RunError
from pipeline.report.best_boxes import ChosenBox
from pipeline.report.run_data import NotedCamera
from pipeline.sources.base import FrameSource

_HEIGHT_PX = 144
_WIDEST_PX = 144
# Small boxes are not enlarged beyond this factor.
_LARGEST_SCALE = 2.0
# Share of the box that is added on each side.
_PADDING = 0.04
# In order of preference: the first one with which a picture is small enough.
_JPEG_QUALITIES = (78, 60, 40, 20, 5)
#: Largest size of a JPEG picture in bytes, unless even the lowest quality is larger; a page has up to 512 pictures.
MOST_BYTES = 6_500
#: Settings of a camera that decide how a frame looks; its clock does not matter.
_OF_IMAGES = ("frame_rate", "display_size_wh", "crop_xyxy_px")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """A person, cut out of a frame.

    Attributes:
        uri: JPEG as a data URI.
        size_wh: (width, height) in pixels.
    """

    box: ChosenBox
    uri: str
    size_wh: tuple[int, int]


def cut_pictures(
    boxes: Iterable[ChosenBox],
    cameras: Mapping[str, NotedCamera],
    recordings: Mapping[str, str],
    *,
    on_start: Callable[[int], None] = lambda frames: None,
    on_frame: Callable[[], None] = lambda: None,
) -> tuple[dict[ChosenBox, Picture], list[str]]:
    """Cut boxes out of the recordings of their cameras.

    Args:
        recordings: camera -> where its recording is now, if not where run.json says.
        on_start: called with the number of frames that will be read.
        on_frame: called for each of these frames.

    Returns:
        The pictures, and a sentence for each camera with missing ones.
    """
    of_camera: dict[str, set[ChosenBox]] = defaultdict(set)
    for box in boxes:
        of_camera[box.camera_id].add(box)
    found: dict[ChosenBox, Picture] = {}
    problems = []
    on_start(sum(max(box.frame_index for box in wanted) + 1 for wanted in of_camera.values()))
    for camera_id in cameras:
        if wanted := of_camera.get(camera_id):
            problem = _cut(camera_id, cameras[camera_id], recordings.get(camera_id), wanted, found, on_frame)
            missing = len(wanted - found.keys())
            if missing:
                sentence = f"{missing} of {len(wanted)} pictures of camera {camera_id} are missing: {problem}"
                problems.append(sentence)
                _log.warning("%s", sentence)
    return found, problems


def _cut(
    camera_id: str,
    camera: NotedCamera,
    moved_to: str | None,
    wanted: Collection[ChosenBox],
    found: dict[ChosenBox, Picture],
    on_frame: Callable[[], None],
) -> str:
    """Add the pictures of one camera to `found`; return why some are missing."""
    settings = {name: camera.settings[name] for name in _OF_IMAGES if camera.settings.get(name) is not None}
    place = moved_to or camera.settings.get("source")
    if not isinstance(place, str):
        return "run.json does not say where its recording is"
    if Path(place).suffix.lower() == ".parquet":
        return f"the run read saved detections. `--recording {camera_id}=PATH` says where the recording is"
    in_frame: dict[int, list[ChosenBox]] = defaultdict(list)
    for box in wanted:
        in_frame[box.frame_index].append(box)
    last = max(in_frame)
    sources: list[FrameSource] = []
    try:
        sources, _ = open_sources(
            load_config(None, {"cameras": [{"name": camera_id, "source": place, **settings}]})
        )
        (source,) = sources
        if camera.size_wh is not None and source.size_wh != camera.size_wh:
            width, height = source.size_wh
            noted = "x".join(map(str, camera.size_wh))
            return f"{place} has images of {width}x{height} px, but those of the run had {noted} px"
        for frame in source:
            on_frame()
            if frame.image is None:
                return f"{place} holds no images"
            for box in in_frame.get(frame.frame_index, ()):
                if (picture := picture_of(frame.image, box)) is not None:
                    found[box] = picture
            if frame.frame_index >= last:
                break
    except (InputError, RunError) as error:
        problem = str(error).removeprefix(f"camera {camera_id}: ")
        return (
            problem if moved_to else f"{problem}. `--recording {camera_id}=PATH` says where the recording is now"
        )
    finally:
        close_sources(sources)
    return f"{Path(place).name} does not have all their frames"


def picture_of(image: NDArray[np.uint8], box: ChosenBox) -> Picture | None:
    """Return a box of an image (H, W, 3) uint8 BGR as a picture; None if the box is outside the image."""
    height, width = image.shape[:2]
    left, top, right, bottom = box.xyxy
    pad_x, pad_y = _PADDING * (right - left), _PADDING * (bottom - top)
    x1, y1 = max(int(left - pad_x), 0), max(int(top - pad_y), 0)
    x2, y2 = min(int(np.ceil(right + pad_x)), width), min(int(np.ceil(bottom + pad_y)), height)
    if x2 - x1 < 2 or y2 - y1 < 2:
        return None
    crop = image[y1:y2, x1:x2]
    scale = min(_HEIGHT_PX / (y2 - y1), _WIDEST_PX / (x2 - x1), _LARGEST_SCALE)
    size_wh = (max(round(scale * (x2 - x1)), 1), max(round(scale * (y2 - y1)), 1))
    shrinks = scale < 1
    small = np.asarray(
        cv2.resize(crop, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC), np.uint8
    )
    return Picture(box, "data:image/jpeg;base64," + base64.b64encode(_jpeg(small)).decode("ascii"), size_wh)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    data = b""
    for quality in _JPEG_QUALITIES:
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        data = encoded.tobytes()
        if len(data) <= MOST_BYTES:
            break
    return data
