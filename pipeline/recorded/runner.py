"""The whole way of a recording: frames -> detections -> crops -> embeddings -> tracks -> identities -> CSV.

    sources --prefetch--> synchronise --> detect --prefetch--> associate (plan, embed, track, link) --> CSV
                                                                  ended tracks --> tracklets.arrow --> second pass

Every camera decodes in a thread of its own and detection runs ahead in another, so that decoding, detection and
the rest overlap; the order of frames, and with it the result, does not depend on their timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.association.associator import Associated, Associator, DetectedFrame, embed_all
from pipeline.core.datatypes import Detections
from pipeline.core.errors import InputError, RunError
from pipeline.core.inference_runtime import Computation
from pipeline.core.models import Detector, Embedder
from pipeline.core.stage_clock import StageClock
from pipeline.cross_camera.online_linker import OnlineLinker
from pipeline.cross_camera.second_pass import SecondPass
from pipeline.files.results_csv import TrajectoryWriter
from pipeline.files.tracklet_file import TrackletFile, TrackletFileInfo, TrackletWriter
from pipeline.floor.camera_geometry import CameraGeometry
from pipeline.recorded.finalize import rewrite
from pipeline.recorded.prefetch import prefetch
from pipeline.recorded.run_note import NOTE_NAME, RunNote
from pipeline.recorded.run_summary import CameraCounts, RunSummary
from pipeline.recorded.synchronise import Tick, synchronise
from pipeline.single_camera.tracker import SingleCameraTracker
from pipeline.sources.base import BrokenSource, FrameSource

TickSink = Callable[[Sequence[DetectedFrame]], None]


@dataclass(frozen=True)
class Parts:
    """Everything a run works with, already built; the cameras are in the same order everywhere.

    Attributes:
        second_pass: None leaves the online ids.
        embedder_hash: of the embedder, or of the one whose saved embeddings are replayed; '' for none.
        hold_s, max_silence_s, max_detections: see `Associator`.
        epoch_utc: date and time of second 0, None if unknown.
        interpolate_max_gap_s: None fills no gaps.
        embed_every_box: for saving; tracking uses no more embeddings than without.
        prefetch_frames, prefetch_ticks: how far decoding and detection run ahead.
    """

    sources: Sequence[FrameSource]
    detector: Detector
    embedder: Embedder | None
    embedder_hash: str
    geometries: Mapping[str, CameraGeometry]
    trackers: Mapping[str, SingleCameraTracker]
    linker: OnlineLinker
    second_pass: SecondPass | None
    hold_s: float
    max_silence_s: float
    max_detections: int
    epoch_utc: datetime | None
    interpolate_max_gap_s: float | None
    embed_every_box: bool
    prefetch_frames: int
    prefetch_ticks: int

    @property
    def camera_ids(self) -> list[str]:
        return [source.camera_id for source in self.sources]


def run(
    parts: Parts,
    folder: Path,
    *,
    config: Mapping[str, Any],
    versions: Mapping[str, str],
    origin: Mapping[str, Any] = MappingProxyType({}),
    save_tick: TickSink | None = None,
    on_frame: Callable[[str], None] = lambda camera_id: None,
) -> RunSummary:
    """Track all cameras from their first to their last frame and write the results into `folder`.

    Args:
        config, versions, origin: noted in run.json.
        save_tick: given the detections of every tick, with embeddings of all boxes if `embed_every_box`.
        on_frame: told of every frame that is done.

    Raises:
        RunError: it was interrupted or the disk is full; the results so far, with the online ids, are in `folder`.
    """
    clock = StageClock()
    began = time.perf_counter()
    summary = RunSummary(
        cameras={camera_id: CameraCounts() for camera_id in parts.camera_ids},
        hashes={"detector": parts.detector.model_hash, "embedder": parts.embedder_hash},
        computed_by=computations(parts.detector, parts.embedder),
    )
    note = RunNote(folder / NOTE_NAME, parts.sources, config, versions, parts.epoch_utc, origin)
    note.write("running", summary)
    try:
        _online(parts, folder, summary, clock, save_tick, on_frame)
        with clock.measure("second pass"):
            _finalize(parts, folder, summary)
    except KeyboardInterrupt as interrupt:
        _close(summary, parts, clock, began)
        note.write("interrupted", summary)
        raise RunError(
            f"interrupted; {folder} holds the results so far with the online ids, "
            f"`mtmc link {folder} --overwrite` gives final ones"
        ) from interrupt
    except BaseException:
        _close(summary, parts, clock, began)
        # On a full disk the note fails like the rows did; the first error is the one to tell.
        with suppress(RunError):
            note.write("failed", summary)
        raise
    _close(summary, parts, clock, began)
    note.write("incomplete" if summary.problems else "complete", summary)
    return summary


def computations(detector: Detector, embedder: Embedder | None) -> dict[str, Computation]:
    """What computes the models of a run; without those that compute nothing."""
    found = {"detector": detector.computation, "embedder": None if embedder is None else embedder.computation}
    return {model: computation for model, computation in found.items() if computation is not None}


def _online(
    parts: Parts,
    folder: Path,
    summary: RunSummary,
    clock: StageClock,
    save_tick: TickSink | None,
    on_frame: Callable[[str], None],
) -> None:
    """Frames to rows with online ids and to finished tracklets, both on disk."""
    associator = Associator(
        geometries=parts.geometries,
        trackers=parts.trackers,
        linker=parts.linker,
        embedder=parts.embedder,
        class_names=parts.detector.class_names,
        hold_s=parts.hold_s,
        max_silence_s=parts.max_silence_s,
        max_detections=parts.max_detections,
        clock=clock,
    )
    info = TrackletFileInfo(tuple(parts.camera_ids), parts.detector.class_names, parts.embedder_hash)
    with ExitStack() as stack:
        writer = stack.enter_context(TrajectoryWriter(folder, parts.camera_ids, parts.epoch_utc))
        tracklets = stack.enter_context(TrackletWriter(folder / "tracklets.arrow", info))

        def write(associated: Associated) -> None:
            with clock.measure("write"):
                for linked in associated.rows:
                    writer.write(linked)
                for tracklet in associated.ended:
                    tracklets.write(tracklet)
                    summary.cameras[tracklet.camera_id].tracks += 1
                writer.flush_if_due()
            summary.rows = writer.rows

        def broken(error: BrokenSource) -> None:
            summary.cameras[error.camera_id].problem = str(error)

        try:
            for tick in detected_ticks(parts, clock, stack, broken):
                if parts.embed_every_box and parts.embedder is not None:
                    with clock.measure("embed"):
                        tick = embed_all(parts.embedder, tick)
                if save_tick is not None:
                    save_tick(tick)
                write(associator.process(tick))
                for frame, _ in tick:
                    summary.cameras[frame.camera_id].frames += 1
                    on_frame(frame.camera_id)
        except RunError:
            raise  # a disk that is full takes no further rows
        except BaseException:
            write(associator.finish())
            raise
        else:
            write(associator.finish())
        finally:
            summary.global_ids = parts.linker.people
            summary.embedded_crops = associator.embedded_crops
            for camera_id, boxes in associator.boxes.items():
                summary.cameras[camera_id].boxes = boxes
            for camera_id, frames in associator.late_frames.items():
                summary.cameras[camera_id].late_frames = frames


def detected_ticks(
    parts: Parts, clock: StageClock, stack: ExitStack, on_broken: Callable[[BrokenSource], None]
) -> Iterator[list[DetectedFrame]]:
    """Decoding in one thread a camera, detection in another; closed by `stack`, detection first.

    Args:
        on_broken: told of a recording that cannot be read to its end; the other cameras go on.
    """
    cameras = [
        prefetch(clock.measure_each("decode", source), parts.prefetch_frames, f"decode-{source.camera_id}")
        for source in parts.sources
    ]
    for camera in cameras:
        stack.callback(camera.close)
    # Half of the shortest frame period: every camera has at most one frame in it.
    window_s = 0.5 / max(source.frame_rate for source in parts.sources)

    def detect(ticks: Iterator[Tick]) -> Iterator[list[DetectedFrame]]:
        for tick in ticks:
            with clock.measure("detect"):
                detections = _detections(parts.detector, tick)
            yield list(zip(tick, detections, strict=True))

    detected = prefetch(detect(synchronise(cameras, window_s, on_broken)), parts.prefetch_ticks, "detect")
    stack.callback(detected.close)
    return detected


def _detections(detector: Detector, tick: Tick) -> list[Detections]:
    """What the detector finds; its ValueError, as of a box that is no number, says where."""
    try:
        return detector.detect(tick)
    except InputError:
        raise  # a file, which the message names
    except ValueError as error:
        places = ", ".join(f"{frame.frame_index} of camera {frame.camera_id}" for frame in tick)
        raise ValueError(f"the detector failed at frame index {places}: {error}") from error


def _finalize(parts: Parts, folder: Path, summary: RunSummary) -> None:
    links = None
    if parts.second_pass is not None:
        links = parts.second_pass.link(TrackletFile(folder / "tracklets.arrow"))
        summary.global_ids = len({link.global_id for link in links.values()})
    if links is None and parts.interpolate_max_gap_s is None:
        return
    summary.rows = rewrite(
        folder,
        links,
        camera_ids=parts.camera_ids,
        epoch_utc=parts.epoch_utc,
        interpolate_max_gap_s=parts.interpolate_max_gap_s,
    )


def _close(summary: RunSummary, parts: Parts, clock: StageClock, began: float) -> None:
    summary.wall_s = time.perf_counter() - began
    summary.stage_s = dict(clock.seconds)
    if parts.embedder is not None:
        summary.rejected_crops = parts.embedder.rejected_crops
        summary.unknown_cameras = dict(parts.embedder.unknown_cameras)
