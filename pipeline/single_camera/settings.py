"""Settings of the tracker of one camera; configs/default.yaml explains every key."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.core.section import Count, MatchingSection, NotNegative, Positive, PositiveShare, Share


class TrackerSettings(MatchingSection):
    """Settings of the association inside one camera."""

    high_confidence: Share
    low_confidence: Share
    new_track_confidence: Share
    shown_confidence: Share
    max_iou_distance_high: PositiveShare
    max_iou_distance_low: Share
    max_iou_distance_tentative: Share
    max_gate_distance: Positive
    somebody_else_factor: Annotated[float, Field(ge=1)]
    duplicate_iou: Share
    confirm_after_s: NotNegative
    max_lost_s: Positive
    embedding_interval_s: Positive
    embedding_first_interval_s: NotNegative
    first_crops: Count
    sparse_frames_s: Positive
    overlap_trusted_s: Positive
    ambiguous_iou: Share
    ambiguous_margin_iou: Share
    good_crop_confidence: Share
    good_crop_height_px: NotNegative
    good_crop_max_overlap: Share
    border_margin_px: NotNegative
    leave_out_still: bool
    still_range: Positive
    still_confidence: Share
    still_after_s: Positive
    confident_still_after_s: Positive | None
    process_noise: Positive
    measurement_noise: Positive

    @model_validator(mode="after")
    def _ordered(self) -> TrackerSettings:
        if not self.low_confidence <= self.high_confidence <= self.new_track_confidence:
            raise ValueError(
                "low_confidence <= high_confidence <= new_track_confidence must hold, but they are "
                f"{self.low_confidence}, {self.high_confidence}, {self.new_track_confidence}"
            )
        if self.shown_confidence > self.new_track_confidence:
            raise ValueError(
                "shown_confidence <= new_track_confidence must hold, but they are "
                f"{self.shown_confidence}, {self.new_track_confidence}"
            )
        if self.confident_still_after_s is not None and self.confident_still_after_s < self.still_after_s:
            raise ValueError(
                "still_after_s <= confident_still_after_s must hold, but they are "
                f"{self.still_after_s}, {self.confident_still_after_s}"
            )
        return self
