"""The two threads between the readers and the writer: one detects, one associates.

The detector takes the freshest frame of every camera that is up, in one batch; while it works on the next batch, the
tracks of this one are continued.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.association.associator import DetectedFrame
from pipeline.config.live_settings import LiveSettings
from pipeline.core.datatypes import Frame
from pipeline.core.models import Detector
from pipeline.core.redaction import Redactor
from pipeline.core.stage_clock import StageClock
from pipeline.live.cameras.camera_record import CameraRecord
from pipeline.live.cameras.frame_board import FrameBoard, LiveFrame
from pipeline.live.host_clock import LiveClock
from pipeline.live.telling.preview import PreviewFeed
from pipeline.live.tracking_core import Output, TrackingCore

# Rows move on while no frame comes.
_IDLE_S = 0.1
# A detector that fails is not asked at once again; doubled at each failure in a row, up to the longest.
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
# Weight of the newest batch in the mean figures of the status.
_NEWEST = 0.1

# Ages are those of the last so many frames.
_AGES = 20_000

Crops = Mapping[str, tuple[int, int, int, int] | None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """What is cut out of the pictures; numbered, so that frames of an earlier one can be told."""

    number: int
    crops: Crops


@dataclass(frozen=True)
class _Batch:
    """Frames that were taken while a plan held; perhaps it holds no more."""

    plan: _Plan
    detected: list[DetectedFrame]


class InferenceLoop:
    """
    Args:
        core_lock: held while the core works.
        crops: the part of each camera's picture that counts, left, top, right, bottom in px.
        record_of: counters of a camera.
        emit: takes what is to be written; must not wait.
        on_frame_age: told of every frame how many seconds after it was taken its tracking was done.
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
        preview: PreviewFeed,
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
        # Number of the first plan whose frames count, of cameras that were changed meanwhile.
        self._first_plan: dict[str, int] = {}
        self._record_of = record_of
        self._emit = emit
        self._preview = preview
        self._on_frame_age = on_frame_age
        self._stages = stages
        self._clock = clock
        self._redact = redact
        self._stop = threading.Event()
        self._detected: queue.Queue[_Batch | None] = queue.Queue(maxsize=1)
        # Batches that were taken and that are done; the first is of the detecting thread, the others of both.
        self._taken = self._empty = self._processed = 0
        self._failures = 0
        self._unconverted: dict[str, str] = {}  # why, by camera
        self._ages: deque[tuple[float, float]] = deque(maxlen=_AGES)
        self._ages_lock = threading.Lock()
        self._means: dict[str, float] = {}
        self.batch_size = 0.0
        self.detector_problem = ""
        self.rows_lost = 0  # that waited for their ids when a mistake kept them from being handed out
        self.error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(target,), name=name, daemon=True)
            for name, target in (("detect", self._detect), ("associate", self._associate))
        ]

    def start(self) -> None:
        """Begin to take frames."""
        for thread in reversed(self._threads):
            thread.start()

    def set_crops(self, crops: Crops, changed: Iterable[str]) -> None:
        """Other crops, and frames of `changed` cameras that were taken before are left out: they are of the old
        picture. To be called while holding the core's lock, after the old readers were stopped."""
        self._plan = _Plan(self._plan.number + 1, crops)
        self._first_plan |= dict.fromkeys(changed, self._plan.number)

    def stop(self, within_s: float) -> bool:
        """Finish the batch that is being worked on, end all tracks, emit everything; whether that was done in time."""
        self._stop.set()
        self._board.close()
        until_s = self._clock.monotonic_s() + within_s
        detect, associate = self._threads
        if associate.is_alive() and detect.ident is None:
            self._hand_over(None)  # the detecting thread could not be started, so it does not say that it ends
        for thread in [thread for thread in self._threads if thread.ident is not None]:
            thread.join(max(until_s - self._clock.monotonic_s(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def idle(self) -> bool:
        """Nothing is being worked on."""
        return self._taken == self._empty + self._processed

    @property
    def stage_latency_s(self) -> dict[str, float]:
        """Mean seconds of the last batches, by stage."""
        return dict(self._means)

    def ages(self) -> list[tuple[float, float]]:
        """When the last frames were done, on the monotonic clock, and how old they were then."""
        with self._ages_lock:
            return list(self._ages)

    def frame_age_s(self) -> dict[float, float]:
        """Median and 99th percentile of how old the last frames were when they were done."""
        ages = [age_s for _, age_s in self.ages()]
        return {share: float(np.quantile(ages, share)) for share in (0.5, 0.99)} if ages else {}

    def _guarded(self, work: Callable[[], None]) -> None:
        """A mistake in the program ends the run, with what there is written, rather than going on without a part."""
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
                plan = self._plan  # before the frames: one that changes meanwhile leaves them out
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
        try:
            detections = self._detector.detect(frames)
        except Exception as error:
            self._detector_failed(error, frames)
            return []
        self._failures, self.detector_problem = 0, ""
        self._mean("detect", self._clock.monotonic_s() - began_s)
        self.batch_size += _NEWEST * (len(frames) - self.batch_size) if self.batch_size else len(frames)
        for frame in frames:
            self._record_of(frame.camera_id).inferred()
        return list(zip(frames, detections, strict=True))

    def _frame(self, live: LiveFrame, crop: tuple[int, int, int, int] | None) -> Frame | None:
        """The frame with its pixels, cut to the part that counts."""
        try:
            image = live.to_bgr()
        except Exception as error:
            # Once for each reason; how often it happens is counted.
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
            _log.error("the detector failed; the run goes on", exc_info=error)
        for frame in frames:
            self._record_of(frame.camera_id).dropped("detector_error")
        self._stop.wait(min(_FIRST_PAUSE_S * 2.0**self._failures, _LONGEST_PAUSE_S))
        self._failures = min(self._failures + 1, 30)

    # -- associating ----------------------------------------------------------------------------------------

    def _associate(self) -> None:
        try:
            self._associate_batches()
        finally:  # also after a mistake: the rows that wait for their ids are known
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
            self._process(batch)
            self._processed += 1

    def _process(self, taken: _Batch) -> None:
        before = dict(self._stages.seconds)
        for frame, detections in taken.detected:
            self._preview.offer(frame, detections.xyxy)
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
        """Without the frames of cameras that are read or cut differently by now."""
        current = []
        for frame, detections in batch.detected:
            if self._first_plan.get(frame.camera_id, 0) <= batch.plan.number:
                current.append((frame, detections))
            else:
                self._record_of(frame.camera_id).dropped("reload")
        return current

    def _pass_on(self, output: Output) -> None:
        self._emit(output)
        self._preview.rows(output.rows, self._clock.utc_s())

    def _mean(self, stage: str, seconds: float) -> None:
        before = self._means.get(stage, seconds)
        self._means[stage] = before + _NEWEST * (seconds - before)
