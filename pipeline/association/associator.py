"""Turns the detections of a tick into rows with global ids: plan, embed, track, link.

This covers all steps between the detector and the output files, for recordings and live video. It has no clock and no
thread of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.association.frame_pace import FramePace
from pipeline.association.row_buffer import RowBuffer
from pipeline.association.usable_boxes import usable_boxes
from pipeline.core.boxes import clip_xyxy
from pipeline.core.datatypes import (
    BoolArray,
    Detections,
    FloatArray,
    Frame,
    IntArray,
    LinkedRow,
    Tracklet,
    TrajectoryRow,
)
from pipeline.core.decisions import TrackKey
from pipeline.core.models import Embedder, checked, embedded_classes, named_in
from pipeline.core.stage_clock import StageClock
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.track_record import TrackRecord
from pipeline.floor.camera_geometry import CameraGeometry
from pipeline.single_camera.track import Observation
from pipeline.single_camera.tracker import SingleCameraTracker, TrackedFrame

DetectedFrame = tuple[Frame, Detections]

# Largest frame period of a camera, in units of `max_silence_s`. A slower camera counts as stopped: otherwise all rows
# would wait for its tracks, although its frames are too rare to follow people.
_SLOWEST_PACE = 10


@dataclass(frozen=True)
class Associated:
    """The result of a tick: rows that are ready to be written, and the tracks that ended.

    Attributes:
        left_out: tracks of people that ended without having moved (`tracker.leave_out_still`); they are not in `ended`.
        complete_before_s: frames before this time have all their rows by now.
    """

    rows: list[LinkedRow]
    ended: list[Tracklet]
    left_out: tuple[TrackKey, ...] = ()
    complete_before_s: float = -np.inf

    @classmethod
    def of(
        cls, rows: list[LinkedRow], records: Sequence[TrackRecord], complete_before_s: float = -np.inf
    ) -> Associated:
        """Return the result with the tracks `records` that ended."""
        return cls(
            rows,
            [record.summary() for record in records if not record.still],
            tuple((record.camera_id, record.track_id) for record in records if record.still),
            complete_before_s,
        )


class Associator:
    """Holds the trackers of all cameras and the linker between them.

    Args:
        geometries: by camera id; their order is the order of the cameras.
        new_tracker: called once for each camera. A camera that comes back keeps its tracker, so its track ids
            continue.
        embedder: None if the saved detections hold all embeddings that are used.
        class_names: of the detector.
        embedded_classes: names of the classes whose boxes get embeddings.
        hold_s: how long rows are held back until linking has assigned their ids.
        max_detections: at most this many boxes of a frame are used, the most confident ones.
        max_silence_s: the tracks of a camera end when it has given no frame for longer than this and for longer than
            two of its frame periods. It has then stopped, or its recording is over. Two frame periods count as at
            most 20 times `max_silence_s`.
        unconfirmed_wait_s: rows wait for unconfirmed tracks, so that all rows come in order of time. They do not wait
            for a camera that has been silent for this long. If infinite, rows wait until these tracks are confirmed
            or end.
        leave_out_still: whether rows of tracks that have never moved so far are left out. Otherwise, whoever uses the
            rows leaves out those of the tracks in `Associated.left_out`.

    Attributes:
        linker: the linker between the cameras.
        boxes, class_boxes: number of boxes used, by camera and by class.
        people: number of confirmed tracks that are shown, in the newest frame of each camera; 0 after a silence that
            ended them.
        late_frames: number of frames left out because they were not later than the previous one, by camera.
        weak_boxes: number of boxes left out because their track had a low confidence (`tracker.shown_confidence`), by
            camera.
        embedded_crops: number of crops with an embedding.
    """

    def __init__(
        self,
        *,
        geometries: Mapping[str, CameraGeometry],
        new_tracker: Callable[[], SingleCameraTracker],
        linker: OnlineLinker,
        embedder: Embedder | None,
        class_names: Mapping[int, str],
        embedded_classes: Collection[str],
        hold_s: float,
        max_silence_s: float,
        max_detections: int,
        clock: StageClock,
        unconfirmed_wait_s: float = inf,
        leave_out_still: bool = True,
    ) -> None:
        self._geometries = dict(geometries)
        self._new_tracker = new_tracker
        self._trackers = {camera_id: new_tracker() for camera_id in geometries}
        self.linker = linker
        self._embedder = embedder
        self._class_names = class_names
        self._embedded_classes = frozenset(embedded_classes)
        self._hold_s = hold_s
        self._max_silence_s = max_silence_s
        self._max_detections = max_detections
        self._clock = clock
        self._unconfirmed_wait_s = unconfirmed_wait_s
        self._rows = RowBuffer(list(geometries), linker.link_of, leave_out_still=leave_out_still)
        self._size_wh: dict[str, tuple[int, int]] = {}
        self._pace: dict[str, FramePace] = {}
        self.boxes: Counter[str] = Counter()
        self.class_boxes: Counter[str] = Counter()
        self.late_frames: Counter[str] = Counter()
        self.people: Counter[str] = Counter()
        self.weak_boxes: Counter[str] = Counter()
        self.embedded_crops = 0

    def live_tracks(self, camera_id: str) -> int:
        """Return the number of tracks of a camera in memory, in any state."""
        return self._trackers[camera_id].live_tracks

    @property
    def rows_held(self) -> int:
        """Number of rows that wait for their ids."""
        return len(self._rows)

    def process(self, tick: Sequence[DetectedFrame]) -> Associated:
        """Process one tick: at most one frame of each camera, ticks in order of time.

        A frame that is not later than its camera's previous one is left out and counted. Boxes outside the image are
        left out. The result does not depend on the order of the cameras in a tick or of the boxes in a frame.

        Raises:
            ValueError: the embedder returned a wrong number of results or a vector that is not of length 1.
        """
        tick = sorted(self._in_time(tick), key=lambda item: item[0].camera_id)
        ended = [record for frame, _ in tick for record in self._end_silent(frame.camera_id, frame.time_s)]
        with self._clock.measure("track"):
            inside = [(frame, self._usable(frame, detections)) for frame, detections in tick]
            wanted = [
                self._embeddable(detections, self._trackers[frame.camera_id].plan(frame, detections))
                for frame, detections in inside
            ]
        embedded = self._embed(inside, wanted)
        tracked: list[TrackedFrame] = []
        for (frame, _), detections in zip(inside, embedded, strict=True):
            self.boxes[frame.camera_id] += len(detections)
            self.class_boxes.update(self._class_names[class_id] for class_id in detections.class_id.tolist())
            self._size_wh[frame.camera_id] = frame.size_wh
            self._note_time(frame)
            with self._clock.measure("track"):
                tracked.append(self._trackers[frame.camera_id].update(frame, detections))
            self.people[frame.camera_id] = int((~tracked[-1].still & ~tracked[-1].weak).sum())
        with self._clock.measure("link"):
            ended += self._link(tracked)
        begin_s = min((frame.time_s for frame, _ in tick), default=-np.inf)
        return self._settled(begin_s, ended)

    def advance(self, now_s: float) -> Associated:
        """Advance the time without a frame. This releases rows that need not wait any longer, ends the tracks of silent
        cameras, and forgets identities not seen for too long."""
        self.linker.forget(now_s)
        return self._settled(now_s, [])

    def set_camera(self, camera_id: str, geometry: CameraGeometry) -> Associated:
        """Add a camera, or set the geometry of a camera whose image has changed. Its tracks end."""
        ended = self.end_tracks(camera_id)
        self._geometries[camera_id] = geometry
        if camera_id not in self._trackers:
            self._trackers[camera_id] = self._new_tracker()
        self._rows.add_camera(camera_id)
        return ended

    def end_tracks(self, camera_id: str) -> Associated:
        """End all tracks of the camera."""
        tracker = self._trackers.get(camera_id)
        ended = [] if tracker is None else self.linker.end(camera_id, tracker.finish())
        self.people[camera_id] = 0
        return Associated.of([], ended)

    def _settled(self, now_s: float, ended: list[TrackRecord]) -> Associated:
        for camera_id in self._pace:
            ended += self._end_silent(camera_id, now_s)
        settled_s = self._settled_before(now_s)
        return Associated.of(self._rows.release(settled_s), ended, settled_s)

    def finish(self) -> Associated:
        """End all tracks and release all remaining rows."""
        for tracker in self._trackers.values():
            tracker.finish()
        ended = self.linker.finish()
        return Associated.of(self._rows.release(np.inf), ended, np.inf)

    def _in_time(self, tick: Sequence[DetectedFrame]) -> list[DetectedFrame]:
        kept = [
            (frame, detections)
            for frame, detections in tick
            if isfinite(frame.time_s) and frame.time_s > self._last_s(frame.camera_id, -np.inf)
        ]
        if len(kept) < len(tick):
            late = Counter(frame.camera_id for frame, _ in tick)
            late.subtract(frame.camera_id for frame, _ in kept)
            self.late_frames.update(+late)
        return kept

    def _usable(self, frame: Frame, detections: Detections) -> Detections:
        inside = self._geometries[frame.camera_id].inside(detections)
        return usable_boxes(inside, frame.size_wh, self._max_detections)

    def _note_time(self, frame: Frame) -> None:
        pace = self._pace.get(frame.camera_id)
        if pace is None:
            self._pace[frame.camera_id] = FramePace(frame.time_s, _SLOWEST_PACE * self._max_silence_s)
        else:
            pace.add(frame.time_s)

    def _last_s(self, camera_id: str, default_s: float) -> float:
        """Return the time of the camera's newest frame; `default_s` before the first."""
        return self._pace[camera_id].last_s if camera_id in self._pace else default_s

    def _end_silent(self, camera_id: str, now_s: float) -> list[TrackRecord]:
        """End the camera's tracks if it has given no frame for too long."""
        pace, tracker = self._pace.get(camera_id), self._trackers[camera_id]
        if pace is None or not tracker.live_tracks:
            return []
        if now_s - pace.last_s <= max(self._max_silence_s, 2 * pace.period_s):
            return []
        self.people[camera_id] = 0
        return self.linker.end(camera_id, tracker.finish())

    def _settled_before(self, now_s: float) -> float:
        """Return the time before which rows are complete: no track can still add one."""
        waiting = (
            tracker.oldest_unconfirmed_s
            for camera_id, tracker in self._trackers.items()
            if now_s - self._last_s(camera_id, now_s) < self._unconfirmed_wait_s
        )
        return min(now_s - self._hold_s, min(waiting, default=np.inf))

    def _embed(self, frames: Sequence[DetectedFrame], wanted: Sequence[IntArray]) -> list[Detections]:
        """Return the detections with embeddings at the wanted rows only. Saved embeddings are used if there are any;
        otherwise they are computed in one batch for all cameras."""
        results = [_only(detections, rows) for (_, detections), rows in zip(frames, wanted, strict=True)]
        missing = [
            index
            for index, detections in enumerate(results)
            if detections.embeddings is None and len(wanted[index]) and frames[index][0].image is not None
        ]
        if missing and self._embedder is not None:
            with self._clock.measure("embed"):
                pictures = [frames[index][0] for index in missing]
                boxes = [results[index].xyxy[wanted[index]] for index in missing]
                crops = checked(self._embedder.embed(pictures, boxes), pictures)
            for index, embedded in zip(missing, crops, strict=True):
                results[index] = results[index].with_embeddings(wanted[index], embedded)
        self.embedded_crops += sum(
            len(rows)
            for rows, detections in zip(wanted, results, strict=True)
            if detections.embeddings is not None
        )
        return results

    def _embeddable(self, detections: Detections, rows: IntArray) -> IntArray:
        """Return those of `rows` whose class the embedder is for."""
        return rows[_of_classes(detections.class_id[rows], self._class_names, self._embedded_classes)]

    def _link(self, tick: Sequence[TrackedFrame]) -> list[TrackRecord]:
        floors = [self._geometries[tracked.camera_id].floor_xy_m(tracked.detections.xyxy) for tracked in tick]
        observed = self.linker.observe(list(zip(tick, floors, strict=True)))
        for tracked, floor_xy_m in zip(tick, floors, strict=True):
            seen = observed[tracked.camera_id].seen
            for record, track_id in zip(seen, tracked.track_ids.tolist(), strict=True):
                for early in tracked.earlier.get(track_id, ()):
                    self._add_early(record, early)
            shown = np.flatnonzero(~tracked.weak)
            self.weak_boxes[tracked.camera_id] += len(seen) - len(shown)
            self._add(
                tracked.camera_id,
                [seen[row] for row in shown],
                (tracked.frame_index, tracked.time_s),
                tracked.detections.xyxy[shown],
                tracked.detections.confidence[shown],
                None if floor_xy_m is None else floor_xy_m[shown],
            )
        return [record for tracked in tick for record in observed[tracked.camera_id].ended]

    def _add_early(self, record: TrackRecord, box: Observation) -> None:
        """Add a box from before its track was confirmed."""
        xyxy, confidence = box.xyxy[None], np.array([box.confidence])
        floor_xy_m = self._geometries[record.camera_id].floor_xy_m(xyxy)
        self._add(record.camera_id, [record], (box.frame_index, box.time_s), xyxy, confidence, floor_xy_m)

    def _add(
        self,
        camera_id: str,
        records: Sequence[TrackRecord],
        when: tuple[int, float],
        xyxy: FloatArray,
        confidence: NDArray[np.floating[Any]],
        floor_xy_m: NDArray[np.float64] | None,
    ) -> None:
        """Add the boxes of one frame as rows, clipped to the image; boxes wholly outside are left out.

        Args:
            records: the records of their tracks.
            when: (frame_index, time_s).
            floor_xy_m: (N, 2), None without a homography.
        """
        frame_index, time_s = when
        clipped = clip_xyxy(xyxy, self._size_wh[camera_id]).tolist()
        places = [(nan, nan)] * len(records) if floor_xy_m is None else floor_xy_m.tolist()
        for record, (x1, y1, x2, y2), sure, (x_m, y_m) in zip(
            records, clipped, confidence.tolist(), places, strict=True
        ):
            if x2 <= x1 or y2 <= y1:
                continue
            row = TrajectoryRow(
                camera_id=camera_id,
                track_id=record.track_id,
                frame_index=frame_index,
                time_s=time_s,
                class_name=self._class_names[record.class_id],
                xyxy=(x1, y1, x2, y2),
                confidence=sure,
                world_xy_m=(x_m, y_m) if isfinite(x_m) and isfinite(y_m) else None,
            )
            self._rows.add(row, record)


def _only(detections: Detections, rows: IntArray) -> Detections:
    """Return `detections` with embeddings at `rows` only, so that replaying saved ones gives the same result as
    computing them."""
    if detections.embedded is None:
        return detections
    wanted = np.zeros(len(detections), np.bool_)
    wanted[rows] = True
    return replace(detections, embedded=detections.embedded & wanted)


def _of_classes(class_id: IntArray, class_names: Mapping[int, str], classes: Collection[str]) -> BoolArray:
    """Return (N,) whether the name of each class id (N,) is one of `classes`."""
    return np.array([class_names[number] in classes for number in class_id.tolist()], np.bool_)


def embed_all(
    embedder: Embedder, frames: Iterable[DetectedFrame], class_names: Mapping[int, str]
) -> list[DetectedFrame]:
    """Embed every box of the classes that the embedder is for, for saving.

    Raises:
        ValueError: as in `Associator.process`.
    """
    pairs = list(frames)
    pictures = [frame for frame, _ in pairs]
    classes = named_in(class_names.values(), embedded_classes(embedder))
    rows = [np.flatnonzero(_of_classes(found.class_id, class_names, classes)) for _, found in pairs]
    boxes = [detections.xyxy[wanted] for (_, detections), wanted in zip(pairs, rows, strict=True)]
    crops = checked(embedder.embed(pictures, boxes), pictures)
    return [
        (frame, detections.with_embeddings(wanted, embedded))
        for (frame, detections), wanted, embedded in zip(pairs, rows, crops, strict=True)
    ]
