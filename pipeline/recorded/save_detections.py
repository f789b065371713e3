"""Saves the detections of a run, one Parquet file per camera."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from detectors.saved import DetectionWriter
from pipeline.association.associator import DetectedFrame
from pipeline.core.models import Detector, Embedder
from pipeline.sources.base import FrameSource


class DetectionSaver:
    """Writes detections/<camera>.parquet in `folder`; a context manager.

    Args:
        embedder: the embedder that computed the embeddings; None saves boxes only.
    """

    def __init__(
        self, folder: Path, sources: Sequence[FrameSource], detector: Detector, embedder: Embedder | None
    ) -> None:
        (folder / "detections").mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()
        self._writers = {
            source.camera_id: self._stack.enter_context(
                DetectionWriter(
                    folder / "detections" / f"{source.camera_id}.parquet",
                    camera_id=source.camera_id,
                    size_wh=source.size_wh,
                    frame_rate=source.frame_rate,
                    class_names=detector.class_names,
                    detector_hash=detector.model_hash,
                    embedder_hash="" if embedder is None else embedder.model_hash,
                    embedding_dim=None if embedder is None else embedder.dim,
                )
            )
            for source in sources
        }

    def save(self, tick: Sequence[DetectedFrame]) -> None:
        """Append the detections of a tick."""
        for frame, detections in tick:
            self._writers[frame.camera_id].write(frame, detections)

    def __enter__(self) -> DetectionSaver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
