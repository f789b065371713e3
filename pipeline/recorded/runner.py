"""Runs the whole pipeline on recordings: frames -> detections -> crops -> embeddings -> tracks -> identities -> CSV.

    sources --prefetch--> synchronise --> detect --prefetch--> associate (plan, embed, track, link) --> CSV
                                                                  ended tracks --> tracklets.arrow --> second pass

Each camera is decoded in its own thread and detection runs ahead in another, so that decoding, detection and the rest
overlap. The order of frames, and thus the result, does not depend on the timing of the threads.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.association.associator import Associated, Associator, DetectedFrame, embed_all
from pipeline.association.build import (
    build_associator,
    build_second_pass,
    warn_of_classes_without_embeddings,
    without_embeddings,
)
from pipeline.association.gated_detector import skipped_frames
from pipeline.config.calibration import with_numbers
from pipeline.config.config import Config
from pipeline.core.datatypes import Detections, Frame, Link
from pipeline.core.decisions import TrackKey
from pipeline.core.errors import InputError, RunError
from pipeline.core.models import Detector, Models, checked_detections
from pipeline.core.stage_clock import StageClock
from pipeline.counting.count import Counted, count
from pipeline.counting.events_file import write_events
from pipeline.cross_camera.decision_log import FEW_CANDIDATES, DecisionLog
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.cross_camera.second_pass_log import SecondPassLog
from pipeline.files.decision_file import DecisionWriter
from pipeline.files.results_csv import TrajectoryWriter
from pipeline.files.run_folder import DECISIONS_NAME, EVENTS_NAME, NOTE_NAME
from pipeline.files.tracklet_file import TrackletFile, TrackletFileInfo, TrackletWriter
from pipeline.files.whole_files import SHARED_MODE
from pipeline.floor.camera_geometry import geometry_of
from pipeline.recorded.countable_run import drawn_sizes, picture_scale, rows_in_order
from pipeline.recorded.finalize import rewrite
from pipeline.recorded.people import TrackSpan, linked, people_of, span_of
from pipeline.recorded.prefetch import prefetch
from pipeline.recorded.run_note import RunNote
from pipeline.recorded.run_summary import CameraCounts, RunSummary, by_class_name
from pipeline.recorded.synchronise import Tick, synchronise
from pipeline.sources.base import BrokenSource, FrameSource

TickSink = Callable[[Sequence[DetectedFrame]], None]
Watch = Callable[[Sequence[DetectedFrame], Associated], None]
# Interval between two updates of run.json, which is all that a killed run says about itself.
_NOTE_INTERVAL_S = 5.0

_log = logging.getLogger(__name__)


def run(
    config: Config,
    limits: MatchLimits,
    models: Models,
    sources: Sequence[FrameSource],
    folder: Path,
    *,
    epoch_utc: datetime | None = None,
    origin: Mapping[str, Any] = MappingProxyType({}),
    save_tick: TickSink = lambda tick: None,
    watch: Watch = lambda tick, associated: None,
    on_frame: Callable[[str], None] = lambda camera_id: None,
    candidates: int = FEW_CANDIDATES,
) -> RunSummary:
    """Track all cameras from their first to their last frame and write the results into `folder`.

    Args:
        sources: of the cameras of `config`, in their order.
        epoch_utc: date and time of second 0 of the clock that all cameras share, None if unknown.
        origin: further entries for run.json.
        save_tick: called with the detections of every tick, with embeddings of all boxes if
            `config.output.save_embeddings`; tracking uses only the embeddings that it would use without saving.
        watch: called with the detections of every tick and the rows that became ready with it.
        on_frame: called with the camera of each processed frame.
        candidates: number of candidates of each decision in decisions.jsonl.

    Raises:
        RunError: the run was interrupted or the disk is full; the results so far, with online ids, are in `folder`.
    """
    recording = _Recording(config, limits, models, sources, folder, epoch_utc, candidates)
    clock = StageClock()
    began = time.perf_counter()
    summary = RunSummary(
        cameras={source.camera_id: CameraCounts() for source in sources},
        hashes={"detector": models.detector.model_hash, "embedder": models.embedder_hash},
        computed_by=models.computed_by,
        unembedded_classes=without_embeddings(
            config, models.detector.class_names, models.embedder, models.embedder_hash
        ),
    )
    if models.embedder_hash:
        warn_of_classes_without_embeddings(summary.unembedded_classes)
    note = RunNote(folder / NOTE_NAME, sources, with_numbers(config, limits), models.versions, epoch_utc, origin)
    note.write("running", summary)
    noted_s = time.monotonic()

    def keep_note(count: Callable[[], None]) -> None:
        nonlocal noted_s
        if time.monotonic() - noted_s >= _NOTE_INTERVAL_S:
            noted_s = time.monotonic()
            count()
            _close(summary, models, clock, began)
            with suppress(RunError):  # nothing is lost: rows that cannot be written end the run themselves
                note.write("running", summary)

    try:
        with ExitStack() as stack:
            decisions = (
                stack.enter_context(DecisionWriter(folder / DECISIONS_NAME))
                if config.output.save_decisions
                else None
            )
            tracks = _online(recording, summary, clock, decisions, save_tick, watch, on_frame, keep_note)
            _warn_of_unused_cameras(config, summary)
            with clock.measure("second pass"):
                links = _finalize(recording, summary, decisions, tracks.left_out)
            summary.set_people(people_of(linked(tracks.ended, tracks.links if links is None else links)))
            if config.zones or config.lines:
                with clock.measure("count"):
                    summary.counted = _count_people(recording)
    except KeyboardInterrupt as interrupt:
        _close(summary, models, clock, began)
        note.write("interrupted", summary)
        raise RunError(
            f"interrupted; {folder} holds the results so far with the online ids, "
            f"`mtmc link {folder} --overwrite` gives final ones"
        ) from interrupt
    except BaseException:
        _close(summary, models, clock, began)
        # On a full disk run.json cannot be written either; the first error is the one to raise.
        with suppress(RunError):
            note.write("failed", summary)
        raise
    _close(summary, models, clock, began)
    note.write("incomplete" if summary.problems else "complete", summary)
    return summary


@dataclass(frozen=True)
class _Recording:
    """The inputs of a run; see `run`."""

    config: Config
    limits: MatchLimits
    models: Models
    sources: Sequence[FrameSource]
    folder: Path
    epoch_utc: datetime | None
    candidates: int

    @property
    def camera_ids(self) -> list[str]:
        return [source.camera_id for source in self.sources]


@dataclass
class _Tracks:
    """The tracks of a run.

    Attributes:
        ended: without links.
        links: the newest online link of every track.
        left_out: tracks of people that never moved; they are not in `ended`.
    """

    ended: list[TrackSpan] = field(default_factory=list)
    links: dict[TrackKey, Link] = field(default_factory=dict)
    left_out: set[TrackKey] = field(default_factory=set)


def _online(
    recording: _Recording,
    summary: RunSummary,
    clock: StageClock,
    decisions: DecisionWriter | None,
    save_tick: TickSink,
    watch: Watch,
    on_frame: Callable[[str], None],
    on_tick: Callable[[Callable[[], None]], None],
) -> _Tracks:
    """Turn frames into rows with online ids and into finished tracklets, both on disk; return the tracks.

    Args:
        decisions: receives the decisions of the online linker.
        on_tick: called after each tick with a function that brings the counts of `summary` up to date.
    """
    config, models, folder = recording.config, recording.models, recording.folder
    associator = build_associator(
        config,
        recording.limits,
        geometries={
            camera.name: geometry_of(camera, source.size_wh)
            for camera, source in zip(config.cameras, recording.sources, strict=True)
        },
        embedder=models.embedder,
        class_names=models.detector.class_names,
        clock=clock,
        log=None if decisions is None else DecisionLog(decisions.write, recording.candidates),
        # A track may move late: the second pass leaves it out as a whole, or not at all.
        leave_out_still=not config.second_pass.enabled,
    )
    class_names = models.detector.class_names
    info = TrackletFileInfo(tuple(recording.camera_ids), class_names, models.embedder_hash)
    tracks = _Tracks()
    with ExitStack() as stack:
        writer = stack.enter_context(TrajectoryWriter(folder, recording.camera_ids, recording.epoch_utc))
        tracklets = stack.enter_context(TrackletWriter(folder / "tracklets.arrow", info))

        def write(associated: Associated) -> None:
            with clock.measure("write"):
                for row in associated.rows:
                    writer.write(row)
                    tracks.links[row.row.camera_id, row.row.track_id] = row.link
                for tracklet in associated.ended:
                    tracklets.write(tracklet)
                    tracks.ended.append(span_of(tracklet, class_names))
                    summary.cameras[tracklet.camera_id].tracks += 1
                    summary.of_class(class_names[tracklet.class_id]).tracks += 1
                for camera_id, track_id in associated.left_out:
                    tracks.left_out.add((camera_id, track_id))
                    summary.cameras[camera_id].left_out += 1
                writer.flush_if_due()
                if decisions is not None:
                    decisions.flush_if_due()
            summary.rows = writer.rows

        def broken(error: BrokenSource) -> None:
            summary.cameras[error.camera_id].problem = str(error)

        count = partial(_count, summary, associator, models.detector)
        try:
            for tick in detected_ticks(config, models.detector, recording.sources, clock, stack, broken):
                if config.output.save_embeddings and models.embedder is not None:
                    with clock.measure("embed"):
                        tick = embed_all(models.embedder, tick, models.detector.class_names)
                save_tick(tick)
                associated = associator.process(tick)
                write(associated)
                with clock.measure("write"):
                    tracklets.flush_if_due(max((frame.time_s for frame, _ in tick), default=-math.inf))
                watch(tick, associated)
                for frame, _ in tick:
                    summary.cameras[frame.camera_id].frames += 1
                    on_frame(frame.camera_id)
                on_tick(count)
        except RunError:
            raise  # a full disk takes no further rows
        except BaseException:
            write(associator.finish())
            raise
        else:
            write(associator.finish())
        finally:
            count()
    return tracks


def _warn_of_unused_cameras(config: Config, summary: RunSummary) -> None:
    """Log the cameras of which `config.recording` selects no frame."""
    part = config.recording
    if part.start_s is None and part.end_s is None:
        return
    begin = "the beginning" if part.start_s is None else f"{part.start_s:g} s"
    end = "the end" if part.end_s is None else f"{part.end_s:g} s"
    for camera_id, counts in summary.cameras.items():
        if not counts.frames and counts.problem is None:
            _log.warning(
                "camera %s: no frame lies in the part of the recordings that is used, from %s to %s on the common "
                "clock of all cameras (recording.start_s, recording.end_s)",
                camera_id,
                begin,
                end,
            )


def _count(summary: RunSummary, associator: Associator, detector: Detector) -> None:
    for name, boxes in associator.class_boxes.items():
        summary.of_class(name).boxes = boxes
    summary.set_global_ids(by_class_name(associator.linker.people_by_class, detector.class_names))
    for camera_id, frames in skipped_frames(detector).items():
        summary.cameras[camera_id].quiet_frames = frames
    summary.forgotten["online"] = associator.linker.forgotten
    summary.embedded_crops = associator.embedded_crops
    for camera_id, boxes in associator.boxes.items():
        summary.cameras[camera_id].boxes = boxes
    for camera_id, boxes in associator.weak_boxes.items():
        summary.cameras[camera_id].weak_boxes = boxes
    for camera_id, frames in associator.late_frames.items():
        summary.cameras[camera_id].late_frames = frames


def detected_ticks(
    config: Config,
    detector: Detector,
    sources: Sequence[FrameSource],
    clock: StageClock,
    stack: ExitStack,
    on_broken: Callable[[BrokenSource], None],
) -> Iterator[list[DetectedFrame]]:
    """Decode in one thread per camera and detect in another; `stack` closes the threads, detection first.

    Args:
        on_broken: called with the error of a recording that cannot be read to its end; the other cameras continue.
    """
    ahead = config.runtime
    cameras = [
        prefetch(clock.measure_each("decode", source), ahead.prefetch_frames, f"decode-{source.camera_id}")
        for source in sources
    ]
    for camera in cameras:
        stack.callback(camera.close)
    # Half of the shortest frame period: every camera has at most one frame in it.
    window_s = 0.5 / max(source.frame_rate for source in sources)

    def detected_frames(ticks: Iterator[Tick]) -> Iterator[list[DetectedFrame]]:
        for tick in ticks:
            with clock.measure("detect"):
                detections = detect(detector, tick)
            yield list(zip(tick, detections, strict=True))

    detected = prefetch(detected_frames(synchronise(cameras, window_s, on_broken)), ahead.prefetch_ticks, "detect")
    stack.callback(detected.close)
    return detected


def detect(detector: Detector, tick: Sequence[Frame]) -> list[Detections]:
    """Return what the detector finds in each frame of a tick.

    Raises:
        ValueError: the detector failed, or returned a wrong number of results or a class id without a name. The message
            names the frames.
    """
    places = ", ".join(f"{frame.frame_index} of camera {frame.camera_id}" for frame in tick)
    try:
        return checked_detections(detector, tick)
    except InputError:
        raise  # a file, which the message names
    except ValueError as error:
        raise ValueError(f"the detector failed at frame index {places}: {error}") from error


def _finalize(
    recording: _Recording, summary: RunSummary, decisions: DecisionWriter | None, left_out: Collection[TrackKey]
) -> dict[TrackKey, Link] | None:
    """Write the final ids; return the final links, None without a second pass."""
    config, folder = recording.config, recording.folder
    links = None
    log = None if decisions is None else SecondPassLog(recording.candidates)
    if config.second_pass.enabled:
        second_pass = build_second_pass(config, recording.limits, recording.camera_ids, log)
        links = second_pass.link(TrackletFile(folder / "tracklets.arrow"))
        summary.forgotten["second_pass"] = second_pass.forgotten
        summary.set_global_ids(by_class_name(second_pass.people_by_class, recording.models.detector.class_names))
    if links is None and config.output.fill_gaps_s is None:
        return None
    summary.rows = rewrite(
        folder,
        links,
        camera_ids=recording.camera_ids,
        epoch_utc=recording.epoch_utc,
        interpolate_max_gap_s=config.output.fill_gaps_s,
        index_steps={source.camera_id: source.index_step for source in recording.sources},
        left_out=left_out,
    )
    if links is not None and decisions is not None and log is not None:
        decisions.flush()
        for decision in log.decisions(links):
            decisions.write(decision)
    return links


def _count_people(recording: _Recording) -> Counted:
    """Count at zones and lines by the ids in trajectories.csv, and write events.csv."""
    config, folder = recording.config, recording.folder
    sizes_wh = {source.camera_id: source.size_wh for source in recording.sources}
    counted = count(
        rows_in_order(folder / "trajectories.csv"),
        config.zones,
        config.lines,
        config.counting,
        scale=picture_scale(sizes_wh, drawn_sizes(config.cameras, sizes_wh)),
        epoch_utc=recording.epoch_utc,
    )
    write_events(folder / EVENTS_NAME, counted.events, recording.epoch_utc, mode=SHARED_MODE)
    return counted


def _close(summary: RunSummary, models: Models, clock: StageClock, began: float) -> None:
    summary.wall_s = time.perf_counter() - began
    summary.stage_s = dict(clock.seconds)
    if models.embedder is not None:
        summary.rejected_crops = models.embedder.rejected_crops
        summary.unknown_cameras = dict(models.embedder.unknown_cameras)
