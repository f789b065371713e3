"""The base of all frame sources: the clock, the size check, and the error of a broken source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import Frame
from pipeline.core.errors import RunError


class BrokenSource(RunError):
    """A recording cannot be read any further; the frames before `frame_index` were returned."""

    def __init__(self, camera_id: str, path: str, frame_index: int, problem: str) -> None:
        super().__init__(f"camera {camera_id}: {path}, frame index {frame_index}: {problem}")
        self.camera_id = camera_id
        self.path = path
        self.frame_index = frame_index


@dataclass(frozen=True)
class Clock:
    """Converts a recording's own time to the time that all cameras of the run share.

    Attributes:
        start_s: shared time of the recording's first frame, in seconds.
        rate: shared seconds per second of the recording; 1.0001 for a camera whose clock is 0.01 % slow.
    """

    start_s: float = 0.0
    rate: float = 1.0

    def time_s(self, source_time_s: float) -> float:
        """Return the shared time of the moment `source_time_s` after the recording's first frame."""
        return self.start_s + source_time_s * self.rate


class FrameSource(ABC):
    """The frames of one camera in order, read on demand; iterate it once.

    Attributes:
        camera_id: name of the camera, as in the configuration.
        path: what was opened.
        frame_count: estimated number of frames, for a progress bar; None if unknown.
        frame_rate: frames per second of the recording; the mean if it varies.
        size_wh: (width, height) of every frame in pixels.
        index_step: difference between the indices of two consecutive frames.
    """

    def __init__(
        self,
        camera_id: str,
        path: str,
        *,
        frame_count: int | None,
        frame_rate: float,
        size_wh: tuple[int, int],
        clock: Clock | None = None,
        index_step: int = 1,
    ) -> None:
        self.camera_id = camera_id
        self.path = path
        self.frame_count = frame_count
        self.frame_rate = frame_rate
        self.size_wh = size_wh
        self.index_step = index_step
        self._clock = clock or Clock()
        self._used = False

    def __iter__(self) -> Iterator[Frame]:
        """Return the frames from first to last.

        Raises:
            BrokenSource: a frame cannot be read, or has another size than the first.
            RuntimeError: the source was already read or closed.
        """
        if self._used:
            raise RuntimeError(f"{self.path} was already read or closed: open it again")
        self._used = True
        return self._frames()

    def seek(self, source_time_s: float) -> bool:
        """Begin near a moment instead of at the first frame; call it before iterating.

        The indices of the frames may then be estimates; their times are exact.

        Args:
            source_time_s: seconds after the recording's first frame; the first frame is this one or an earlier one.

        Returns:
            False if this recording cannot be entered in the middle; it then begins at its first frame.

        Raises:
            BrokenSource: it cannot be read there.
        """
        return False

    @abstractmethod
    def _frames(self) -> Iterator[Frame]:
        """Read the recording; `__iter__` calls this once."""

    def close(self) -> None:
        """Release open resources; closing twice is harmless. Do not call this while another thread reads."""
        self._used = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _frame(self, frame_index: int, source_time_s: float, image: NDArray[np.uint8]) -> Frame:
        """Return the frame of one image (H, W, 3) uint8 BGR, after checking its size."""
        height, width = image.shape[:2]
        if (width, height) != self.size_wh:
            raise self._broken(
                frame_index,
                f"the picture is {width}x{height}, but the first one is {self.size_wh[0]}x{self.size_wh[1]}; "
                "boxes, regions and homographies are in pixels of the first size, so split the recording there",
            )
        return Frame(
            camera_id=self.camera_id,
            frame_index=frame_index,
            time_s=self._clock.time_s(source_time_s),
            size_wh=self.size_wh,
            image=image,
        )

    def _broken(self, frame_index: int, problem: str) -> BrokenSource:
        return BrokenSource(self.camera_id, self.path, frame_index, problem)
