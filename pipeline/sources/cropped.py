"""A part of another source's image, as a separate camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.sources.base import FrameSource


class CroppedSource(FrameSource):
    """The pixels inside `crop_xyxy_px` (left, top, right, bottom; right and bottom excluded) of `source`.

    Raises:
        InputError: the crop reaches outside the image.
    """

    def __init__(self, source: FrameSource, crop_xyxy_px: Sequence[int]) -> None:
        x1, y1, x2, y2 = crop_xyxy_px
        width, height = source.size_wh
        if x2 > width or y2 > height:
            raise InputError(
                f"camera {source.camera_id}: crop_xyxy_px {list(crop_xyxy_px)} reaches outside the picture of "
                f"{source.path}, which is {width}x{height}"
            )
        super().__init__(
            source.camera_id,
            source.path,
            frame_count=source.frame_count,
            frame_rate=source.frame_rate,
            size_wh=(x2 - x1, y2 - y1),
            index_step=source.index_step,
        )
        self._source = source
        self._crop_xyxy_px = (x1, y1, x2, y2)

    def seek(self, source_time_s: float) -> bool:
        return self._source.seek(source_time_s)

    def _frames(self) -> Iterator[Frame]:
        x1, y1, x2, y2 = self._crop_xyxy_px
        for frame in self._source:
            image = None if frame.image is None else np.ascontiguousarray(frame.image[y1:y2, x1:x2])
            yield replace(frame, size_wh=self.size_wh, image=image)

    def close(self) -> None:
        super().close()
        self._source.close()
