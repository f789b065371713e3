"""The last picture of each camera, small, with boxes and with blurred heads."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import Frame, IntArray, LinkedRow
from pipeline.drawing.visualization import draw_tracks

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""

# The head of a standing person is the upper eighth of the box. Twice that and a margin also covers people who bend or
# sit, and boxes that are slightly off.
HEAD_SHARE = 0.28
_MARGIN_SHARE = 0.12
# Maximum number of blocks across a head: far fewer than face recognition needs.
_BLOCKS = 4
_JPEG_QUALITY = 75


def blur_heads(image_bgr: Image, xyxy: Boxes) -> Image:
    """Return a copy of the picture in which the upper part of every box consists of a few flat blocks.

    Args:
        image_bgr: (H, W, 3) uint8.
        xyxy: (N, 4) boxes of people in pixels; may extend beyond the picture.
    """
    image = image_bgr.copy()
    height, width = image.shape[:2]
    for x1, y1, x2, y2 in xyxy.tolist():
        margin_x, margin_y = _MARGIN_SHARE * (x2 - x1), _MARGIN_SHARE * (y2 - y1)
        left, right = int(max(0, x1 - margin_x)), int(min(width, np.ceil(x2 + margin_x)))
        top, bottom = int(max(0, y1 - margin_y)), int(min(height, np.ceil(y1 + HEAD_SHARE * (y2 - y1))))
        if right <= left or bottom <= top:
            continue
        head = image[top:bottom, left:right]
        few = cv2.resize(
            head, (min(_BLOCKS, right - left), min(_BLOCKS, bottom - top)), interpolation=cv2.INTER_AREA
        )
        image[top:bottom, left:right] = cv2.resize(
            few, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST
        )
    return image


class PreviewStore:
    """Holds one picture per camera in memory and nothing on disk; used by several threads.

    Args:
        blurred: whether heads are blurred before the picture is stored.
        width_px: wider pictures are reduced to this width.
    """

    def __init__(self, *, blurred: bool, width_px: int) -> None:
        self._blurred = blurred
        self._width_px = width_px
        self._lock = threading.Lock()
        self._pictures: dict[str, Image] = {}
        self._jpegs: dict[str, tuple[Image, bytes]] = {}  # with the picture that was encoded
        self._classes: set[str] = set()  # seen so far; names are shown from the second one on

    def show(
        self,
        camera_id: str,
        image_bgr: Image,
        xyxy: Boxes,
        global_ids: IntArray,
        class_names: Sequence[str] = (),
    ) -> None:
        """Replace a camera's picture.

        Args:
            image_bgr: (H, W, 3) uint8.
            xyxy: (N, 4) boxes in pixels of the people in this very picture.
            global_ids: (N,) their ids; 0 for a box that has none yet, whose head is blurred as well.
            class_names: (N,) the classes to show beside the ids; none if empty.
        """
        scale = min(1.0, self._width_px / image_bgr.shape[1])
        size_wh = (max(1, round(image_bgr.shape[1] * scale)), max(1, round(image_bgr.shape[0] * scale)))
        small = np.asarray(cv2.resize(image_bgr, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        boxes = xyxy * np.float32(scale)
        if self._blurred:
            small = blur_heads(small, boxes)
        known = global_ids > 0
        names = [class_names[row] for row in np.flatnonzero(known).tolist()] if class_names else []
        small = draw_tracks(small, boxes[known], global_ids[known], class_names=names)
        with self._lock:
            self._pictures[camera_id] = small

    def hook(self, frame: Frame, xyxy: Boxes, rows: Sequence[LinkedRow]) -> None:
        """Show a frame (with its image), given all boxes (N, 4) of its detections and its rows; see `PreviewHook`."""
        assert frame.image is not None
        of_rows = np.array([linked.row.xyxy for linked in rows], np.float32).reshape(-1, 4)
        ids = np.array([linked.link.global_id for linked in rows], np.int64)
        # The box of a row is one of the detector's, so a head is blurred at most twice.
        boxes = np.concatenate([of_rows, xyxy])
        names = [linked.row.class_name for linked in rows]
        self._classes.update(names)
        shown = [*names, *[""] * len(xyxy)] if len(self._classes) > 1 else []
        self.show(frame.camera_id, frame.image, boxes, np.concatenate([ids, np.zeros(len(xyxy), np.int64)]), shown)

    def forget(self, camera_id: str) -> None:
        """Delete the picture of a camera that is gone, so that no old picture is shown."""
        with self._lock:
            self._pictures.pop(camera_id, None)
            self._jpegs.pop(camera_id, None)

    def jpeg(self, camera_id: str) -> bytes | None:
        """Return the camera's picture as JPEG, encoded once; None if there is none."""
        with self._lock:
            picture = self._pictures.get(camera_id)
            encoded = self._jpegs.get(camera_id)
        if picture is None:
            return None
        if encoded is None or encoded[0] is not picture:
            _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            encoded = (picture, data.tobytes())
            with self._lock:
                if self._pictures.get(camera_id) is picture:
                    self._jpegs[camera_id] = encoded
        return encoded[1]
