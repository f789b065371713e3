"""The two threads between the readers and the writer: one detects, one associates.

The detector takes the newest frame of every camera that is up, in one batch. While it works on the next batch, the
other thread updates the tracks with this one.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.association.associator import DetectedFrame
from pipeline.association.gated_detector import skipped_frames
from pipeline.config.live_settings import LiveSettings
from pipeline.core.datatypes import Frame
from pipeline.core.models import Detector, checked_detections
from pipeline.core.redaction import Redactor
from pipeline.core.stage_clock import StageClock
from pipeline.drawing.preview_feed import PreviewFeed
from pipeline.live.busy import BusyTimer
from pipeline.live.cameras.camera_record import CameraRecord
from pipeline.live.cameras.frame_board import FrameBoard, LiveFrame
from pipeline.live.host_clock import LiveClock
from pipeline.live.tracking_core import Output, TrackingCore

# Interval at which waiting rows are released while no frame arrives.
_IDLE_S = 0.1
# Pause after a failure of the detector; doubled after each further failure in a row, up to the longest pause.
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
# Weight of the newest batch in the running means of the status.
_NEWEST = 0.1

# Number of frames whose ages are kept.
_AGES = 20_000

Crops = Mapping[str, tuple[int, int, int, int] | None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """The crops of all cameras; `number` identifies frames that were cropped by an earlier plan."""

    number: int
    crops: Crops


@dataclass(frozen=True)
class _Batch:
    """Frames with their detections, and the plan by which they were cropped, which may be out of date."""

    plan: _Plan
    detected: list[DetectedFrame]


class InferenceLoop:
    """Detects and associates the frames of all cameras.

    Args:
        core_lock: held while the core is used.
        crops: part of each camera's picture that is used: left, top, right, bottom in px; None for the whole picture.
        record_of: returns the counters of a camera.
        emit: called with the rows and corrections to write; must not block.
        on_frame_age: called with the camera and the seconds from capture to the end of tracking, for each frame.
    """

    def __init__(
        self,
        *,
        board: FrameBoard,
        detector: Detector,
        core: TrackingCore,
        core_lock: threading.Lock,
        settings: LiveSettings,
        crops: Crops,
        record_of: Callable[[str], CameraRecord],
        emit: Callable[[Output], None],
        previews: Sequence[PreviewFeed],
        on_frame_age: Callable[[str, float], None],
        stages: StageClock,
        clock: LiveClock,
        redact: Redactor,
    ) -> None:
        self._board = board
        self._detector = detector
        self._core = core
        self._core_lock = core_lock
        self._settings = settings
        self._plan = _Plan(0, crops)
        # For cameras that were changed: the number of the first plan whose frames are still used.
        self._first_plan: dict[str, int] = {}
        self._record_of = record_of
        self._emit = emit
        self._previews = previews
        self._rows_within_s = 2 * settings.hold_s + 0.2  # from a frame to the last of its rows
        self._on_frame_age = on_frame_age
        self._stages = stages
        self._clock = clock
        self._redact = redact
        self._stop = threading.Event()
        self._detected: queue.Queue[_Batch | None] = queue.Queue(maxsize=1)
        # Numbers of batches: taken and empty are counted by the detecting thread, processed by the other.
        self._taken = self._empty = self._processed = 0
        self._failures = 0
        self._first_failure_s = 0.0
        self._failing_s = 0.0
        self._detecting, self._tracking = BusyTimer(), BusyTimer()
        self._unconverted: dict[str, str] = {}  # last reason, by camera
        self._ages: deque[tuple[float, float]] = deque(maxlen=_AGES)
        self._ages_lock = threading.Lock()
        self._means: dict[str, float] = {}
        self.batch_size = 0.0
        self.detector_problem = ""
        self.rows_lost = 0  # rows that waited for ids when an exception prevented their output
        self.error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(target,), name=name, daemon=True)
            for name, target in (("detect", self._detect), ("associate", self._associate))
        ]

    def start(self) -> None:
        """Start both threads."""
        for thread in reversed(self._threads):
            thread.start()

    def set_crops(self, crops: Crops, changed: Iterable[str]) -> None:
        """Replace the crops, and drop earlier frames of the `changed` cameras, which show the old picture. Call it with
        the core's lock held, after the old readers were stopped."""
        self._plan = _Plan(self._plan.number + 1, crops)
        self._first_plan |= dict.fromkeys(changed, self._plan.number)

    def stop(self, within_s: float) -> bool:
        """Finish the current batch, end all tracks and emit everything; return whether that took at most `within_s`."""
        self._stop.set()
        self._board.close()
        until_s = self._clock.monotonic_s() + within_s
        detect, associate = self._threads
        if associate.is_alive() and detect.ident is None:
            self._hand_over(None)  # the detecting thread was never started, so it does not send the end mark
        for thread in [thread for thread in self._threads if thread.ident is not None]:
            thread.join(max(until_s - self._clock.monotonic_s(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def idle(self) -> bool:
        """Whether no batch is being processed."""
        return self._taken == self._empty + self._processed

    @property
    def detecting_s(self) -> float:
        """Seconds for which the detector has not returned from its batch, or has failed on every batch."""
        return max(self._detecting.busy_s, self._failing_s)

    @property
    def tracking_s(self) -> float:
        """Seconds for which tracking, with the embedder, has not returned from its batch."""
        return self._tracking.busy_s

    @property
    def stage_latency_s(self) -> dict[str, float]:
        """Running mean of the seconds per batch, by stage."""
        return dict(self._means)

    def ages(self) -> list[tuple[float, float]]:
        """Return (end of tracking on the monotonic clock, age at that moment) in s of the last frames."""
        with self._ages_lock:
            return list(self._ages)

    def frame_age_s(self) -> dict[float, float]:
        """Return the ages in s of the last frames at the end of tracking, by quantile (0.5 and 0.99); empty before the
        first frame."""
        ages = [age_s for _, age_s in self.ages()]
        return {share: float(np.quantile(ages, share)) for share in (0.5, 0.99)} if ages else {}

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run `work`. An exception ends the run, which must not continue without this thread; known rows are still
        written."""
        try:
            work()
        except BaseException as error:
            _log.exception("the thread %s failed", threading.current_thread().name)
            self.error = error
            self._stop.set()

    # -- detecting ------------------------------------------------------------------------------------------

    def _detect(self) -> None:
        try:
            while not self._stop.is_set():
                settings = self._settings
                plan = self._plan  # read before the frames are taken: if it changes meanwhile, they are dropped
                began_s = self._clock.monotonic_s()
                taken = self._board.take(
                    wait_s=_IDLE_S, batch_wait_s=settings.batch_wait_s, max_age_s=settings.max_age_s
                )
                if not taken:
                    continue
                self._taken += 1
                self._mean("wait", self._clock.monotonic_s() - began_s)
                detected = self._detect_batch(taken, plan.crops)
                if detected:
                    self._hand_over(_Batch(plan, detected))
                else:
                    self._empty += 1
        finally:
            self._hand_over(None)

    def _hand_over(self, batch: _Batch | None) -> None:
        while self.error is None:
            try:
                self._detected.put(batch, timeout=_IDLE_S)
                return
            except queue.Full:
                continue

    def _detect_batch(self, taken: list[LiveFrame], crops: Crops) -> list[DetectedFrame]:
        cut = (self._frame(live, crops.get(live.camera_id)) for live in taken)
        frames = [frame for frame in cut if frame is not None]
        if not frames:
            return []
        began_s = self._clock.monotonic_s()
        quiet = Counter(skipped_frames(self._detector))
        try:
            with self._detecting():
                detections = checked_detections(self._detector, frames)
        except Exception as error:
            self._detector_failed(error, frames)
            return []
        self._failures, self._failing_s, self.detector_problem = 0, 0.0, ""
        self._mean("detect", self._clock.monotonic_s() - began_s)
        self.batch_size += _NEWEST * (len(frames) - self.batch_size) if self.batch_size else len(frames)
        quiet = Counter(skipped_frames(self._detector)) - quiet
        for frame in frames:
            self._record_of(frame.camera_id).inferred(quiet=frame.camera_id in quiet)
        return list(zip(frames, detections, strict=True))

    def _frame(self, live: LiveFrame, crop: tuple[int, int, int, int] | None) -> Frame | None:
        """Convert a frame and crop it; return None if that is impossible."""
        try:
            image = live.to_bgr()
        except Exception as error:
            # Logged once per reason; every case is counted.
            if self._unconverted.get(live.camera_id) != str(error):
                self._unconverted[live.camera_id] = str(error)
                _log.warning("camera %s: a picture cannot be converted (%s)", live.camera_id, error)
            self._record_of(live.camera_id).dropped("corrupt")
            return None
        if crop is not None:
            left, top, right, bottom = crop
            image = np.ascontiguousarray(image[top:bottom, left:right])
            if image.shape[:2] != (bottom - top, right - left):
                self._record_of(live.camera_id).dropped("outside_crop")
                return None
        height, width = image.shape[:2]
        return Frame(live.camera_id, live.frame_index, live.time_s, (width, height), image)

    def _detector_failed(self, error: Exception, frames: list[Frame]) -> None:
        self.detector_problem = self._redact(f"{type(error).__name__}: {error}")
        if self._failures == 0:
            _log.error("the detector failed; the run continues", exc_info=error)
            self._first_failure_s = self._clock.monotonic_s()
        self._failing_s = self._clock.monotonic_s() - self._first_failure_s
        for frame in frames:
            self._record_of(frame.camera_id).dropped("detector_error")
        self._stop.wait(min(_FIRST_PAUSE_S * 2.0**self._failures, _LONGEST_PAUSE_S))
        self._failures = min(self._failures + 1, 30)

    # -- associating ----------------------------------------------------------------------------------------

    def _associate(self) -> None:
        try:
            self._associate_batches()
        finally:  # also after an exception, so that rows that wait for their ids are still written
            with self._core_lock:
                try:
                    output = self._core.finish()
                except BaseException:
                    self.rows_lost += self._core.rows_held
                    raise
            self._pass_on(output)

    def _associate_batches(self) -> None:
        while True:
            try:
                batch = self._detected.get(timeout=_IDLE_S)
            except queue.Empty:
                now_s = self._clock.utc_s()
                with self._core_lock:
                    output = self._core.idle(now_s)
                self._pass_on(output)
                continue
            if batch is None:
                return
            with self._tracking():
                self._process(batch)
            self._processed += 1

    def _process(self, taken: _Batch) -> None:
        before = dict(self._stages.seconds)
        for frame, detections in taken.detected:
            for preview in self._previews:
                preview.offer(frame, detections.xyxy)
        with self._core_lock:
            batch = self._current(taken)
            output = self._core.process(batch)
            people = self._core.people
        now_s = self._clock.monotonic_s()
        now_utc_s = self._clock.utc_s(now_s)
        with self._ages_lock:
            self._ages.extend((now_s, now_utc_s - frame.time_s) for frame, _ in batch)
        for frame, _ in batch:
            self._on_frame_age(frame.camera_id, now_utc_s - frame.time_s)
        for frame, _ in batch:
            self._record_of(frame.camera_id).people(people.get(frame.camera_id, 0))
        for stage, seconds in list(self._stages.seconds.items()):
            self._mean(stage, seconds - before.get(stage, 0.0))
        self._pass_on(output)

    def _current(self, batch: _Batch) -> list[DetectedFrame]:
        """Return the batch without frames of cameras that are read or cropped differently by now."""
        current = []
        for frame, detections in batch.detected:
            if self._first_plan.get(frame.camera_id, 0) <= batch.plan.number:
                current.append((frame, detections))
            else:
                self._record_of(frame.camera_id).dropped("reload")
        return current

    def _pass_on(self, output: Output) -> None:
        self._emit(output)
        for preview in self._previews:
            preview.rows(output.rows, self._clock.utc_s() - self._rows_within_s)

    def _mean(self, stage: str, seconds: float) -> None:
        before = self._means.get(stage, seconds)
        self._means[stage] = before + _NEWEST * (seconds - before)
