from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.sources.base import Clock, FrameSource
from pipeline.sources.cropped import CroppedSource


class _Pictures(FrameSource):
    """Pictures of 6 x 4 pixels whose blue value is x and whose green value is y."""

    def __init__(self, frames: int = 2, images: bool = True) -> None:
        super().__init__(
            "wall",
            "wall.mp4",
            frame_count=frames,
            frame_rate=5.0,
            size_wh=(6, 4),
            clock=Clock(start_s=10.0),
        )
        self.closed = False
        self._images = images

    def _frames(self) -> Iterator[Frame]:
        y, x = np.mgrid[0:4, 0:6]
        image = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
        for index in range(self.frame_count or 0):
            yield self._frame(index, index / 5, image) if self._images else Frame("wall", index, 0.0, (6, 4), None)

    def close(self) -> None:
        super().close()
        self.closed = True


def test_only_the_part_is_seen_with_the_times_of_the_whole() -> None:
    whole = _Pictures()
    source = CroppedSource(whole, (2, 1, 5, 4))
    assert source.size_wh == (3, 3)
    assert (source.camera_id, source.path, source.frame_count, source.frame_rate) == ("wall", "wall.mp4", 2, 5.0)
    frames = list(source)
    assert [(frame.frame_index, frame.time_s) for frame in frames] == [(0, 10.0), (1, 10.2)]
    image = frames[0].image
    assert image is not None
    assert image[..., 0].tolist() == [[2, 3, 4]] * 3
    assert image[:, 0, 1].tolist() == [1, 2, 3]
    assert image.flags.c_contiguous


def test_frames_without_pictures_stay_so() -> None:
    (frame,) = CroppedSource(_Pictures(1, images=False), (0, 0, 2, 3))
    assert frame.image is None
    assert frame.size_wh == (2, 3)


@pytest.mark.parametrize("crop", [(0, 0, 7, 4), (0, 0, 6, 5)])
def test_a_crop_outside_the_picture_is_refused(crop: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match=r"camera wall: crop_xyxy_px .* reaches outside .* which is 6x4"):
        CroppedSource(_Pictures(), crop)


def test_closing_closes_the_whole() -> None:
    whole = _Pictures()
    with CroppedSource(whole, (0, 0, 6, 4)) as source:
        assert len(list(source)) == 2
    assert whole.closed
    with pytest.raises(RuntimeError, match="already read or closed"):
        iter(source)
