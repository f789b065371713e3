"""The metrics as Prometheus reads them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from pipeline.live.telling.metrics import Metrics
from pipeline.live.telling.status import CameraState, SinkStatus
from tests.helpers.live.examples import FixedStatus, make_camera, make_counts, make_status, watching


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, sorted labels) -> value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_every_figure_of_a_camera_has_its_name_and_its_value() -> None:
    up = make_camera(still_s=700.0)
    down = make_camera("hall", state=CameraState.DENIED, frame_age_s=None, clock_offset_s=None, timestamps=None)
    found = samples(watching(FixedStatus(make_status(up, down))))
    at = (("camera", "entrance"),)
    assert found["mtmc_camera_fps", at] == 9.8
    assert found["mtmc_camera_still_seconds", at] == 700.0
    assert found["mtmc_camera_newest_frame_age_seconds", at] == 0.12
    assert found["mtmc_camera_clock_offset_seconds", at] == 0.03
    assert found["mtmc_camera_frames_total", (*at, ("stage", "decoded"))] == 990
    assert found["mtmc_camera_frames_total", (*at, ("stage", "quiet"))] == 300
    assert found["mtmc_camera_dropped_frames_total", (*at, ("cause", "overwritten"))] == 8
    assert found["mtmc_camera_reconnects_total", (*at, ("reason", "timeout"))] == 1
    assert found["mtmc_camera_state", (*at, ("state", "up"))] == 1
    assert found["mtmc_camera_state", (*at, ("state", "denied"))] == 0
    assert found["mtmc_camera_state", (("camera", "hall"), ("state", "denied"))] == 1
    assert found["mtmc_camera_timestamps", (*at, ("source", "rtcp"))] == 1
    assert found["mtmc_camera_timestamps", (*at, ("source", "rtcp_corrected"))] == 0
    assert ("mtmc_camera_newest_frame_age_seconds", (("camera", "hall"),)) not in found


def test_the_run_and_its_sinks() -> None:
    sink = SinkStatus("mqtt broker:1883", 500, 3, 20, "refused", 45)
    status = make_status(
        make_camera(),
        sinks=(sink,),
        rows_lost=4,
        rows_waiting=9,
        writer_ok=False,
        reload_problem="bad",
        embedder_failures=6,
        identities_most=900,
        identities_forgotten={"unseen": 12, "surplus": 5},
    )
    found = samples(watching(FixedStatus(status)))
    assert found["mtmc_rows_written_total", ()] == 1234
    assert found["mtmc_rows_lost_total", ()] == 4
    assert found["mtmc_rows_waiting", ()] == 9
    assert found["mtmc_embedder_failures_total", ()] == 6
    assert found["mtmc_identities_limit", ()] == 900
    assert found["mtmc_identities_forgotten_total", (("reason", "unseen"),)] == 12
    assert found["mtmc_identities_forgotten_total", (("reason", "surplus"),)] == 5
    assert found["mtmc_writer_ok", ()] == 0
    assert found["mtmc_ready", ()] == 0
    assert found["mtmc_since_fsync_seconds", ()] == 0.4
    assert found["mtmc_stage_latency_seconds", (("stage", "detect"),)] == 0.03
    assert found["mtmc_row_latency_seconds", (("quantile", "0.99"),)] == 0.7
    assert found["mtmc_sink_lost_rows_total", (("sink", "mqtt broker:1883"),)] == 20
    assert found["mtmc_sink_rows_waiting", (("sink", "mqtt broker:1883"),)] == 45
    assert found["mtmc_reload_failed", ()] == 1
    assert found["process_resident_memory_bytes", ()] > 1e6


def test_figures_are_those_of_the_moment_of_asking() -> None:
    source = FixedStatus(make_status(make_camera(people=1)))
    metrics = watching(source)
    assert samples(metrics)["mtmc_camera_people", (("camera", "entrance"),)] == 1
    source.now = make_status(make_camera(people=5))
    assert samples(metrics)["mtmc_camera_people", (("camera", "entrance"),)] == 5


def test_ages_of_frames_are_counted_in_buckets_around_the_promise() -> None:
    metrics = watching(FixedStatus(make_status(make_camera())))
    for age_s in (0.08, 0.3, 0.7, -0.5):
        metrics.observe_frame_age("entrance", age_s)
    found = samples(metrics)
    name, at = "mtmc_camera_frame_age_seconds", (("camera", "entrance"),)
    assert found[f"{name}_bucket", (*at, ("le", "0.5"))] == 3
    assert found[f"{name}_bucket", (*at, ("le", "0.75"))] == 4
    assert found[f"{name}_count", at] == 4
    assert round(found[f"{name}_sum", at], 6) == 1.08


def test_zones_and_lines() -> None:
    found = samples(watching(FixedStatus(make_status(make_camera(), counts=make_counts()))))
    zone = (("zone", "shop"),)
    assert found["mtmc_zone_occupancy", zone] == 2
    assert found["mtmc_zone_entered_total", zone] == 5
    assert found["mtmc_zone_left_total", zone] == 2
    assert found["mtmc_zone_merged_total", zone] == 1
    name = "mtmc_zone_dwell_seconds"
    numbers = [
        found[f"{name}_bucket", (("le", limit), *zone)] for limit in ("5.0", "10.0", "120.0", "300.0", "+Inf")
    ]
    assert numbers == [0, 1, 1, 2, 2]  # stays of 7.5 s and 300 s
    assert (found[f"{name}_count", zone], found[f"{name}_sum", zone]) == (2, 307.5)
    assert found["mtmc_line_crossed_total", (("direction", "in"), ("line", "door"))] == 4
    assert found["mtmc_line_crossed_total", (("direction", "out"), ("line", "door"))] == 3
