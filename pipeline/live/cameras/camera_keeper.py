"""Keeps one camera connected: starts readers, watches them, waits, and starts again."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.live.cameras.camera_record import CameraRecord
from pipeline.live.cameras.problem import Reason, StreamProblem
from pipeline.live.cameras.reader import Reader
from pipeline.live.cameras.retry import RetrySchedule, RetryTimes
from pipeline.live.telling.status import CameraState

# FFmpeg ends an attempt to open at its own limit. A reader that has not returned this long after that limit hangs.
_OPEN_GRACE_S = 2.0
# A reader that receives other data than video ends by itself at that limit, if a packet arrives then.
_OTHER_DATA_GRACE_S = 0.3
# If packets arrive without a picture for this long, the cause is not just a distant key frame.
_FIRST_PICTURE_S = 15.0
# A camera that was up counts as stalled when no picture came for both this time and this number of frame periods. Its
# connection is abandoned much later.
_QUIET_S = 1.2
_QUIET_PERIODS = 4
# A camera all of whose pictures are damaged for this long is not up. Key frames are up to some seconds apart.
_DAMAGED_S = 5.0
# Maximum number of hanging readers of one camera.
_MAX_HANGING = 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeeperSettings:
    """See `live` in configs/default.yaml.

    Attributes:
        ends: whether the source is a file, whose end is not a fault.
        quiet_s: a camera with few frames is not stalled before this time without a picture.
    """

    retry: RetryTimes
    open_timeout_s: float
    stalled_after_s: float
    ends: bool = False
    quiet_s: float = 0.0


class CameraKeeper:
    """Supervises one camera; `tick` is called many times a second and never blocks.

    Args:
        start_reader: starts a connection in a thread of its own.
        on_down: called when no more frames of the camera are expected.
    """

    def __init__(
        self,
        record: CameraRecord,
        settings: KeeperSettings,
        start_reader: Callable[[], Reader],
        on_down: Callable[[], None],
        rng: random.Random,
    ) -> None:
        self._record = record
        self._settings = settings
        self._start_reader = start_reader
        self._on_down = on_down
        self._retry = RetrySchedule(settings.retry, rng)
        self._reader: Reader | None = None
        self._hanging: list[Reader] = []
        self._next_s = float("-inf")
        self._told: tuple[CameraState, str] | None = None

    @property
    def ended(self) -> bool:
        """Whether the camera is a file that was played to its end."""
        return self._record.state is CameraState.ENDED

    def tick(self, now_s: float) -> None:
        """Start, check or abandon a connection if that is due at `now_s`, in s on the monotonic clock."""
        if self.ended:
            return
        self._hanging = [reader for reader in self._hanging if reader.alive]
        if self._reader is None:
            if now_s >= self._next_s and len(self._hanging) < _MAX_HANGING:
                self._reader = self._start_reader()
                if self._record.state is not CameraState.DENIED:
                    self._record.set_state(CameraState.CONNECTING)
            return
        if not self._reader.alive:
            self._finished(self._reader, now_s)
        else:
            self._watch(self._reader, now_s)

    def stop(self) -> list[Reader]:
        """Stop, and return the readers that may still be alive."""
        if self._reader is not None:
            self._leave(self._reader)
        self._on_down()
        return self._hanging

    def _watch(self, reader: Reader, now_s: float) -> None:
        settings = self._settings
        silent_s = now_s - reader.progress_s
        limit_s = settings.stalled_after_s if reader.opened else settings.open_timeout_s + _OPEN_GRACE_S
        if reader.other_data:
            limit_s += _OTHER_DATA_GRACE_S
        if silent_s > limit_s:
            what = "sent no video" if reader.opened else "did not answer"
            self._give_up(reader, StreamProblem(Reason.STALLED, f"{what} for {silent_s:.1f} s"), now_s)
            return
        if reader.picture_s is None or now_s - reader.picture_s > self._no_picture_s(reader):
            if reader.picture_s is not None:
                text = f"packets arrive, but no picture for {now_s - reader.picture_s:.1f} s"
                self._give_up(reader, StreamProblem(Reason.CODEC, text), now_s)
            elif reader.opened and now_s - reader.started_s > settings.open_timeout_s + _FIRST_PICTURE_S:
                self._give_up(reader, StreamProblem(Reason.CODEC, "packets arrive, but no picture"), now_s)
            return
        quiet_s = max(_QUIET_S, _QUIET_PERIODS * reader.period_s, self._settings.quiet_s)
        usable_s = reader.usable_s or reader.first_picture_s or reader.picture_s
        if now_s - reader.picture_s > quiet_s:
            if self._record.state is not CameraState.STALLED:
                self._down(CameraState.STALLED, f"no picture for {now_s - reader.picture_s:.1f} s")
        elif now_s - usable_s > max(_DAMAGED_S, quiet_s):
            if self._record.state is not CameraState.STALLED:
                self._down(
                    CameraState.STALLED,
                    f"all pictures are damaged for {now_s - usable_s:.1f} s; with transport: udp, packets are lost",
                )
        elif self._record.state is not CameraState.UP and reader.usable_s is not None:
            self._record.set_state(CameraState.UP, "")
            self._tell(CameraState.UP, "pictures arrive")

    def _no_picture_s(self, reader: Reader) -> float:
        """Return after how many seconds a stream that was up and has packets without pictures is opened again."""
        if self._settings.ends:
            return float("inf")
        return max(_FIRST_PICTURE_S, 2 * _QUIET_PERIODS * reader.period_s, 2 * self._settings.quiet_s)

    def _give_up(self, reader: Reader, problem: StreamProblem, now_s: float) -> None:
        self._record.abandoned()
        self._leave(reader)
        self._again(reader, problem, now_s)

    def _leave(self, reader: Reader) -> None:
        reader.stop()
        self._hanging.append(reader)
        self._reader = None

    def _finished(self, reader: Reader, now_s: float) -> None:
        self._reader = None
        problem = reader.problem or StreamProblem(Reason.ENDED, "the stream ended")
        if self._settings.ends and problem.reason is Reason.ENDED:
            self._down(CameraState.ENDED, "")
            return
        self._again(reader, problem, now_s)

    def _again(self, reader: Reader, problem: StreamProblem, now_s: float) -> None:
        """Plan the next connection."""
        self._record.disconnected(problem.reason.value)
        took_s = now_s - reader.started_s
        if reader.first_picture_s is not None:
            self._retry.succeeded(now_s - reader.first_picture_s)
            took_s = 0.0
        wait_s = self._retry.wait_s(problem.reason, took_s)
        self._next_s = now_s + wait_s
        denied = problem.reason is Reason.DENIED
        self._down(CameraState.DENIED if denied else CameraState.WAITING, problem.text)

    def _down(self, state: CameraState, problem: str) -> None:
        self._record.set_state(state, problem)
        self._on_down()
        self._tell(state, problem)

    def _tell(self, state: CameraState, text: str) -> None:
        """Log a state if it is new, so that a camera that is unreachable for days is logged once."""
        news = (state, text.partition(" for ")[0])
        if news != self._told:
            before, self._told = self._told, news
            # The first time that a camera is up is no news; after a warning, its end must be seen.
            good = state is CameraState.ENDED or (state is CameraState.UP and before is None)
            log = _log.info if good else _log.warning
            log("camera %s: %s%s", self._record.name, state.value, f", {text}" if text else "")
