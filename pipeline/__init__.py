"""From frames of several cameras to one CSV of trajectories with global ids."""

import pipeline.core.no_telemetry  # noqa: F401 - before OpenVINO
