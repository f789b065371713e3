"""Shows the cameras with their people in a window while they are tracked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from pipeline.core.boxes import Boxes
from pipeline.core.datatypes import Frame, LinkedRow
from pipeline.core.errors import InputError
from pipeline.drawing.visualization import CameraView, MosaicRenderer

_KEYS = (27, ord("q"))  # Esc
_OLD_S = 2.0  # a camera without a frame for longer shows `no frame`
# Qt and GTK end the whole process where no window can be opened, so another process tries it.
_TRIAL = "import cv2; cv2.namedWindow('trial'); cv2.waitKey(1); cv2.destroyAllWindows()"


class MosaicWindow:
    """A window with a tile for each camera; q, Esc or closing it ends the window only.

    `put` may be called in any thread. All other methods belong to the main thread, as the window systems demand.

    Args:
        camera_ids: at least one, in the order of the tiles; further cameras come after them.
        title: of the window.
        shown_fps: frames per second of each camera that `put` should get; the window draws at most twice as many
            images per second.

    Raises:
        InputError: this machine has no screen, or OpenCV was built without windows.
    """

    def __init__(
        self,
        camera_ids: Sequence[str],
        *,
        title: str = "mtmc",
        shown_fps: float = 10.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        # Otherwise the Qt of OpenCV's wheel warns ten times that it brings no fonts; the window has no text of Qt.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        _check_screen()
        self._camera_ids = list(camera_ids)
        self._title = title
        self.shown_fps = shown_fps
        self._period_s = 0.5 / shown_fps
        self._clock_s = clock_s
        self._drawn_s = float("-inf")
        self._lock = threading.Lock()
        self._views: dict[str, tuple[float, CameraView]] = {}
        self._classes: set[str] = set()
        self._changed = False
        self._open = True
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, *MosaicRenderer(camera_ids).size_wh)

    def put(self, frame: Frame, xyxy: Boxes, rows: Sequence[LinkedRow]) -> None:
        """Take a frame and its rows; a `PreviewHook`. Boxes without a row are not shown; the classes are, from the
        second one on."""
        del xyxy
        if frame.image is None:
            return
        names = [linked.row.class_name for linked in rows]
        with self._lock:
            self._classes.update(names)
            several = len(self._classes) > 1
        view = CameraView(
            image_bgr=frame.image,
            xyxy=np.array([linked.row.xyxy for linked in rows], np.float64).reshape(-1, 4),
            global_ids=np.array([linked.link.global_id for linked in rows], np.int64),
            interpolated=np.zeros(len(rows), np.bool_),
            class_names=names if several else (),
        )
        with self._lock:
            if frame.camera_id not in self._camera_ids:  # a camera that a live run has added
                self._camera_ids.append(frame.camera_id)
            self._views[frame.camera_id] = (frame.time_s, view)
            self._changed = True

    def refresh(self) -> None:
        """Draw what is new, and react to keys; call it often."""
        if not self._open or self._clock_s() - self._drawn_s < self._period_s:
            return
        self._drawn_s = self._clock_s()
        with self._lock:
            camera_ids, views = tuple(self._camera_ids), dict(self._views)
            changed, self._changed = self._changed, False
        if changed:
            newest_s = max(time_s for time_s, _ in views.values())
            shown = {name: view for name, (time_s, view) in views.items() if newest_s - time_s <= _OLD_S}
            cv2.imshow(self._title, MosaicRenderer(camera_ids).render(shown, newest_s))
        if cv2.waitKey(1) & 0xFF in _KEYS or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            self.close()

    def close(self) -> None:
        """Close the window; it can be called again."""
        if not self._open:
            return
        self._open = False
        cv2.destroyAllWindows()
        cv2.waitKey(1)  # without it, some window systems keep the window


def _check_screen() -> None:
    done = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise InputError(
            f"--show: no window can be opened here ({lines[0] if lines else 'no screen'}); leave it out, and draw "
            "the result with --video, or watch the page of `mtmc live` (live.web)"
        )
