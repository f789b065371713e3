"""Tracks recordings from Python: takes a configuration and writes results into a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.assembly import (
    build_detector,
    build_embedder,
    close_sources,
    gated,
    handed_in_limits,
    match_limits,
    open_sources,
    part_of,
    versions,
)
from pipeline.association.associator import Associated, DetectedFrame
from pipeline.config.config import CameraConfig, Config
from pipeline.core.errors import InputError
from pipeline.core.models import Detector, Embedder, Models
from pipeline.counting.settings import check_cameras, check_pictures
from pipeline.cross_camera.settings import check_windows
from pipeline.files.frame_grid import FrameGrid
from pipeline.files.origin import origin
from pipeline.files.run_folder import STILL_NAME, check_results, clear_results, hold_results
from pipeline.recorded.countable_run import drawn_sizes
from pipeline.recorded.run_summary import RunSummary
from pipeline.recorded.runner import TickSink, Watch, run
from pipeline.recorded.save_detections import DetectionSaver
from pipeline.sources.base import FrameSource
from pipeline.sources.part import PartOfSource

if TYPE_CHECKING:
    from detectors.saved import ReplayDetector

_log = logging.getLogger(__name__)


def track(
    config: Config,
    output: str | Path,
    *,
    detector: Detector | None = None,
    embedder: Embedder | None = None,
    detections: Mapping[str, str | Path] | None = None,
    overwrite: bool = False,
    on_start: Callable[[Sequence[FrameSource]], None] = lambda sources: None,
    on_frame: Callable[[str], None] = lambda camera_id: None,
    on_image: Callable[[float], None] = lambda time_s: None,
) -> RunSummary:
    """Track people in the recordings of `config` and write the results into the folder `output`.

    Args:
        config: from `pipeline.config.config.load_config`.
        detector: replaces the one that `config.detector` describes.
        embedder: replaces the one that `config.embedder` describes. Match limits that `config` leaves to a
            calibration are then defaults, and a warning is logged; set numbers in `tracker`, `linker` and
            `second_pass`.
        detections: camera -> saved detections (.parquet, or MOT det.txt) that replace the detector. If all of them
            hold embeddings, no video is decoded and no model runs.
        overwrite: replace existing results.
        on_start: called with the opened recordings.
        on_frame: called with the camera of each processed frame.
        on_image: called with the time of every image of the video that is drawn afterwards.

    Returns:
        Counts and times of the run. `problems` names recordings that could not be read to their end: the other cameras
        continued, and the rows up to that point are written.

    Raises:
        InputError: the configuration or an input is wrong, or another command is writing into `output`; nothing was
            written.
        RunError: the run failed after it had begun; the results so far are in `output`.
        ValueError: a model returned invalid detections or embeddings.
    """
    output = Path(output)
    files = {name: Path(path) for name, path in (detections or {}).items()}
    own_embedder = embedder is not None
    if files and detector is not None:
        raise InputError("saved detections replace the detector: give `detections` or `detector`, not both")
    with ExitStack() as held, ExitStack() as stack:
        replay = _replay(config, files)
        if replay is not None:
            stack.callback(replay.close)
            config = _at_text_rate(config, replay)
        if (config.output.video or config.output.show) and not config.cameras:
            raise InputError("a video or a window needs the pictures: name the SOURCE of each camera, too")
        # Saved embeddings need no images, and saved detections without recordings have none.
        enough = replay is not None and (all(replay.embedder_hashes.values()) or not config.cameras)
        blind = enough and not config.output.show
        sources, epoch_utc = _saved_frames(config, files) if blind else open_sources(config)
        stack.callback(close_sources, sources)
        grids = {} if replay is None else _sparse(replay, config.recording.stride)
        sources = _thinned(sources, grids)
        config = _with_cameras(config, sources)
        for path in files.values():
            if overwrite and output.resolve() in path.resolve().parents:
                raise InputError(
                    f"{path} would be deleted with the old results in {output}: choose another --output"
                )
        check_results(output, overwrite)
        _check_zones(config, sources)
        if enough and own_embedder:
            raise InputError("all saved detections have embeddings: give them or `embedder`, not both")
        watch = _window(sources, stack) if config.output.show else _ignore
        models = _models(config, replay, detector, embedder, no_embedder=enough)
        limits = handed_in_limits(config) if own_embedder else match_limits(config, models.embedder_hash)
        if config.output.save_embeddings and models.embedder is None:
            raise InputError(
                "embeddings can only be saved in a run that computes them: no --detections with embeddings, "
                "and embedder.weights not null"
            )
        held.enter_context(hold_results(output, "mtmc track"))
        clear_results(output, overwrite)
        save_tick = _saver(config, output, sources, models, stack) if config.output.save_detections else _ignore
        on_start(sources)
        summary = run(
            config,
            limits,
            models,
            sources,
            output,
            epoch_utc=epoch_utc,
            origin=origin(),
            save_tick=save_tick,
            watch=watch,
            on_frame=on_frame,
        )
        if replay is not None and config.recording.end_s is None:
            for sentence in replay.unused(config.recording.stride):
                _log.warning("%s", sentence)
        stack.close()  # closes the recordings, which drawing opens again, and the saved detections
        if config.output.video:
            draw_video(config, output, class_names=len(summary.classes) > 1, grids=grids, on_image=on_image)
    return summary


def draw_video(
    config: Config,
    output: Path,
    still_s: float | None = None,
    *,
    class_names: bool = False,
    grids: Mapping[str, FrameGrid] = MappingProxyType({}),
    on_image: Callable[[float], None] = lambda time_s: None,
) -> None:
    """Draw trajectories.mp4 from the results in `output`; with `still_s` also still.png, the image of that moment.

    Args:
        class_names: whether the labels contain the names of the classes.
        grids: of the cameras of which only these frames were processed.
        on_image: called with the time of every image that is drawn.
    """
    from pipeline.drawing.mosaic_video import MosaicSettings, render_mosaic_video

    opened, _ = open_sources(config)
    sources = _thinned(opened, grids)
    try:
        render_mosaic_video(
            {source.camera_id: source for source in sources},
            output / "trajectories.csv",
            output / "trajectories.mp4",
            settings=MosaicSettings(fps=max(source.frame_rate for source in sources), class_names=class_names),
            still=None if still_s is None else (still_s, output / STILL_NAME),
            on_image=on_image,
        )
    finally:
        close_sources(sources)


def _models(
    config: Config,
    replay: ReplayDetector | None,
    detector: Detector | None,
    embedder: Embedder | None,
    *,
    no_embedder: bool,
) -> Models:
    """Return the models of the run: saved detections, those that the caller gave, or those of the configuration."""
    if replay is not None:
        detector = replay
    elif detector is None:
        detector = gated(build_detector(config), config)
    if no_embedder:
        embedder = None
    elif embedder is None:
        embedder = build_embedder(config)
    return Models(detector, embedder, versions(), _embedder_hash(config, replay, embedder))


def _saver(
    config: Config, output: Path, sources: Sequence[FrameSource], models: Models, stack: ExitStack
) -> TickSink:
    """Open the files for detections, which `stack` closes; return what writes the detections of each tick."""
    embedder = models.embedder if config.output.save_embeddings else None
    return stack.enter_context(DetectionSaver(output, sources, models.detector, embedder)).save


def _ignore(*of_tick: object) -> None:
    """Do nothing with the tick."""


def _window(sources: Sequence[FrameSource], stack: ExitStack) -> Watch:
    """Open a window, which `stack` closes; return what shows the frames of each tick in it."""
    from pipeline.drawing.preview_feed import PreviewFeed
    from pipeline.drawing.window import MosaicWindow

    window = MosaicWindow([source.camera_id for source in sources])
    stack.callback(window.close)
    feed = PreviewFeed(window.put, window.shown_fps)

    def watch(tick: Sequence[DetectedFrame], associated: Associated) -> None:
        for frame, detections in tick:
            feed.offer(frame, detections.xyxy)
        feed.rows(associated.rows, associated.complete_before_s)
        window.refresh()

    return watch


def _replay(config: Config, files: Mapping[str, Path]) -> ReplayDetector | None:
    if not files:
        return None
    from detectors.saved import ReplayDetector

    names = [camera.name for camera in config.cameras]
    if names and set(files) != set(names):
        wrong = ", ".join(sorted(set(files) ^ set(names)))
        raise InputError(f"--detections must name every camera once; these are only on one side: {wrong}")
    return ReplayDetector(
        files, class_name=config.detector.classes[0], confidence_min=config.detector.confidence_min
    )


def _at_text_rate(config: Config, replay: ReplayDetector) -> Config:
    """Return the configuration with the stride of the det.txt files, if all of them hold every n-th frame from the
    first on. Empty frames between would end each track before it is confirmed."""
    grids = set(replay.text_grids.values())
    if len(grids) != 1 or config.recording.stride > 1 or len(replay.text_grids) < len(replay.embedder_hashes):
        return config
    (grid,) = grids
    if grid.stride == 1 or grid.first != 0:
        return config
    _log.warning("the saved detections hold %s: the frames between are not used (recording.stride)", grid)
    recording = config.recording.model_copy(update={"stride": grid.stride})
    return config.model_copy(update={"recording": recording})


def _sparse(replay: ReplayDetector, stride: int) -> dict[str, FrameGrid]:
    """Return the frames that are used of cameras whose det.txt holds only every n-th frame, which `stride` does not
    select already."""
    grids = {}
    for camera_id, grid in replay.text_grids.items():
        if grid.stride == 1 or (stride % grid.stride == 0 and grid.first == 0):
            continue
        if stride > 1:
            raise InputError(
                f"the saved detections of camera {camera_id} hold {grid} from frame {grid.first + 1} on, but "
                f"recording.stride is {stride}, from frame 1 on: leave it out"
            )
        _log.warning(
            "camera %s: the saved detections hold %s, from frame %d on: the others are not used",
            camera_id,
            grid,
            grid.first + 1,
        )
        grids[camera_id] = grid
    return grids


def _thinned(sources: Sequence[FrameSource], grids: Mapping[str, FrameGrid]) -> list[FrameSource]:
    """Return the sources with only the frames on the grids of their cameras."""
    return [
        source
        if (grid := grids.get(source.camera_id)) is None
        else PartOfSource(source, stride=grid.stride, first=grid.first)
        for source in sources
    ]


def _saved_frames(config: Config, files: Mapping[str, Path]) -> tuple[list[FrameSource], datetime | None]:
    """Return frames without images, with the times of the run that saved the detections."""
    from detectors.saved import SavedFrames

    text = [str(path) for path in files.values() if path.suffix.lower() != ".parquet"]
    if text:
        raise InputError(f"{text[0]} does not state when its frames were taken: name the camera's SOURCE, too")
    _log.info("frames come from the saved detections; no video is decoded")
    order = [camera.name for camera in config.cameras] or list(files)
    return [part_of(SavedFrames(files[name], name), config.recording) for name in order], None


def _with_cameras(config: Config, sources: Sequence[FrameSource]) -> Config:
    """Return the configuration with a camera for each source, also if only saved detections were named."""
    if config.cameras:
        return config
    cameras = [CameraConfig(name=source.camera_id, source=source.path) for source in sources]
    check_windows(config.linker.transit_windows, [camera.name for camera in cameras])
    return config.model_copy(update={"cameras": cameras})


def _check_zones(config: Config, sources: Sequence[FrameSource]) -> None:
    """Raise InputError for a zone or a line that no camera of the run can see."""
    names = [source.camera_id for source in sources]
    floor = any(camera.homography is not None for camera in config.cameras)
    check_cameras(config.zones, config.lines, names, floor=floor)
    sizes_wh = {source.camera_id: source.size_wh for source in sources}
    check_pictures(config.zones, config.lines, drawn_sizes(config.cameras, sizes_wh))


def _embedder_hash(config: Config, replay: ReplayDetector | None, embedder: Embedder | None) -> str:
    """Return the hash of the model that computes all embeddings of the run; '' if there are none."""
    saved = "" if replay is None else replay.embedder_hash
    if embedder is None:
        return saved
    if saved not in ("", embedder.model_hash):
        raise InputError(
            f"some of the saved detections have embeddings of the model {saved}, but the embedder is "
            f"{embedder.model_hash}: they cannot be compared"
        )
    return embedder.model_hash
