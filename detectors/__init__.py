"""Detectors: frames in, boxes out; they satisfy the protocol `pipeline.core.models.Detector`."""

import pipeline.core.no_telemetry  # noqa: F401 - before OpenVINO
