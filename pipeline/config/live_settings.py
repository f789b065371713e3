"""The section `live` of the configuration; configs/default.yaml has the units and reasons."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.config.output_settings import RetentionSettings, SinkSettings, WebSettings
from pipeline.core.section import Count, NotNegative, Positive, Section


class LiveSettings(Section):
    """Settings for reading streams, waiting times and output."""

    max_fps: Positive
    max_age_s: Positive
    batch_wait_s: NotNegative
    hold_s: NotNegative
    max_silence_s: Positive

    open_timeout_s: Positive
    read_timeout_s: Positive
    stalled_after_s: Positive
    retry_min_s: Positive
    retry_max_s: Positive
    retry_denied_s: Positive
    max_lag_s: Positive
    max_clock_offset_s: Positive
    stuck_after_s: Positive
    stuck_exit_s: Positive

    segment_s: Positive
    segment_max_bytes: Annotated[int, Field(ge=1000)]
    fsync_interval_s: Positive
    max_waiting_rows: Count
    checkpoint_interval_s: Positive

    preview_fps: Positive
    sinks: list[SinkSettings]
    web: WebSettings
    retention: RetentionSettings

    @model_validator(mode="after")
    def _ordered(self) -> LiveSettings:
        for smaller, larger in (
            ("retry_min_s", "retry_max_s"),
            ("retry_max_s", "retry_denied_s"),
            ("max_age_s", "max_lag_s"),
            ("stuck_after_s", "stuck_exit_s"),
        ):
            if getattr(self, smaller) > getattr(self, larger):
                raise ValueError(f"{smaller} {getattr(self, smaller)} is above {larger} {getattr(self, larger)}")
        return self
