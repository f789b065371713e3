"""Draws the final trajectories into a mosaic video of all cameras, reading the recordings again."""

from __future__ import annotations

import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.boxes import foot_points
from pipeline.core.datatypes import Frame, LinkedRow
from pipeline.core.errors import InputError, RunError
from pipeline.core.floor_area import FloorArea, floor_area
from pipeline.drawing.labels import Image
from pipeline.drawing.overview import floor_tile, list_tile, people_now
from pipeline.drawing.video_writer import VideoWriter
from pipeline.drawing.visualization import CameraView, ExtraTile, MosaicRenderer
from pipeline.files.results_csv import read_trajectories
from pipeline.sources.base import BrokenSource

logger = logging.getLogger(__name__)

_TIME_TOLERANCE_S = 0.002
"""The CSV rounds times; the times of a frame and its rows differ by at most this."""
_GAP_END_S = 1.0
"""Shown of a gap before the next frame."""
_MOST_POSITIONS = 100_000


@dataclass(frozen=True)
class MosaicSettings:
    """The layout of the mosaic.

    Attributes:
        fps: images per second of video time, which runs as fast as the cameras' clock.
        tile_wh: (width, height) of a camera's tile in pixels.
        columns: tiles in a row; None makes the grid about as many tiles wide as high.
        trail_s: duration of each person's drawn path in seconds; 0 for none.
        max_frame_age_s: a camera without a new frame for longer shows `no frame`.
        class_names: whether the labels contain the names of the classes.
    """

    fps: Fraction | float = 10.0
    tile_wh: tuple[int, int] = (640, 360)
    columns: int | None = None
    trail_s: float = 2.0
    max_frame_age_s: float = 1.0
    class_names: bool = False


def render_mosaic_video(
    sources: Mapping[str, Iterable[Frame]],
    trajectories: Path,
    output: Path,
    *,
    settings: MosaicSettings | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    still: tuple[float, Path] | None = None,
    on_image: Callable[[float], None] = lambda time_s: None,
) -> int:
    """Write the annotated mosaic of a run.

    Frames and trajectories are read side by side in order of time, so memory does not grow with their length.

    Args:
        sources: camera id -> its frames in order of time, with images; the order is that of the tiles.
        trajectories: the final trajectories.csv, in order of time. Rows of other cameras are left out.
        output: the video, *.mp4.
        settings: see `MosaicSettings`.
        start_s, end_s: first and last moment on the cameras' clock; by default from the first frame of any camera
            to the last of all.
        still: (time in seconds, PNG file): also save the image of that moment, or the last one before it.
        on_image: called with the time of every image of the video that is drawn.

    Returns:
        Number of images in the video.

    Raises:
        InputError: the trajectories are not in order of time, or a row cannot be read.
        RunError: the video or the PNG cannot be written.
        ValueError: a frame has no image.
    """
    settings = settings or MosaicSettings()
    still_image: Image | None = None
    images = mosaic_images(sources, trajectories, settings=settings, start_s=start_s, end_s=end_s)
    try:
        with VideoWriter(output, fps=settings.fps) as video:
            for time_s, image in images:
                video.write(image)
                on_image(time_s)
                if still is not None and (still_image is None or time_s <= still[0] + _TIME_TOLERANCE_S):
                    still_image = image
    except OSError as error:
        raise RunError(f"{output} cannot be written: {error.strerror}") from error
    if still is not None and still_image is not None:
        _write_png(still[1], still_image)
    return video.frames


def mosaic_images(
    sources: Mapping[str, Iterable[Frame]],
    trajectories: Path,
    *,
    settings: MosaicSettings | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
) -> Iterator[tuple[float, Image]]:
    """Yield the annotated mosaics (time in seconds, image) one after the other; see `render_mosaic_video`.

    A time in which no camera has a frame is shortened to about 2 s; a warning says how often. The first tile of the
    grid without a camera is a plan of the floor, if the trajectories have floor positions; another one, or the first,
    lists who is in the images.
    """
    settings = settings or MosaicSettings()
    renderer = MosaicRenderer(list(sources), tile_wh=settings.tile_wh, columns=settings.columns)
    cameras = {camera_id: _Camera(camera_id, frames) for camera_id, frames in sources.items()}
    if start_s is None:
        first_times = [camera.next_time_s for camera in cameras.values() if camera.next_time_s is not None]
        if not first_times:
            return
        start_s = min(first_times)
    period_s = float(1 / Fraction(settings.fps))
    area = _floor_area(trajectories, frozenset(cameras)) if renderer.free_tiles else None
    tracks = _Tracks(
        _in_order_of_time(trajectories),
        cameras,
        keep_s=settings.trail_s + settings.max_frame_age_s + period_s,
    )
    gaps = _Gaps(period_s)
    for number in itertools.count():
        time_s = start_s + number * period_s + gaps.left_out_s
        frames = {camera_id: camera.frame_at(time_s) for camera_id, camera in cameras.items()}
        is_over = all(camera.ended_before(time_s) for camera in cameras.values())
        if is_over if end_s is None else time_s > end_s + _TIME_TOLERANCE_S:
            gaps.say()
            return
        tracks.advance(time_s)
        shown = {
            camera_id: frame
            for camera_id, frame in frames.items()
            if frame is not None and time_s - frame.time_s <= settings.max_frame_age_s + _TIME_TOLERANCE_S
        }
        views = {
            camera_id: tracks.view(frame, settings.trail_s, class_names=settings.class_names)
            for camera_id, frame in shown.items()
        }
        extra = _extra_tiles(renderer, tracks, list(shown.values()), settings, time_s, area)
        yield time_s, renderer.render(views, time_s, extra)
        if not views:
            following = [camera.next_time_s for camera in cameras.values() if camera.next_time_s is not None]
            gaps.shorten(time_s, min(following, default=math.inf if end_s is None else end_s))


def _extra_tiles(
    renderer: MosaicRenderer,
    tracks: _Tracks,
    shown: Sequence[Frame],
    settings: MosaicSettings,
    time_s: float,
    area: FloorArea | None,
) -> list[ExtraTile]:
    """Return the content of the tiles without a camera."""
    if not renderer.free_tiles:
        return []
    rows = [linked for frame in shown for linked in tracks.rows_of(frame)]
    recent = tracks.rows_between(time_s - settings.trail_s, time_s) if settings.trail_s > 0 else ()
    people = people_now(rows, recent, class_names=settings.class_names)
    noun = "objects" if settings.class_names else "people"
    tiles = [] if area is None else [floor_tile(people, area, renderer.tile_wh, noun)]
    return [*tiles, list_tile(people, renderer.tile_wh, noun)][: renderer.free_tiles]


def _floor_area(trajectories: Path, camera_ids: frozenset[str]) -> FloorArea | None:
    """Return the area of the floor positions of these cameras; None without any. Of many, every n-th is used."""
    positions: list[tuple[float, float]] = []
    every, number = 1, 0
    for row, _ in read_trajectories(trajectories):
        if row.world_xy_m is None or row.camera_id not in camera_ids:
            continue
        if number % every == 0:
            positions.append(row.world_xy_m)
            if len(positions) > _MOST_POSITIONS:
                positions, every = positions[::2], 2 * every
        number += 1
    return floor_area(np.array(positions)) if positions else None


class _Gaps:
    """The times without a frame of any camera that are left out of a video.

    Attributes:
        left_out_s: seconds left out so far, a multiple of the time between two images.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._count = 0
        self.left_out_s = 0.0

    def shorten(self, time_s: float, next_s: float) -> None:
        """Leave out the time from `time_s`, at which no camera has a frame, until shortly before the next frame."""
        periods = (next_s - time_s - _GAP_END_S) / self._period_s
        if 1 <= periods < math.inf:
            self._count += 1
            self.left_out_s += int(periods) * self._period_s

    def say(self) -> None:
        """Log what was left out."""
        if self._count:
            logger.warning(
                "the video leaves out %.0f s without a frame of any camera (%d gaps); the times in its images are true",
                self.left_out_s,
                self._count,
            )


class _Camera:
    """The frames of one camera, of which it returns the newest at a given time."""

    def __init__(self, camera_id: str, frames: Iterable[Frame]) -> None:
        self._camera_id = camera_id
        self._frames = iter(frames)
        self._newest: Frame | None = None
        self._next: Frame | None = None
        self._read()

    @property
    def next_time_s(self) -> float | None:
        return None if self._next is None else self._next.time_s

    def frame_at(self, time_s: float) -> Frame | None:
        """Return the newest frame that is not later than `time_s`, which must not decrease between calls."""
        while self._next is not None and self._next.time_s <= time_s + _TIME_TOLERANCE_S:
            self._newest = self._next
            self._read()
        return self._newest

    def ended_before(self, time_s: float) -> bool:
        """Return whether the last frame was earlier than `time_s`."""
        if self._next is not None:
            return False
        return self._newest is None or self._newest.time_s < time_s - _TIME_TOLERANCE_S

    def _read(self) -> None:
        try:
            self._next = next(self._frames, None)
        except BrokenSource as error:
            logger.warning("the mosaic shows camera %s only up to here: %s", self._camera_id, error)
            self._next = None


class _Tracks:
    """The rows of the trajectories around the current time."""

    def __init__(self, rows: Iterator[LinkedRow], cameras: Iterable[str], *, keep_s: float) -> None:
        """Take `rows` in order of time; rows older than `keep_s` are forgotten."""
        self._rows = rows
        self._keep_s = keep_s
        self._next = next(rows, None)
        self._recent: dict[str, deque[LinkedRow]] = {camera_id: deque() for camera_id in cameras}

    def advance(self, time_s: float) -> None:
        """Read up to `time_s`, and forget the rows that are too old by then."""
        oldest_s = time_s - self._keep_s
        while self._next is not None and self._next.row.time_s <= time_s + 2 * _TIME_TOLERANCE_S:
            if self._next.row.camera_id in self._recent and self._next.row.time_s >= oldest_s:
                self._recent[self._next.row.camera_id].append(self._next)
            self._next = next(self._rows, None)
        for recent in self._recent.values():
            while recent and recent[0].row.time_s < oldest_s:
                recent.popleft()

    def rows_of(self, frame: Frame) -> list[LinkedRow]:
        """Return the rows of a frame."""
        return [linked for linked in self._recent[frame.camera_id] if linked.row.frame_index == frame.frame_index]

    def rows_between(self, first_s: float, last_s: float) -> Iterator[LinkedRow]:
        """Yield the rows of all cameras in this time, which must not be forgotten yet."""
        for recent in self._recent.values():
            for linked in recent:
                if first_s - _TIME_TOLERANCE_S <= linked.row.time_s <= last_s + _TIME_TOLERANCE_S:
                    yield linked

    def view(self, frame: Frame, trail_s: float, *, class_names: bool) -> CameraView:
        """Return the image of `frame` with the boxes of its rows, their classes if `class_names`, and the paths that
        led to them."""
        if frame.image is None:
            raise ValueError(f"frame {frame.frame_index} of camera {frame.camera_id} has no picture")
        recent = self._recent[frame.camera_id]
        now = self.rows_of(frame)
        ways: dict[int, list[tuple[float, float, float, float]]] = {
            linked.link.global_id: [] for linked in now if trail_s > 0
        }
        for linked in recent:
            way = ways.get(linked.link.global_id)
            since_s = frame.time_s - trail_s - _TIME_TOLERANCE_S
            if way is not None and linked.row.time_s >= since_s and linked.row.frame_index <= frame.frame_index:
                way.append(linked.row.xyxy)
        return CameraView(
            image_bgr=frame.image,
            xyxy=_xyxy_array([linked.row.xyxy for linked in now]),
            global_ids=np.array([linked.link.global_id for linked in now], np.int64),
            interpolated=np.array([linked.row.interpolated for linked in now], np.bool_),
            trails={global_id: foot_points(_xyxy_array(way)) for global_id, way in ways.items() if len(way) > 1},
            class_names=[linked.row.class_name for linked in now] if class_names else (),
        )


def _xyxy_array(boxes: list[tuple[float, float, float, float]]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


def _in_order_of_time(path: Path) -> Iterator[LinkedRow]:
    """Yield the rows of a trajectories.csv one by one; InputError if the time decreases."""
    previous_s = -math.inf
    for linked in read_trajectories(path):
        row = linked.row
        if row.time_s < previous_s - _TIME_TOLERANCE_S:
            raise InputError(
                f"{path}: time_s falls from {previous_s} to {row.time_s}, at camera {row.camera_id}, frame_index "
                f"{row.frame_index}. Sort the rows by time_s."
            )
        previous_s = row.time_s
        yield linked


def _write_png(path: Path, image: Image) -> None:
    encoded, data = cv2.imencode(".png", image)
    if not encoded:
        raise RunError(f"{path}: the picture cannot be encoded as PNG")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error
