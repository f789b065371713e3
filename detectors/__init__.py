"""Frames in, boxes out: one adapter per model, behind the protocol in `base`."""

import pipeline.core.no_telemetry  # noqa: F401 - before OpenVINO
