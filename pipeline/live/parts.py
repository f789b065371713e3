"""Builds the parts of a live run from its configuration."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.association.build import warn_of_classes_without_embeddings, without_embeddings
from pipeline.config.config import Config
from pipeline.core.datatypes import Correction
from pipeline.core.models import Models
from pipeline.core.redaction import Redactor
from pipeline.core.stage_clock import StageClock
from pipeline.counting.events import Event
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.drawing.preview_feed import PreviewFeed
from pipeline.files.run_folder import OutputFolder
from pipeline.live.cameras.camera_plans import crops_of
from pipeline.live.cameras.fleet import CameraFleet
from pipeline.live.host_clock import LiveClock
from pipeline.live.inference_loop import InferenceLoop
from pipeline.live.live_counter import LiveCounter
from pipeline.live.output.disk_work import DiskWork
from pipeline.live.output.event_segments import EventSegments
from pipeline.live.output.gallery_file import load_gallery, without_forgotten
from pipeline.live.output.killed_runs import finish_killed_runs
from pipeline.live.output.manifest import Manifest
from pipeline.live.output.retention import Retention
from pipeline.live.output.row_writer import RowWriter
from pipeline.live.output.segments import SegmentWriter
from pipeline.live.sinks.base import Sink
from pipeline.live.sinks.build import secrets_of, sink_makers
from pipeline.live.sinks.feed import SinkFeed
from pipeline.live.tolerant_embedder import TolerantEmbedder
from pipeline.live.tracking_core import Identities, Output, TrackingCore

_log = logging.getLogger(__name__)


class RowOutput:
    """Passes rows, corrections and events to the writer and the sinks.

    Args:
        counter: makes the events; None without zones and lines.

    Attributes:
        identities: how many there were after the newest rows.
    """

    def __init__(self, writer: RowWriter, sinks: Sequence[SinkFeed], counter: LiveCounter | None = None) -> None:
        self.writer = writer
        self.sinks = tuple(sinks)
        self.counter = counter
        self.identities = Identities()

    def emit(self, output: Output) -> None:
        """Queue what is to be written; never blocks."""
        self.identities = output.identities
        events: Sequence[Event] = ()
        if self.counter is not None:
            events = self.counter.take(output.rows, output.corrections, output.complete_before_s)
        self.writer.submit(output.rows, output.corrections, events)
        for sink in self.sinks:
            sink.submit(output.rows, output.corrections, events)


@dataclass(frozen=True, eq=False)
class LiveParts:
    """The parts of a live run, which share its clock and its folder.

    Attributes:
        core_lock: held while `core` is used.
        disk: work in the folder besides the rows.
    """

    run_id: str
    folder: OutputFolder
    clock: LiveClock
    redact: Redactor
    models: Models
    embedder: TolerantEmbedder | None
    core: TrackingCore
    core_lock: threading.Lock
    fleet: CameraFleet
    inference: InferenceLoop
    output: RowOutput
    segments: SegmentWriter
    event_files: EventSegments
    retention: Retention
    manifest: Manifest
    disk: DiskWork


def build_parts(
    config: Config,
    limits: MatchLimits,
    models: Models,
    folder: OutputFolder,
    undo: ExitStack,
    *,
    redact: Redactor,
    clock: LiveClock,
    previews: Sequence[PreviewFeed],
    more_sinks: Sequence[tuple[str, Callable[[], Sink]]],
    on_frame_age: Callable[[str, float], None],
) -> LiveParts:
    """Complete the files of killed runs, and build all parts; writer and sinks start their threads.

    Args:
        undo: receives the clean-up of each part, in case a later part cannot be built.
        previews, more_sinks, on_frame_age: see `LiveRun`.

    Raises:
        InputError: the configuration or the folder cannot be used.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    settings, disk, stages = config.live, DiskWork(), StageClock()
    last_words = _finished_killed_runs(folder)
    embedder = _tolerant(config, models)
    core = _core(config, limits, models, embedder, folder, clock, stages)
    # Ages of files count by the machine's clock.
    retention = Retention(folder.path, run_id, settings.retention, lambda: clock.utc_s() - clock.ahead_s)
    disk.attempt("old corrections cannot be deleted", retention.prune_remaps)
    segments = SegmentWriter(
        folder.path,
        run_id,
        clock,
        segment_s=settings.segment_s,
        segment_max_bytes=settings.segment_max_bytes,
        fsync_interval_s=settings.fsync_interval_s,
    )
    redact.add(secrets_of(settings.sinks))
    makers = [*sink_makers(settings.sinks, run_id, [camera.name for camera in config.cameras]), *more_sinks]
    fleet = CameraFleet(settings, clock, redact)
    manifest = Manifest(
        folder.path,
        run_id,
        versions=models.versions,
        hashes={"detector": models.detector.model_hash, "embedder": models.embedder_hash},
        computed_by=models.computed_by,
        redact=redact,
    )
    event_files = EventSegments(
        folder.path,
        run_id,
        clock,
        segment_s=settings.segment_s,
        segment_max_bytes=settings.segment_max_bytes,
        fsync_interval_s=settings.fsync_interval_s,
    )
    writer = RowWriter(segments, run_id, clock, settings.max_waiting_rows, event_files)
    undo.callback(writer.close, 0.0)
    sinks = []
    for name, make in makers:
        sinks.append(SinkFeed(name, make, redact, settings.max_waiting_rows))
        undo.callback(sinks[-1].close, 0.0)
        sinks[-1].submit([], last_words)
    counter = LiveCounter(config, core.scale_of) if config.zones or config.lines else None
    output = RowOutput(writer, sinks, counter)
    core_lock = threading.Lock()
    inference = InferenceLoop(
        board=fleet.board,
        detector=models.detector,
        core=core,
        core_lock=core_lock,
        settings=settings,
        crops=crops_of(config.cameras),
        record_of=fleet.record,
        emit=output.emit,
        previews=previews,
        on_frame_age=on_frame_age,
        stages=stages,
        clock=clock,
        redact=redact,
    )
    return LiveParts(
        run_id=run_id,
        folder=folder,
        clock=clock,
        redact=redact,
        models=models,
        embedder=embedder,
        core=core,
        core_lock=core_lock,
        fleet=fleet,
        inference=inference,
        output=output,
        segments=segments,
        event_files=event_files,
        retention=retention,
        manifest=manifest,
        disk=disk,
    )


def _finished_killed_runs(folder: OutputFolder) -> list[Correction]:
    """Return the last corrections of killed runs."""
    try:
        return finish_killed_runs(folder.path)
    except OSError as error:
        _log.error(
            "the files of a killed run cannot be completed (%s); the next start tries again", error.strerror
        )
        return []


def _tolerant(config: Config, models: Models) -> TolerantEmbedder | None:
    if models.embedder is None:
        return None
    embedder = TolerantEmbedder(models.embedder)
    warn_of_classes_without_embeddings(
        without_embeddings(config, models.detector.class_names, embedder, models.embedder_hash)
    )
    return embedder


def _core(
    config: Config,
    limits: MatchLimits,
    models: Models,
    embedder: TolerantEmbedder | None,
    folder: OutputFolder,
    clock: LiveClock,
    stages: StageClock,
) -> TrackingCore:
    gallery = load_gallery(folder.path, models.embedder_hash)
    if gallery is not None:
        gallery = without_forgotten(gallery, clock.utc_s(), config.linker.identity_memory_s)
    return TrackingCore(
        config,
        limits,
        embedder=embedder,
        class_names=dict(models.detector.class_names),
        gallery=gallery,
        stages=stages,
    )
