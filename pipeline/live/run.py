"""A live run as a whole: cameras, detector, tracking, output and status.

readers -> board -> detect -> associate -> row writer, sinks, preview
supervise (readers), housekeeping (identities, manifest)
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from pipeline.association.build import warn_of_classes_without_embeddings, without_embeddings
from pipeline.config.config import Config
from pipeline.core.datatypes import Correction
from pipeline.core.errors import InputError, RunError
from pipeline.core.models import Models
from pipeline.core.redaction import Redactor
from pipeline.core.stage_clock import StageClock
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.drawing.preview_feed import PreviewFeed
from pipeline.files.run_folder import OutputFolder
from pipeline.live.busy import BusyTimer, StuckParts, run_within, stuck_text
from pipeline.live.cameras.camera_plans import camera_plans, crops_of
from pipeline.live.cameras.fleet import CameraFleet, CameraPlan
from pipeline.live.guarded_thread import GuardedThread
from pipeline.live.host_clock import HostClock, LiveClock
from pipeline.live.inference_loop import InferenceLoop
from pipeline.live.output.gallery_file import GALLERY_NAME, load_gallery, save_gallery, without_forgotten
from pipeline.live.output.killed_runs import finish_killed_runs
from pipeline.live.output.manifest import Manifest
from pipeline.live.output.retention import Retention
from pipeline.live.output.row_writer import RowWriter
from pipeline.live.output.segments import SegmentWriter
from pipeline.live.reload import changes
from pipeline.live.sinks.base import Sink
from pipeline.live.sinks.build import credentials_of, secrets_of, sink_makers
from pipeline.live.sinks.feed import SinkFeed
from pipeline.live.telling.status import CameraStatus, LiveStatus
from pipeline.live.tolerant_embedder import TolerantEmbedder
from pipeline.live.tracking_core import Output, TrackingCore

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
_RELOAD_S = 5.0  # longest wait for tracking to let a new configuration in
_MANIFEST_INTERVAL_S = 30.0
_HOUSEKEEPING_S = 0.2
_RETRY_S = 1.0  # after a failed checkpoint or manifest

_log = logging.getLogger(__name__)


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
        self._config = config
        self._limits = limits
        self._models = models
        self._plans_of = plans_of
        self._redact = redact
        self._clock = clock or HostClock()
        self._prepare_reloads = reloads
        plans = plans_of(config)
        self._folder = OutputFolder(folder)
        with ExitStack() as undo:
            undo.callback(self._folder.close)
            self._build(undo, plans, previews, more_sinks, on_frame_age)
            undo.pop_all()

    def _build(
        self,
        undo: ExitStack,
        plans: list[CameraPlan],
        previews: Sequence[PreviewFeed],
        more_sinks: Sequence[tuple[str, Callable[[], Sink]]],
        on_frame_age: Callable[[str, float], None],
    ) -> None:
        """Build all parts; those that start threads come last.

        Args:
            undo: receives the clean-up of each part, in case a later part cannot be built.
        """
        config, models, folder, redact = self._config, self._models, self._folder.path, self._redact
        self.run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self._started_s = self._clock.monotonic_s()
        self._told: dict[str, str] = {}  # by what cannot be written: the same with the reason
        self._last_words: list[Correction] = []
        self._finish_killed_runs()
        self._plans = plans
        self._core_lock = threading.Lock()
        self._reload_lock = threading.Lock()
        stages = StageClock()
        gallery = load_gallery(folder, models.embedder_hash)
        if gallery is not None:
            gallery = without_forgotten(gallery, self._clock.utc_s(), config.linker.identity_memory_s)
        self._embedder = None if models.embedder is None else TolerantEmbedder(models.embedder)
        if self._embedder is not None:
            warn_of_classes_without_embeddings(
                without_embeddings(config, models.detector.class_names, self._embedder, models.embedder_hash)
            )
        self._core = TrackingCore(
            config,
            self._limits,
            embedder=self._embedder,
            class_names=dict(models.detector.class_names),
            gallery=gallery,
            stages=stages,
        )
        settings = config.live
        self._retention = Retention(folder, self.run_id, settings.retention, self._machine_utc_s)
        self._prune_remaps()
        self._segments = SegmentWriter(
            folder,
            self.run_id,
            self._clock,
            segment_s=settings.segment_s,
            segment_max_bytes=settings.segment_max_bytes,
            fsync_interval_s=settings.fsync_interval_s,
        )
        redact.add(secrets_of(settings.sinks))
        self._credentials = credentials_of(settings.sinks)
        sinks = [*sink_makers(settings.sinks, self.run_id), *more_sinks]
        self._fleet = CameraFleet(settings, self._clock, redact)
        self._inference = InferenceLoop(
            board=self._fleet.board,
            detector=models.detector,
            core=self._core,
            core_lock=self._core_lock,
            settings=settings,
            crops=crops_of(config.cameras),
            record_of=self._fleet.record,
            emit=self._emit,
            previews=previews,
            on_frame_age=on_frame_age,
            stages=stages,
            clock=self._clock,
            redact=redact,
        )
        self._manifest = Manifest(
            folder,
            self.run_id,
            versions=models.versions,
            hashes={"detector": models.detector.model_hash, "embedder": models.embedder_hash},
            computed_by=models.computed_by,
            redact=redact,
        )
        self._process = psutil.Process()
        self._stopping = threading.Event()
        self._memory_bytes = 0
        self._keeping = BusyTimer()
        self._kept = GuardedThread(self._housekeeping, "housekeeping")
        self._watched = GuardedThread(self._watch, "watch")
        self._identities: tuple[int, int, int, dict[str, int]] = (0, 0, 0, {})
        self._reloads = 0
        self._reload_problem = ""
        self.readers_ended = True
        self.threads_ended = True
        self._began = False
        self._checkpointed = False
        self._manifested = False
        self._writer = RowWriter(self._segments, self.run_id, self._clock, settings.max_waiting_rows)
        undo.callback(self._writer.close, 0.0)
        # Without these two, only a restart helps.
        self._vital: dict[str, Callable[[], float]] = {
            "the detector": lambda: self._inference.detecting_s,
            "tracking (with the embedder)": lambda: self._inference.tracking_s,
        }
        disk: dict[str, Callable[[], float]] = {
            "the disk (rows)": lambda: self._writer.disk_s,
            "the disk (identities and manifest)": lambda: self._keeping.busy_s,
        }
        self._stuck = StuckParts({**self._vital, **disk}, settings.stuck_after_s)
        self._sinks: list[SinkFeed] = []
        for name, make in sinks:
            self._sinks.append(SinkFeed(name, make, redact, settings.max_waiting_rows))
            undo.callback(self._sinks[-1].close, 0.0)
            self._sinks[-1].submit([], self._last_words)

    def start(self) -> None:
        """Connect to the cameras and start tracking; if that fails, `stop` cleans up."""
        self._checkpoint(closing=False)
        self._write_manifest("running")
        self._inference.start()
        self._fleet.start(self._plans)
        self._kept.start()
        self._watched.start()
        self._began = True

    @property
    def finished(self) -> bool:
        """Whether nothing more will come: all files have ended, or a thread has failed or does not return."""
        if self._mistake is not None or self._gone:
            return True
        return self._fleet.ended and self._fleet.board.empty and self._inference.idle

    def utc_s(self) -> float:
        """Return Unix seconds on the run's clock, which never goes back; see `HostClock`."""
        return self._clock.utc_s()

    def _machine_utc_s(self) -> float:
        """Return Unix seconds on the machine's clock, by which ages of files count."""
        return self._clock.utc_s() - self._clock_ahead_s

    @property
    def _clock_ahead_s(self) -> float:
        return self._clock.ahead_s if isinstance(self._clock, HostClock) else 0.0

    def cameras(self) -> tuple[CameraStatus, ...]:
        return self._fleet.status()

    def status(self) -> LiveStatus:
        in_view, total, known, by_class = self._identities
        writer = self._writer
        stuck = self._stuck.stuck_s()
        unwritten = writer.problem or "; ".join(sorted(self._told.values()))
        return LiveStatus(
            utc=datetime.fromtimestamp(self._clock.utc_s(), UTC),
            run_id=self.run_id,
            uptime_s=self._clock.monotonic_s() - self._started_s,
            cameras=self._fleet.status(),
            identities_now=in_view,
            identities_total=total,
            identities_known=known,
            identities_by_class=by_class,
            rows_written=writer.rows_written,
            rows_waiting=writer.rows_waiting,
            rows_lost=self._rows_lost,
            writer_ok=not unwritten,
            writer_problem=self._redact(unwritten),
            since_fsync_s=writer.since_sync_s if writer.rows_written else None,
            batch_size=self._inference.batch_size,
            stage_latency_s=self._inference.stage_latency_s,
            row_latency_s=writer.latency_s(),
            frame_age_s=self._inference.frame_age_s(),
            memory_bytes=self._memory(),
            detector_problem=self._inference.detector_problem,
            stuck="; ".join(stuck_text(name, seconds) for name, seconds in stuck.items()),
            clock_ahead_s=self._clock_ahead_s,
            alive=not stuck.keys() & self._vital.keys(),
            embedder_failures=0 if self._embedder is None else self._embedder.failures,
            sinks=tuple(sink.status() for sink in self._sinks),
            reloads=self._reloads,
            reload_problem=self._reload_problem,
        )

    def _memory(self) -> int:
        """Return the resident memory in bytes; the last known value if no descriptor is free to ask for it."""
        with suppress(OSError, psutil.Error):
            self._memory_bytes = int(self._process.memory_info().rss)
        return self._memory_bytes

    def frame_ages(self, since_s: float) -> list[float]:
        """Return the seconds from capture to the end of tracking for frames tracked since `since_s`, a time in s on the
        monotonic clock."""
        return [age_s for done_s, age_s in self._inference.ages() if done_s >= since_s]

    def reload(self, load: Callable[[], Config]) -> None:
        """Apply a new configuration as a whole or not at all, and log which.

        Args:
            load: called to read and validate it; may raise InputError.
        """
        with self._reload_lock:
            try:
                config = load()
                plans = self._plans_of(config)
                differences = changes(self._config, config, self._plans, plans)
                credentials = credentials_of(config.live.sinks)
                applying = [prepare(config) for prepare in self._prepare_reloads]
            except Exception as error:  # whatever is wrong with the new configuration, the run goes on
                problem = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                self._reload_problem = self._redact(" ".join(problem.split()))
                _log.error(
                    "the new configuration was not applied; the old one stays in use: %s", self._reload_problem
                )
                return
            if not self._core_lock.acquire(timeout=_RELOAD_S):
                self._reload_problem = "tracking does not return"
                _log.error(
                    "the new configuration was not applied; the old one stays in use: tracking does not return"
                )
                return
            try:
                # Old readers stop first: their later frames would be mistaken for frames of the new picture.
                self._fleet.set_cameras(plans, restart=set(differences.reconnect))
                self._core.set_cameras(config.cameras, config.linker.transit_windows)
                self._inference.set_crops(crops_of(config.cameras), differences.new_picture)
            finally:
                self._core_lock.release()
            self._redact.add(secrets_of(config.live.sinks))
            for feed, before, after in zip(self._sinks, self._credentials, credentials, strict=False):
                if before != after:
                    feed.reopen()
            for apply in applying:
                apply()
            self._credentials = credentials
            self._config, self._plans = config, plans
            self._reloads += 1
            self._reload_problem = ""
            _log.warning("the new configuration is in use: %s", differences)

    def stop(self) -> None:
        """Write everything and release all resources, within 2 s.

        Raises:
            RunError: rows were lost, a thread has failed, or the detector did not return in time.
        """
        sinks_until_s = time.monotonic() + _STOP_SINKS_UNTIL_S
        gone = self._gone
        self._stopping.set()
        self.readers_ended = self._fleet.stop(0.0)
        worked = self._inference.stop(_STOP_WORK_S)
        for sink in self._sinks:
            sink.begin_close()
        self._writer.close(_STOP_WRITE_S)
        for thread in (self._kept, self._watched):
            if thread.is_alive():
                thread.join(_STOP_SINKS_S)
        written = self._finish(lambda: self._checkpoint(closing=True))
        sinks_until_s = max(sinks_until_s, time.monotonic() + _STOP_SINKS_S)
        for sink in self._sinks:
            sink.close(max(0.0, sinks_until_s - time.monotonic()))
        lost = self._rows_lost
        mistake = self._mistake
        failed = mistake is not None or bool(gone) or not worked or not self._began
        state = "failed" if failed else "rows_lost" if lost else "complete"
        written = written and self._finish(lambda: self._write_manifest(state))
        self.readers_ended = self.readers_ended or self._fleet.stop(_STOP_READERS_S)
        written = written and self._finish(self._folder.close)
        self.threads_ended = worked and written
        if isinstance(mistake, RunError):
            raise mistake
        if mistake is not None:
            raise RunError(f"the program failed: {self._redact(repr(mistake))}")
        if gone:
            raise RunError(f"{gone}, so the run ended; start it again")
        if not worked:
            raise RunError("the detector did not return in time; the rows of its last batch are missing")
        if lost:
            raise RunError(f"{lost} rows could not be written and are lost ({self._writer.last_problem})")
        if not written:
            raise RunError(f"the disk of {self._folder.path} does not answer; its last files are missing")

    def _finish(self, work: Callable[[], object]) -> bool:
        """Run the last work on the disk; return whether it ended. A disk that does not answer must not hold up the
        end."""
        blocked_s = max(self._writer.disk_s, self._keeping.busy_s)
        within_s = _STOP_FILES_BLOCKED_S if blocked_s >= _BLOCKED_AT_STOP_S else _STOP_FILES_S
        return run_within(work, within_s, "finish")

    @property
    def _gone(self) -> str:
        """Which vital part has not returned for so long that the run ends; empty if there is none."""
        limit_s = self._config.live.stuck_exit_s
        gone = {name: seconds for name, busy_s in self._vital.items() if (seconds := busy_s()) >= limit_s}
        texts = [stuck_text(name, seconds) for name, seconds in gone.items()]
        if self._inference.detector_problem:
            texts = [f"{text} ({self._inference.detector_problem})" for text in texts]
        return "; ".join(texts)

    def _watch(self) -> None:
        """Report parts that do not return. This thread uses no disk and no lock of the others."""
        while not self._stopping.wait(_WATCH_S):
            self._stuck.tell()
            if isinstance(self._clock, HostClock):
                self._clock.follow()

    @property
    def _rows_lost(self) -> int:
        return self._writer.rows_lost + self._inference.rows_lost

    @property
    def _mistake(self) -> BaseException | None:
        """The exception that ended one of the threads; None if there is none."""
        threads = (self._inference, self._fleet, self._writer, self._kept, self._watched)
        errors = [thread.error for thread in threads]
        return next((error for error in errors if error is not None), None)

    def _emit(self, output: Output) -> None:
        self._identities = (
            self._core.identities_in_view,
            self._core.identities_total,
            self._core.identities_known,
            self._core.identities_by_class,
        )
        self._writer.submit(output.rows, output.corrections)
        for sink in self._sinks:
            sink.submit(output.rows, output.corrections)

    def _finish_killed_runs(self) -> None:
        try:
            self._last_words = finish_killed_runs(self._folder.path)
        except OSError as error:
            _log.error(
                "the files of a killed run cannot be completed (%s); the next start tries again", error.strerror
            )

    def _prune_remaps(self) -> None:
        self._tell("old corrections cannot be deleted", self._retention.prune_remaps)

    def _housekeeping(self) -> None:
        # The first deletion waits for its interval: right after a boot, the clock may be wrong, and all rows seem old.
        checkpoint_s = manifest_s = retained_s = time.monotonic()
        rows = 0
        while not self._stopping.wait(_HOUSEKEEPING_S):
            now_s = time.monotonic()
            with self._keeping():
                self._tell("the output folder cannot be locked", self._folder.hold_again)
                if now_s - checkpoint_s >= _sooner(self._config.live.checkpoint_interval_s, self._checkpointed):
                    checkpoint_s = now_s
                    # Without new rows nobody was seen, but old identities still have to be removed from the file.
                    written = self._writer.rows_written + self._writer.rows_waiting
                    if written != rows or self._identities[2] or not self._checkpointed:
                        rows = written
                        self._checkpoint(closing=False)
                if now_s - retained_s >= self._config.live.retention.check_interval_s:
                    retained_s = now_s
                    self._tell("old segments cannot be deleted", self._retention.enforce)
                    self._writer.replace_remap(self._prune_remaps)
                if now_s - manifest_s >= _sooner(_MANIFEST_INTERVAL_S, self._manifested):
                    manifest_s = now_s
                    self._write_manifest("running")

    def _checkpoint(self, *, closing: bool) -> None:
        if not self._core_lock.acquire(timeout=0.5):
            return  # the next checkpoint is enough
        try:
            gallery = self._core.gallery()
        finally:
            self._core_lock.release()
        path = self._folder.path / GALLERY_NAME
        self._checkpointed = self._tell(
            "identities cannot be written",
            lambda: save_gallery(path, gallery, self._models.embedder_hash, closing=closing),
        )

    def _write_manifest(self, state: str) -> None:
        self._manifested = self._tell(
            "the manifest cannot be written",
            lambda: self._manifest.write(
                state, self._config, self._limits, self.status(), self._segments.finished
            ),
        )

    def _tell(self, problem: str, work: Callable[[], None]) -> bool:
        """Run `work`, which can be repeated later; log an OSError once per problem. Return whether it succeeded."""
        try:
            work()
        except OSError as error:
            told = f"{problem} ({error.strerror or error})"
            if self._told.get(problem) != told:
                _log.error("%s; trying again", told)
            self._told = {**self._told, problem: told}
            return False
        self._told = {name: told for name, told in self._told.items() if name != problem}
        return True


def _sooner(interval_s: float, succeeded: bool) -> float:
    """Return the interval until the next attempt, which is shorter after a failure."""
    return interval_s if succeeded else min(interval_s, _RETRY_S)


def default_plans(simulate_live: bool, redact: Redactor) -> Callable[[Config], list[CameraPlan]]:
    """Return the function that plans how the cameras of a configuration are opened."""
    return lambda config: camera_plans(config, simulate_live=simulate_live, redact=redact)
