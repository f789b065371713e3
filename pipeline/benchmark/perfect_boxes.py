"""The boxes of the ground truth in place of those of a detector, to measure the effect of better detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.core.assignment import assign
from pipeline.core.boxes import iou_matrix
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.models import Detector
from pipeline.files.track_boxes import TrackBoxes

# A detection with a smaller overlap does not show the same person well.
_SAME_IOU = 0.5


class PerfectBoxes:
    """Returns the boxes of the ground truth as detections with confidence 1.

    True boxes and detections are paired one to one, by the largest overlap (IoU of at least 0.5). A true box gets the
    embedding of its detection; pairing one to one keeps it from getting the embedding of a person in front.
    """

    def __init__(self, detector: Detector, ground_truth: Mapping[str, TrackBoxes]) -> None:
        self._detector = detector
        self._ground_truth = ground_truth
        self.class_names = detector.class_names
        self.model_hash = detector.model_hash
        self.computation = detector.computation
        # Sorted by frame, so that the first and the last row of a frame can be looked up.
        self._order = {name: np.argsort(boxes.frame_index, kind="stable") for name, boxes in ground_truth.items()}
        self._frames = {name: boxes.frame_index[self._order[name]] for name, boxes in ground_truth.items()}

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        found = self._detector.detect(frames)
        return [self._of(frame, detections) for frame, detections in zip(frames, found, strict=True)]

    def _of(self, frame: Frame, detections: Detections) -> Detections:
        camera_id = frame.camera_id
        begin, end = np.searchsorted(self._frames[camera_id], [frame.frame_index, frame.frame_index + 1])
        xyxy = self._ground_truth[camera_id].xyxy[self._order[camera_id][begin:end]].astype(np.float32)
        perfect = Detections(xyxy, np.ones(len(xyxy), np.float32), np.zeros(len(xyxy), np.int64))
        if detections.embeddings is None or detections.embedded is None:
            return perfect
        embeddings = np.zeros((len(xyxy), detections.embeddings.shape[1]), np.float32)
        embedded = np.zeros(len(xyxy), np.bool_)
        if len(xyxy) and len(detections):
            true, found = assign(1 - iou_matrix(xyxy, detections.xyxy), 1 - _SAME_IOU).T
            embedded[true] = detections.embedded[found]
            embeddings[embedded] = detections.embeddings[found[embedded[true]]]
        return Detections(perfect.xyxy, perfect.confidence, perfect.class_id, embeddings, embedded)
