"""Detections and embeddings of a benchmark set, computed once and saved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from detectors.saved import ReplayDetector, SavedFrames
from detectors.weights import model_hash
from pipeline.assembly import embeddings_hash
from pipeline.benchmark.benchmark_set import BenchmarkSet
from pipeline.benchmark.source_stamp import source_stamp
from pipeline.config.config import Config
from pipeline.core.errors import RunError
from pipeline.core.inference_runtime import Computation
from pipeline.files.run_folder import NOTE_NAME
from pipeline.recorded import track as tracking
from pipeline.sources.base import FrameSource


@dataclass(frozen=True, eq=False)
class SavedRun:
    """Opened saved detections.

    Attributes:
        sources: frames without pictures, one source per camera.
        detector: replays the detections of a frame, with an embedding for every box.
    """

    sources: list[FrameSource]
    detector: ReplayDetector


def saved_detections(
    chosen: BenchmarkSet,
    folder: Path,
    on_frame: Callable[[str], None] = lambda camera_id: None,
    boxes: Mapping[str, Path] | None = None,
) -> Mapping[str, Path]:
    """Return the files, by camera, with the detections of a set and, if it has an embedder, an embedding per box.

    They are computed unless `folder` already holds them.

    Args:
        folder: holds runs, each under its `run_key`.
        boxes: result of `saved_boxes` for the same set; these boxes are embedded, and no detector runs.

    Raises:
        InputError: as in `track`.
        RunError: a recording cannot be read to its end.
    """
    if chosen.detections is not None:
        return chosen.detections
    # Every frame is searched: trackers are compared on all boxes.
    detector = chosen.config.detector.model_copy(update={"motion_gate": False})
    config = chosen.config.model_copy(update={"detector": detector})
    kept = folder / run_key(config)
    files = {camera.name: kept / "detections" / f"{camera.name}.parquet" for camera in config.cameras}
    if not (kept / "complete").exists():
        embedded = config.embedder.weights is not None
        output = config.output.model_copy(update={"save_detections": True, "save_embeddings": embedded})
        kept.parent.mkdir(parents=True, exist_ok=True)
        summary = tracking.track(
            config.model_copy(update={"output": output}),
            kept,
            detections=boxes,
            overwrite=True,
            on_frame=on_frame,
        )
        if summary.problems:
            raise RunError(
                f"{chosen.name}: {'; '.join(summary.problems)}. The ground truth continues after that, so nothing is "
                "scored: provide recordings that can be read to the end"
            )
        (kept / "complete").touch()
    return files


def saved_boxes(
    chosen: BenchmarkSet, folder: Path, on_frame: Callable[[str], None] = lambda camera_id: None
) -> Mapping[str, Path]:
    """Return the files with the detections of a set, without embeddings; see `saved_detections`."""
    settings = chosen.config.embedder.model_copy(update={"weights": None, "input": None, "site": None})
    without = chosen.config.model_copy(update={"embedder": settings})
    return saved_detections(replace(chosen, config=without), folder, on_frame)


def computed_by(files: Mapping[str, Path]) -> dict[str, str]:
    """Return, by model, a text that says what computed the saved detections and embeddings. Files of other programs or
    of older versions are left out."""
    notes = {path.parents[1] / NOTE_NAME for path in files.values()}
    found: dict[str, str] = {}
    for note in notes:
        if note.is_file():
            noted = json.loads(note.read_text(encoding="utf-8")).get("computed_by", {})
            found |= {model: str(Computation(**fields)) for model, fields in noted.items()}
    return found


def run_key(config: Config) -> str:
    """Return the digest of everything that the saved detections and embeddings of a configuration depend on.

    Raises:
        InputError: weights or a MOTChallenge sequence cannot be read.
    """
    # What matters is the content of recordings and the output of models, not their location or calibration.
    depends = {
        "cameras": [camera.model_dump(mode="json", exclude={"source"}) for camera in config.cameras],
        "sources": [source_stamp(camera.source) for camera in config.cameras],
        "recording": config.recording.model_dump(mode="json"),
        "detector": config.detector.model_dump(mode="json", exclude={"weights"}),
        "embedder": config.embedder.model_dump(mode="json", exclude={"weights", "input", "site"}),
        "weights": [
            _stamp(config.detector.weights),
            embeddings_hash(config),
            _stamp(config.embedder.site),
        ],
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def opened(files: Mapping[str, Path], confidence_min: float) -> Iterator[SavedRun]:
    """Open the saved detections of all cameras, from their first frame on."""
    with ExitStack() as stack:
        detector = ReplayDetector(files, confidence_min=confidence_min)
        stack.callback(detector.close)
        sources: list[FrameSource] = []
        for name, path in files.items():
            source = SavedFrames(path, name)
            stack.callback(source.close)
            sources.append(source)
        yield SavedRun(sources, detector)


def _stamp(weights: str | None) -> str:
    """Return a text that differs between versions of a file."""
    if weights is None or not Path(weights).exists():
        return str(weights)
    return model_hash(Path(weights))
