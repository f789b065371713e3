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
from contextlib import ExitStack
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
from pipeline.live.sinks.build import secrets_of, sink_makers
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
_MANIFEST_INTERVAL_S = 30.0
_HOUSEKEEPING_S = 0.2
_CHECKPOINT_RETRY_S = 1.0  # after a failed checkpoint

_log = logging.getLogger(__name__)


class LiveRun:
    """Tracks live cameras until it is stopped; implements `StatusSource`.

    Args:
        plans_of: returns how the cameras of a configuration are opened.
        previews: receive frames and rows.
        more_sinks: (name, factory) of sinks besides those of the configuration.
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
        on_frame_age: Callable[[str, float], None] = lambda camera_id, age_s: None,
        clock: LiveClock | None = None,
    ) -> None:
        self._config = config
        self._limits = limits
        self._models = models
        self._plans_of = plans_of
        self._redact = redact
        self._clock = clock or HostClock()
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
        self._told: set[str] = set()
        self._last_words: list[Correction] = []
        self._tell("the files of a killed run cannot be completed", self._finish_killed_runs)
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
        self._retention = Retention(folder, self.run_id, settings.retention, self._clock.utc_s)
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
        self._kept = GuardedThread(self._housekeeping, "housekeeping")
        self._identities: tuple[int, int, int, dict[str, int]] = (0, 0, 0, {})
        self._reloads = 0
        self._reload_problem = ""
        self.readers_ended = True
        self._began = False
        self._checkpointed = False
        self._writer = RowWriter(self._segments, self.run_id, self._clock, settings.max_waiting_rows)
        undo.callback(self._writer.close, 0.0)
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
        self._began = True

    @property
    def finished(self) -> bool:
        """Whether nothing more will come: all cameras are files that ended, or a thread has failed."""
        if self._mistake is not None:
            return True
        return self._fleet.ended and self._fleet.board.empty and self._inference.idle

    def utc_s(self) -> float:
        """Return Unix seconds on the run's clock, which ignores changes of the machine's clock."""
        return self._clock.utc_s()

    def cameras(self) -> tuple[CameraStatus, ...]:
        return self._fleet.status()

    def status(self) -> LiveStatus:
        in_view, total, known, by_class = self._identities
        writer = self._writer
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
            writer_ok=not writer.problem,
            writer_problem=self._redact(writer.problem),
            since_fsync_s=writer.since_sync_s if writer.rows_written else None,
            batch_size=self._inference.batch_size,
            stage_latency_s=self._inference.stage_latency_s,
            row_latency_s=writer.latency_s(),
            frame_age_s=self._inference.frame_age_s(),
            memory_bytes=int(self._process.memory_info().rss),
            detector_problem=self._inference.detector_problem,
            embedder_failures=0 if self._embedder is None else self._embedder.failures,
            sinks=tuple(sink.status() for sink in self._sinks),
            reloads=self._reloads,
            reload_problem=self._reload_problem,
        )

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
            except Exception as error:  # whatever is wrong with the new configuration, the run goes on
                problem = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                self._reload_problem = self._redact(" ".join(problem.split()))
                _log.error(
                    "the new configuration was not applied; the old one stays in use: %s", self._reload_problem
                )
                return
            with self._core_lock:
                # Old readers stop first: their later frames would be mistaken for frames of the new picture.
                self._fleet.set_cameras(plans, restart=set(differences.reconnect))
                self._core.set_cameras(config.cameras, config.linker.transit_windows)
                self._inference.set_crops(crops_of(config.cameras), differences.new_picture)
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
        self._stopping.set()
        self.readers_ended = self._fleet.stop(0.0)
        worked = self._inference.stop(_STOP_WORK_S)
        for sink in self._sinks:
            sink.begin_close()
        self._writer.close(_STOP_WRITE_S)
        if self._kept.is_alive():
            self._kept.join(_STOP_SINKS_S)
        self._checkpoint(closing=True)
        sinks_until_s = max(sinks_until_s, time.monotonic() + _STOP_SINKS_S)
        for sink in self._sinks:
            sink.close(max(0.0, sinks_until_s - time.monotonic()))
        lost = self._rows_lost
        mistake = self._mistake
        failed = mistake is not None or not worked or not self._began
        self._write_manifest("failed" if failed else "rows_lost" if lost else "complete")
        self.readers_ended = self.readers_ended or self._fleet.stop(_STOP_READERS_S)
        self._folder.close()
        if mistake is not None:
            raise RunError(f"the program failed: {self._redact(repr(mistake))}")
        if not worked:
            raise RunError("the detector did not return in time; the rows of its last batch are missing")
        if lost:
            raise RunError(f"{lost} rows could not be written and are lost ({self._writer.problem})")

    @property
    def _rows_lost(self) -> int:
        return self._writer.rows_lost + self._inference.rows_lost

    @property
    def _mistake(self) -> BaseException | None:
        """The exception that ended one of the threads; None if there is none."""
        errors = (self._inference.error, self._fleet.error, self._writer.error, self._kept.error)
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
        self._last_words = finish_killed_runs(self._folder.path)

    def _prune_remaps(self) -> None:
        self._tell("old corrections cannot be deleted", self._retention.prune_remaps)

    def _housekeeping(self) -> None:
        checkpoint_s = manifest_s = time.monotonic()
        retained_s = float("-inf")
        rows = 0
        while not self._stopping.wait(_HOUSEKEEPING_S):
            now_s = time.monotonic()
            interval_s = self._config.live.checkpoint_interval_s
            if now_s - checkpoint_s >= (
                interval_s if self._checkpointed else min(interval_s, _CHECKPOINT_RETRY_S)
            ):
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
            if now_s - manifest_s >= _MANIFEST_INTERVAL_S:
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
        self._tell(
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
            if problem not in self._told:
                _log.error("%s (%s); trying again", problem, error.strerror)
            self._told.add(problem)
            return False
        self._told.discard(problem)
        return True


def default_plans(simulate_live: bool, redact: Redactor) -> Callable[[Config], list[CameraPlan]]:
    """Return the function that plans how the cameras of a configuration are opened."""
    return lambda config: camera_plans(config, simulate_live=simulate_live, redact=redact)
