"""A live run as a whole: cameras, detector, tracking, output and status.

readers -> board -> detect -> associate -> row writer, sinks, preview
supervise (readers), housekeeping (identities, manifest), watch (parts that do not return)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline.config.config import Config
from pipeline.core.errors import RunError
from pipeline.core.models import Models
from pipeline.core.redaction import Redactor
from pipeline.cross_camera.gallery import Gallery
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.drawing.preview_feed import PreviewFeed
from pipeline.files.run_folder import OutputFolder
from pipeline.live.busy import StuckParts, run_within, stuck_text
from pipeline.live.cameras.camera_plans import camera_plans
from pipeline.live.cameras.fleet import CameraPlan
from pipeline.live.guarded_thread import GuardedThread
from pipeline.live.host_clock import HostClock, LiveClock
from pipeline.live.housekeeping import Housekeeping
from pipeline.live.parts import build_parts
from pipeline.live.reload import Reloader
from pipeline.live.run_status import RunStatus
from pipeline.live.sinks.base import Sink
from pipeline.live.telling.status import CameraStatus, LiveStatus

# Stopping takes at most 2 s in total, for the current batch, the rows, the sinks and the readers.
_STOP_WORK_S = 1.2
_STOP_WRITE_S = 0.4
# Sinks work while rows and identities are written. They have until the first time after the start of the stop, but at
# least the second time.
_STOP_SINKS_UNTIL_S = 1.6
_STOP_SINKS_S = 0.15
_STOP_READERS_S = 0.1
# The last files, on a disk that has answered so far, and on one that has not.
_STOP_FILES_S = 10.0
_STOP_FILES_BLOCKED_S = 0.2
# A disk that has not returned for this long when the run ends may never return.
_BLOCKED_AT_STOP_S = 0.5
_WATCH_S = 0.5
_PEOPLE_WAIT_S = 5.0


class LiveRun:
    """Tracks live cameras until it is stopped; implements `StatusSource`.

    Args:
        plans_of: returns how the cameras of a configuration are opened.
        previews: receive frames and rows.
        more_sinks: (name, factory) of sinks besides those of the configuration.
        reloads: called with each new configuration before it is applied; may raise InputError. Each returns the
            function that applies it.
        on_frame_age: called with the camera and the seconds from capture to the end of tracking, for each frame.
        folder: receives the files; locked until `stop`.

    Raises:
        InputError: the configuration or the folder cannot be used.
    """

    def __init__(
        self,
        config: Config,
        limits: MatchLimits,
        models: Models,
        folder: Path,
        *,
        plans_of: Callable[[Config], list[CameraPlan]],
        redact: Redactor,
        previews: Sequence[PreviewFeed] = (),
        more_sinks: Sequence[tuple[str, Callable[[], Sink]]] = (),
        reloads: Sequence[Callable[[Config], Callable[[], None]]] = (),
        on_frame_age: Callable[[str, float], None] = lambda camera_id, age_s: None,
        clock: LiveClock | None = None,
    ) -> None:
        clock = clock or HostClock()
        plans = plans_of(config)
        output = OutputFolder(folder)
        with ExitStack() as undo:
            undo.callback(output.close)
            parts = build_parts(
                config,
                limits,
                models,
                output,
                undo,
                redact=redact,
                clock=clock,
                previews=previews,
                more_sinks=more_sinks,
                on_frame_age=on_frame_age,
            )
            self._reloader = Reloader(config, plans, parts, plans_of=plans_of, prepare=reloads)
            undo.pop_all()
        self._parts = parts
        self._kept = Housekeeping(parts, limits, lambda: self._reloader.config, self.status)
        # Without these two, only a restart helps.
        self._vital: dict[str, Callable[[], float]] = {
            "the detector": lambda: parts.inference.detecting_s,
            "tracking (with the embedder)": lambda: parts.inference.tracking_s,
        }
        disk: dict[str, Callable[[], float]] = {
            "the disk (rows)": lambda: parts.output.writer.disk_s,
            "the disk (identities and manifest)": lambda: self._kept.busy_s,
        }
        self._stuck = StuckParts({**self._vital, **disk}, config.live.stuck_after_s)
        self._stuck_exit_s = config.live.stuck_exit_s
        self._status = RunStatus(parts, self._reloader, self._stuck, self._vital)
        self._stopping = threading.Event()
        self._watched = GuardedThread(self._watch, "watch")
        self._began = False
        self.readers_ended = True
        self.threads_ended = True

    @property
    def run_id(self) -> str:
        """Part of the names of the output files."""
        return self._parts.run_id

    def start(self) -> None:
        """Connect to the cameras and start tracking; if that fails, `stop` cleans up."""
        self._kept.checkpoint(closing=False)
        self._kept.write_manifest("running")
        self._parts.inference.start()
        self._parts.fleet.start(self._reloader.plans)
        self._kept.start()
        self._watched.start()
        self._began = True

    @property
    def finished(self) -> bool:
        """Whether nothing more will come: all files have ended, or a thread has failed or does not return."""
        if self._mistake is not None or self._gone:
            return True
        fleet = self._parts.fleet
        return fleet.ended and fleet.board.empty and self._parts.inference.idle

    def utc_s(self) -> float:
        """Return Unix seconds on the run's clock, which never goes back; see `HostClock`."""
        return self._parts.clock.utc_s()

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._reloader.config

    def known_people(self) -> Gallery:
        """Return a copy of the identities that the run can recognise; tracking waits for some milliseconds meanwhile.

        Raises:
            RunError: tracking does not return.
        """
        if not self._parts.core_lock.acquire(timeout=_PEOPLE_WAIT_S):
            raise RunError("tracking does not return")
        try:
            return self._parts.core.gallery()
        finally:
            self._parts.core_lock.release()

    def cameras(self) -> tuple[CameraStatus, ...]:
        return self._parts.fleet.status()

    def status(self) -> LiveStatus:
        return self._status.status()

    def frame_ages(self, since_s: float) -> list[float]:
        """Return the seconds from capture to the end of tracking for frames tracked since `since_s`, a time in s on the
        monotonic clock."""
        return [age_s for done_s, age_s in self._parts.inference.ages() if done_s >= since_s]

    def reload(self, load: Callable[[], Config]) -> None:
        """Apply a new configuration; see `Reloader.reload`."""
        self._reloader.reload(load)

    def stop(self) -> None:
        """Write everything and release all resources, within 2 s.

        Raises:
            RunError: rows were lost, a thread has failed, or the detector did not return in time.
        """
        parts, writer, sinks = self._parts, self._parts.output.writer, self._parts.output.sinks
        sinks_until_s = time.monotonic() + _STOP_SINKS_UNTIL_S
        gone = self._gone
        self._stopping.set()
        self.readers_ended = parts.fleet.stop(0.0)
        worked = parts.inference.stop(_STOP_WORK_S)
        for sink in sinks:
            sink.begin_close()
        writer.close(_STOP_WRITE_S)
        self._kept.stop(_STOP_SINKS_S)
        if self._watched.is_alive():
            self._watched.join(_STOP_SINKS_S)
        written = self._finish(lambda: self._kept.checkpoint(closing=True))
        sinks_until_s = max(sinks_until_s, time.monotonic() + _STOP_SINKS_S)
        for sink in sinks:
            sink.close(max(0.0, sinks_until_s - time.monotonic()))
        lost = writer.rows_lost + parts.inference.rows_lost
        mistake = self._mistake
        failed = mistake is not None or bool(gone) or not worked or not self._began
        state = "failed" if failed else "rows_lost" if lost else "complete"
        written = written and self._finish(lambda: self._kept.write_manifest(state))
        self.readers_ended = self.readers_ended or parts.fleet.stop(_STOP_READERS_S)
        written = written and self._finish(parts.folder.close)
        self.threads_ended = worked and written
        if isinstance(mistake, RunError):
            raise mistake
        if mistake is not None:
            raise RunError(f"the program failed: {parts.redact(repr(mistake))}")
        if gone:
            raise RunError(f"{gone}, so the run ended; start it again")
        if not worked:
            raise RunError("the detector did not return in time; the rows of its last batch are missing")
        if lost:
            raise RunError(f"{lost} rows are lost ({writer.last_problem})")
        if not written:
            raise RunError(f"the disk of {parts.folder.path} does not answer; its last files are missing")

    def _finish(self, work: Callable[[], object]) -> bool:
        """Run the last work on the disk; return whether it ended. A disk that does not answer must not hold up the
        end."""
        blocked_s = max(self._parts.output.writer.disk_s, self._kept.busy_s)
        within_s = _STOP_FILES_BLOCKED_S if blocked_s >= _BLOCKED_AT_STOP_S else _STOP_FILES_S
        return run_within(work, within_s, "finish")

    @property
    def _gone(self) -> str:
        """Which vital part has not returned for so long that the run ends; empty if there is none."""
        gone = {
            name: seconds for name, busy_s in self._vital.items() if (seconds := busy_s()) >= self._stuck_exit_s
        }
        texts = [stuck_text(name, seconds) for name, seconds in gone.items()]
        if self._parts.inference.detector_problem:
            texts = [f"{text} ({self._parts.inference.detector_problem})" for text in texts]
        return "; ".join(texts)

    def _watch(self) -> None:
        """Report parts that do not return. This thread uses no disk and no lock of the others."""
        while not self._stopping.wait(_WATCH_S):
            self._stuck.tell()
            self._parts.clock.follow()

    @property
    def _mistake(self) -> BaseException | None:
        """The exception that ended one of the threads; None if there is none."""
        parts = self._parts
        threads = (parts.inference, parts.fleet, parts.output.writer, self._kept, self._watched)
        errors = [thread.error for thread in threads]
        return next((error for error in errors if error is not None), None)


def default_plans(simulate_live: bool, redact: Redactor) -> Callable[[Config], list[CameraPlan]]:
    """Return the function that plans how the cameras of a configuration are opened."""
    return lambda config: camera_plans(config, simulate_live=simulate_live, redact=redact)
