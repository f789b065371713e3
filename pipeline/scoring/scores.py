"""The scores of a tracking result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SequenceScores:
    """Scores of one camera, or of all; shares in [0, 1], None if there is nothing to score.

    Attributes:
        hota, det_a, ass_a: higher order tracking accuracy, and its parts for boxes and for identities.
        idf1, idp, idr: F1, precision and recall of the boxes with the right identity.
        mota: 1 - (false positives + false negatives + id switches) / ground-truth boxes; may be negative.
        id_switches: how often a person's id differs from the previous one. Over all cameras, the cameras are
            visited in alphabetical order and a change from one to the next counts: this count and MOTA depend
            on the order, HOTA and IDF1 do not.
        false_positives, false_negatives: predicted boxes without a person, people without a predicted box.
        ground_truth_boxes, predicted_boxes, ground_truth_ids, predicted_ids: the number of each.
    """

    hota: float | None
    det_a: float | None
    ass_a: float | None
    idf1: float | None
    idp: float | None
    idr: float | None
    mota: float | None
    id_switches: int
    false_positives: int
    false_negatives: int
    ground_truth_boxes: int
    predicted_boxes: int
    ground_truth_ids: int
    predicted_ids: int


@dataclass(frozen=True)
class Scores:
    """What `evaluate` returns.

    Attributes:
        cameras: camera id -> scores inside that camera.
        all_cameras: one sequence over all cameras, with global ids.
        not_linked: as `all_cameras`, but every track of every camera has its own id.
        perfect_linking: as `all_cameras`, but every track has the id of the person it follows in most frames.
        iou_threshold: smallest IoU at which a predicted box matches a person, for IDF1, MOTA and perfect linking.
        warnings: reasons why the scores may mislead.
    """

    cameras: Mapping[str, SequenceScores]
    all_cameras: SequenceScores
    not_linked: SequenceScores
    perfect_linking: SequenceScores
    iou_threshold: float
    warnings: tuple[str, ...]

    @property
    def gap_closed(self) -> float | None:
        """The share of the gap in IDF1 between `not_linked` and `perfect_linking` that linking closes; below 0 if it
        makes the score worse, None if there is no gap."""
        low, reached, high = self.not_linked.idf1, self.all_cameras.idf1, self.perfect_linking.idf1
        if low is None or reached is None or high is None or high <= low:
            return None
        return (reached - low) / (high - low)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, as for JSON."""
        return {
            "iou_threshold": self.iou_threshold,
            "cameras": {camera: asdict(scores) for camera, scores in self.cameras.items()},
            "all_cameras": asdict(self.all_cameras),
            "not_linked": asdict(self.not_linked),
            "perfect_linking": asdict(self.perfect_linking),
            "gap_closed": self.gap_closed,
            "warnings": list(self.warnings),
        }
