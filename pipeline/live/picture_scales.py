"""The scale of live pictures relative to those in which zones are drawn: a camera may come back with another size."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.config.config import CameraConfig
from pipeline.core.datatypes import TrajectoryRow
from pipeline.core.errors import InputError
from pipeline.counting.settings import LineSettings, ZoneSettings, check_pictures

# Sizes of a camera that are remembered; rows of older ones were written long ago.
_REMEMBERED = 3
_log = logging.getLogger(__name__)


class PictureScales:
    """Remembers from which frame on each camera had which size."""

    def __init__(self, zones: Sequence[ZoneSettings], lines: Sequence[LineSettings]) -> None:
        self._zones = zones
        self._lines = lines
        self._since: dict[str, list[tuple[int, float, float]]] = {}

    def took(
        self,
        camera: CameraConfig,
        first_size_wh: tuple[int, int],
        size_wh: tuple[int, int],
        frame_index: int,
    ) -> None:
        """Take note that a camera sends pictures of `size_wh` from this frame on; log zones outside of its picture.

        Args:
            first_size_wh: size of its first picture, in which zones are drawn without `calibrated_size_wh`.
        """
        width, height = camera.calibrated_size_wh or first_size_wh
        sizes = self._since.setdefault(camera.name, [])
        if not sizes:
            try:
                check_pictures(self._zones, self._lines, {camera.name: (width, height)})
            except InputError as error:
                _log.error("%s; nobody is counted there", error)
        sizes.append((frame_index, size_wh[0] / width, size_wh[1] / height))
        del sizes[:-_REMEMBERED]

    def of(self, row: TrajectoryRow) -> tuple[float, float]:
        """Return the scale of the picture of a row, across and down."""
        for frame_index, scale_x, scale_y in reversed(self._since.get(row.camera_id, ())):
            if row.frame_index >= frame_index:
                return scale_x, scale_y
        return 1.0, 1.0
