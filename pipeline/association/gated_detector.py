"""A detector that searches only the frames that need it; see `pipeline.association.motion_gate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.association.motion_gate import GateSettings, MotionGate
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.inference_runtime import Computation
from pipeline.core.models import Detector, checked_detections


class GatedDetector(Detector):
    """Passes a frame on to `detector` unless its camera shows nobody and nothing moves; such a frame has no boxes.

    Frames without pixels are always passed on.

    Attributes:
        skipped: number of frames that were not searched, by camera.
    """

    def __init__(self, detector: Detector, settings: GateSettings) -> None:
        self._detector = detector
        self._settings = settings
        self._gates: dict[str, MotionGate] = {}
        self.skipped: Counter[str] = Counter()

    @property
    def class_names(self) -> Mapping[int, str]:
        """Those of the detector."""
        return self._detector.class_names

    @property
    def model_hash(self) -> str:
        """That of the detector."""
        return self._detector.model_hash

    @property
    def computation(self) -> Computation | None:
        """That of the detector."""
        return self._detector.computation

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return one `Detections` per frame; frames of a camera come in order of time.

        Raises:
            ValueError: see `checked_detections`.
        """
        found = [Detections.empty()] * len(frames)
        searched = [index for index, frame in enumerate(frames) if self._needs_search(frame)]
        if not searched:
            return found
        results = checked_detections(self._detector, [frames[index] for index in searched])
        for index, detections in zip(searched, results, strict=True):
            found[index] = detections
            gate = self._gates.get(frames[index].camera_id)
            if gate is not None:
                gate.searched(frames[index].time_s, detections.confidence)
        return found

    def _needs_search(self, frame: Frame) -> bool:
        if frame.image is None:
            return True
        gate = self._gates.setdefault(frame.camera_id, MotionGate(self._settings))
        needed = gate.needs_search(frame.image, frame.time_s)
        self.skipped[frame.camera_id] += not needed
        return needed


def skipped_frames(detector: Detector) -> Mapping[str, int]:
    """Return the number of frames that `detector` did not search, by camera; empty if it searches all."""
    return detector.skipped if isinstance(detector, GatedDetector) else {}
