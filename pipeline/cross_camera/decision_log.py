"""Tells what the online linker decides about each track, once for each change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipeline.core.datatypes import BoolArray
from pipeline.core.decisions import Decision, Obstacle, Outcome, Reason, Stage
from pipeline.cross_camera.comparison import Comparison
from pipeline.cross_camera.track_record import TrackRecord

#: Number of candidates of a decision that are told.
FEW_CANDIDATES = 5


class DecisionLog:
    """Passes on decisions. While a track waits, only the first decision with the same reason is passed on.

    Args:
        on_decision: called with each decision, in the order in which they are made.
        candidates: largest number of candidates of a decision.
    """

    def __init__(self, on_decision: Callable[[Decision], None], candidates: int = FEW_CANDIDATES) -> None:
        self._on_decision = on_decision
        self._candidates = candidates
        self._waits_for: dict[TrackRecord, Reason] = {}

    def note(
        self,
        record: TrackRecord,
        time_s: float,
        outcome: Outcome,
        reason: Reason,
        *,
        mean_weight: float,
        compared: Comparison | None = None,
        later_obstacles: Mapping[Obstacle, BoolArray] = MappingProxyType({}),
    ) -> None:
        """Note a decision; the link of `record` is already that of the outcome.

        Args:
            mean_weight: share of the camera mean that is subtracted.
            compared: the track and the known identities; None if they were not compared.
            later_obstacles: as for `Comparison.candidates`.
        """
        if outcome is not Outcome.WAITING:
            self._waits_for.pop(record, None)
        elif self._waits_for.get(record) is reason:
            return
        else:
            self._waits_for[record] = reason
        self._on_decision(
            Decision(
                stage=Stage.ONLINE,
                time_s=time_s,
                camera_id=record.camera_id,
                track_id=record.track_id,
                outcome=outcome,
                reason=reason,
                global_id=None if record.link is None else record.link.global_id,
                good_crops=record.good_crops,
                limit=None if compared is None else compared.limit,
                mean_weight=mean_weight,
                candidates=() if compared is None else compared.candidates(self._candidates, later_obstacles),
            )
        )
