"""All cameras of a live run: their readers, keepers and records, and the thread that supervises them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.config.live_settings import LiveSettings
from pipeline.core.redaction import Redactor
from pipeline.live.cameras.camera_keeper import CameraKeeper, KeeperSettings
from pipeline.live.cameras.camera_record import CameraRecord
from pipeline.live.cameras.capture_clock import CaptureClock
from pipeline.live.cameras.frame_board import FrameBoard
from pipeline.live.cameras.problem import Reason
from pipeline.live.cameras.reader import Reader, ReaderSettings, frame_numbers
from pipeline.live.cameras.received_packets import ReceivedPackets
from pipeline.live.cameras.retry import RetryTimes
from pipeline.live.cameras.stream import StreamOpener
from pipeline.live.guarded_thread import GuardedThread
from pipeline.live.host_clock import LiveClock
from pipeline.live.telling.status import CameraStatus

_TICK_S = 0.05


@dataclass(frozen=True)
class CameraPlan:
    """How one camera is read.

    Attributes:
        opener: opens the stream; openers that open the same stream in the same way are equal.
        is_file: whether it is a file, which is played once at its own speed and whose end is not a fault.
        frame_interval_s: largest time between two frames that is normal for this camera; 0 if it is short.
        offset_s: for a file: seconds from the start of the first file of the run to the start of this one.
    """

    name: str
    opener: StreamOpener
    is_file: bool = False
    offset_s: float = 0.0
    frame_interval_s: float = 0.0


class CameraFleet:
    """Runs the cameras. They can be added, removed and restarted without affecting the others."""

    def __init__(self, settings: LiveSettings, clock: LiveClock, redact: Redactor) -> None:
        self._settings = settings
        self._clock = clock
        self._redact = redact
        self._lock = threading.Lock()
        self._cameras: dict[str, _Camera] = {}
        # Kept when a camera is removed, so that its frame numbers continue if it comes back.
        self._records: dict[str, tuple[CameraRecord, Iterator[int], CaptureClock, ReceivedPackets]] = {}
        self._left: list[Reader] = []
        self._stop = threading.Event()
        self._file_start_s: float | None = None
        self.board = FrameBoard(clock, self._dropped)
        self._thread = GuardedThread(self._run, "supervise")

    def start(self, plans: Sequence[CameraPlan]) -> None:
        """Connect to the cameras; returns at once."""
        self.set_cameras(plans, restart=set())
        self._thread.start()

    def set_cameras(self, plans: Sequence[CameraPlan], restart: set[str]) -> None:
        """Disconnect cameras that are not in `plans`, connect to new ones, and reconnect those in `restart`."""
        if self._file_start_s is None:
            self._file_start_s = self._clock.monotonic_s()
        with self._lock:
            wanted = {plan.name: plan for plan in plans}
            for name in [name for name in self._cameras if name not in wanted or name in restart]:
                camera = self._cameras.pop(name)
                self._left += camera.keeper.stop()
                self.board.forget(name)
                if name in wanted:
                    camera.record.disconnected(Reason.RELOAD.value)
            self._cameras = {
                name: self._cameras[name] if name in self._cameras else self._new(plan)
                for name, plan in wanted.items()
            }

    def record(self, name: str) -> CameraRecord:
        """Return the counters of a camera, including a removed one; raise KeyError for an unknown name."""
        return self._records[name][0]

    def status(self) -> tuple[CameraStatus, ...]:
        """Return the status of the current cameras, in the order of the configuration."""
        return tuple(camera.record.status() for camera in list(self._cameras.values()))

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the supervising thread; None while it works."""
        return self._thread.error

    @property
    def ended(self) -> bool:
        """Whether all cameras are files that were played to their end."""
        cameras = list(self._cameras.values())
        return bool(cameras) and all(camera.keeper.ended for camera in cameras)

    def stop(self, within_s: float) -> bool:
        """Disconnect all cameras; return whether all readers ended within `within_s` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            readers = [reader for camera in self._cameras.values() for reader in camera.keeper.stop()]
        until_s = time.monotonic() + within_s
        readers += self._left
        return all(reader.join(max(until_s - time.monotonic(), 0.0)) for reader in readers)

    def _run(self) -> None:
        while not self._stop.wait(_TICK_S):
            now_s = self._clock.monotonic_s()
            with self._lock:
                for camera in self._cameras.values():
                    camera.keeper.tick(now_s)
                self._left = [reader for reader in self._left if reader.alive]

    def _dropped(self, camera_id: str, cause: str) -> None:
        self._records[camera_id][0].dropped(cause)

    def _new(self, plan: CameraPlan) -> _Camera:
        settings = self._settings
        if plan.name not in self._records:
            self._records[plan.name] = (
                CameraRecord(plan.name, self._clock),
                frame_numbers(),
                CaptureClock(settings.max_clock_offset_s),
                ReceivedPackets(),
            )
        record, numbers, capture_clock, received = self._records[plan.name]
        stalled_after_s = settings.stalled_after_s + 2 * plan.frame_interval_s
        file_start_s = None
        if plan.is_file:
            assert self._file_start_s is not None
            file_start_s = self._file_start_s + plan.offset_s
        start_reader: Callable[[], Reader] = partial(
            Reader,
            record,
            plan.opener,
            ReaderSettings(
                settings.max_fps,
                settings.max_age_s,
                settings.max_lag_s,
                file_start_s,
                stalled_after_s=stalled_after_s,
            ),
            clock=self._clock,
            capture_clock=capture_clock,
            frame_index=numbers,
            show=self.board.put,
            redact=self._redact,
            received=received,
        )
        keeper = CameraKeeper(
            record,
            KeeperSettings(
                RetryTimes(settings.retry_min_s, settings.retry_max_s, settings.retry_denied_s),
                settings.open_timeout_s + 2 * plan.frame_interval_s,
                stalled_after_s,
                ends=plan.is_file,
                quiet_s=2 * plan.frame_interval_s,
            ),
            start_reader,
            partial(self.board.do_not_expect, plan.name),
            random.Random(plan.name),
        )
        return _Camera(record, keeper)


@dataclass(frozen=True, eq=False)
class _Camera:
    record: CameraRecord
    keeper: CameraKeeper
