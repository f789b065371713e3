"""Chooses the boxes of a run that show people best, while its rows are read one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from pipeline.config.config import load_config
from pipeline.core.datatypes import LinkedRow
from pipeline.core.decisions import TrackKey
from pipeline.single_camera.good_crops import good_crops

# Boxes that are kept of a track come from different times.
_MOST_TIMES = 8
_FIRST_SLOT_S = 1.0


@dataclass(frozen=True)
class ChosenBox:
    """A box to cut out.

    Attributes:
        xyxy: left, top, right, bottom in pixels.
        quality: larger is better; a good crop is better than any other box.
    """

    camera_id: str
    track_id: int
    frame_index: int
    time_s: float
    xyxy: tuple[float, float, float, float]
    quality: tuple[bool, float]

    @property
    def track(self) -> TrackKey:
        """(camera_id, track_id), unique in a run."""
        return (self.camera_id, self.track_id)


@dataclass
class _Track:
    """The best box of each time slot; slots become longer with the track."""

    slot_s: float = _FIRST_SLOT_S
    best: dict[int, ChosenBox] = field(default_factory=dict)

    def offer(self, box: ChosenBox) -> None:
        self._keep(box)
        while len(self.best) > _MOST_TIMES:
            self.slot_s *= 2
            boxes, self.best = list(self.best.values()), {}
            for one in boxes:
                self._keep(one)

    def _keep(self, box: ChosenBox) -> None:
        slot = int(box.time_s // self.slot_s)
        if slot not in self.best or box.quality > self.best[slot].quality:
            self.best[slot] = box


class BestBoxes:
    """Keeps the best boxes of each track, at most eight from different times.

    Args:
        size_wh: (width, height) of the images of each camera in pixels; boxes of other cameras are not kept.
    """

    def __init__(self, size_wh: Mapping[str, tuple[int, int]]) -> None:
        self._size_wh = size_wh
        self._settings = load_config().tracker
        self._tracks: dict[TrackKey, _Track] = {}

    def watch(self, rows: Iterable[LinkedRow]) -> Iterator[LinkedRow]:
        """Yield the rows, which are in order of time, then of camera, and keep the best boxes."""
        for (camera_id, _), group in groupby(
            rows, key=lambda linked: (linked.row.camera_id, linked.row.frame_index)
        ):
            frame = list(group)
            if camera_id in self._size_wh:
                self._take(camera_id, [linked for linked in frame if not linked.row.interpolated])
            yield from frame

    def of_tracks(self) -> dict[TrackKey, Sequence[ChosenBox]]:
        """Return the boxes of each track, the best one first."""
        return {
            key: sorted(track.best.values(), key=lambda box: (box.quality, -box.time_s), reverse=True)
            for key, track in self._tracks.items()
        }

    def _take(self, camera_id: str, frame: Sequence[LinkedRow]) -> None:
        if not frame:
            return
        xyxy = np.array([linked.row.xyxy for linked in frame], np.float32)
        confidence = np.array([linked.row.confidence for linked in frame], np.float32)
        good = good_crops(xyxy, confidence, self._size_wh[camera_id], self._settings)
        size_px = np.sqrt(np.clip(np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1), 0, None))
        for linked, is_good, value in zip(frame, good.tolist(), (confidence * size_px).tolist(), strict=True):
            row = linked.row
            box = ChosenBox(
                camera_id, row.track_id, row.frame_index, row.time_s, row.xyxy, (is_good, round(value, 3))
            )
            self._tracks.setdefault(box.track, _Track()).offer(box)
