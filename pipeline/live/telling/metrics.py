"""The status of a live run as Prometheus metrics. Cameras are labelled with their name; no URL is in any label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.live.telling.status import CameraState, CameraStatus, LiveStatus, StatusSource, TimestampSource

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Frames are promised to be younger than 0.5 s; the buckets are closest around that.
_AGE_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0)


class Metrics:
    """Reads the status at each scrape; only ages of frames are taken in one by one."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._frame_age = Histogram(
            "mtmc_camera_frame_age_seconds",
            "Age of a frame when its rows were handed on",
            ["camera"],
            buckets=_AGE_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def watch(self, source: StatusSource) -> None:
        """Give the status of this run, too, from now on; to be called once."""
        self._registry.register(_StatusCollector(source))

    def observe_frame_age(self, camera: str, age_s: float) -> None:
        """A frame of this camera has been through; it was taken `age_s` seconds ago."""
        # A camera whose clock runs ahead must not make the sum of the ages fall.
        self._frame_age.labels(camera).observe(max(0.0, age_s))

    def text(self) -> bytes:
        """All metrics in Prometheus' text format, whose type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _StatusCollector(Collector):
    def __init__(self, source: StatusSource) -> None:
        self._source = source

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not ask for a status before there is one."""
        return ()

    def collect(self) -> Iterator[Metric]:
        status = self._source.status()
        yield from _camera_metrics(status.cameras)
        yield from _run_metrics(status)


def _camera_metrics(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "mtmc_camera_state", "1 for the state that the camera is in, 0 for the others", labels=["camera", "state"]
    )
    timestamps = GaugeMetricFamily(
        "mtmc_camera_timestamps",
        "1 for the clock that says when frames were taken: rtcp is the camera's own, rtcp_corrected the same moved to "
        "this machine's",
        labels=["camera", "source"],
    )
    fps = GaugeMetricFamily("mtmc_camera_fps", "Frames per second that come", labels=["camera"])
    age = GaugeMetricFamily(
        "mtmc_camera_newest_frame_age_seconds", "Since the newest frame was taken", labels=["camera"]
    )
    offset = GaugeMetricFamily(
        "mtmc_camera_clock_offset_seconds",
        "The host's clock minus the camera's, including the way here",
        labels=["camera"],
    )
    still = GaugeMetricFamily("mtmc_camera_still_seconds", "Since the picture last changed", labels=["camera"])
    people = GaugeMetricFamily("mtmc_camera_people", "People in the newest frame", labels=["camera"])
    frames = CounterMetricFamily(
        "mtmc_camera_frames",
        "Frames by the last stage that they are known to have reached",
        labels=["camera", "stage"],
    )
    dropped = CounterMetricFamily(
        "mtmc_camera_dropped_frames", "Frames that never reached the detector", labels=["camera", "cause"]
    )
    reconnects = CounterMetricFamily(
        "mtmc_camera_reconnects", "Connections that ended or could not be made", labels=["camera", "reason"]
    )
    abandoned = CounterMetricFamily(
        "mtmc_camera_abandoned_readers", "Readers that did not return and were replaced", labels=["camera"]
    )
    jumps = CounterMetricFamily(
        "mtmc_camera_clock_jumps", "How often the times of the stream jumped", labels=["camera"]
    )
    for camera in cameras:
        for each in CameraState:
            state.add_metric([camera.name, each.value], float(camera.state is each))
        for clock in TimestampSource:
            timestamps.add_metric([camera.name, clock.value], float(camera.timestamps is clock))
        fps.add_metric([camera.name], camera.fps)
        if camera.frame_age_s is not None:
            age.add_metric([camera.name], camera.frame_age_s)
        if camera.clock_offset_s is not None:
            offset.add_metric([camera.name], camera.clock_offset_s)
        if camera.still_s is not None:
            still.add_metric([camera.name], camera.still_s)
        people.add_metric([camera.name], camera.people)
        stages = {"received": camera.received, "decoded": camera.decoded, "inferred": camera.inferred}
        _add_each(frames, camera.name, stages)
        _add_each(dropped, camera.name, camera.dropped)
        _add_each(reconnects, camera.name, camera.reconnects)
        abandoned.add_metric([camera.name], camera.abandoned)
        jumps.add_metric([camera.name], camera.clock_jumps)
    yield from (state, timestamps, fps, age, offset, still, people, frames, dropped, reconnects, abandoned, jumps)


def _run_metrics(status: LiveStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily("mtmc_ready", "1 while a camera is up and the disk takes rows", float(status.ready))
    yield GaugeMetricFamily("mtmc_uptime_seconds", "Since the start of the run", status.uptime_s)
    identities = GaugeMetricFamily(
        "mtmc_identities", "People in view of some camera, and known in memory", labels=["where"]
    )
    identities.add_metric(["in_view"], status.identities_now)
    identities.add_metric(["in_memory"], status.identities_known)
    yield identities
    yield CounterMetricFamily("mtmc_people", "People told apart in this run", status.identities_total)
    yield GaugeMetricFamily("mtmc_batch_frames", "Frames in a batch of the detector, lately", status.batch_size)
    stages = GaugeMetricFamily("mtmc_stage_latency_seconds", "Of a batch, by stage, lately", labels=["stage"])
    for stage, seconds in status.stage_latency_s.items():
        stages.add_metric([stage], seconds)
    yield stages
    latency = GaugeMetricFamily(
        "mtmc_row_latency_seconds", "From capture to the row in the file, lately", labels=["quantile"]
    )
    for quantile, seconds in status.row_latency_s.items():
        latency.add_metric([f"{quantile:g}"], seconds)
    yield latency
    yield CounterMetricFamily(
        "mtmc_embedder_failures",
        "Batches without embeddings because the embedder failed",
        status.embedder_failures,
    )
    yield CounterMetricFamily("mtmc_rows_written", "Rows in the CSV files", status.rows_written)
    yield CounterMetricFamily("mtmc_rows_lost", "Rows that are in no file and will not be", status.rows_lost)
    yield GaugeMetricFamily("mtmc_rows_waiting", "Rows in memory that the disk has not taken", status.rows_waiting)
    yield GaugeMetricFamily("mtmc_writer_ok", "0 while the disk takes nothing", float(status.writer_ok))
    fsync = GaugeMetricFamily("mtmc_since_fsync_seconds", "Since all rows were last forced to the disk")
    if status.since_fsync_s is not None:
        fsync.add_metric([], status.since_fsync_s)
    yield fsync
    rows = CounterMetricFamily("mtmc_sink_rows", "Rows handed to a sink", labels=["sink"])
    errors = CounterMetricFamily("mtmc_sink_errors", "Failed attempts of a sink", labels=["sink"])
    lost = CounterMetricFamily("mtmc_sink_lost_rows", "Rows that a sink gave up", labels=["sink"])
    waiting = GaugeMetricFamily("mtmc_sink_rows_waiting", "Rows in memory for a sink", labels=["sink"])
    for sink in status.sinks:
        waiting.add_metric([sink.name], sink.waiting)
        rows.add_metric([sink.name], sink.rows)
        errors.add_metric([sink.name], sink.errors)
        lost.add_metric([sink.name], sink.lost)
    yield from (rows, errors, lost, waiting)
    yield CounterMetricFamily("mtmc_reloads", "Configurations taken over since the start", status.reloads)
    yield GaugeMetricFamily(
        "mtmc_reload_failed", "1 if the last configuration was refused", float(bool(status.reload_problem))
    )
    # The platform's own figure, for systems where the process metrics are not to be had.
    yield GaugeMetricFamily("mtmc_memory_bytes", "Resident memory of the process", status.memory_bytes)


def _add_each(family: CounterMetricFamily, camera: str, counts: Mapping[str, int]) -> None:
    for label, count in counts.items():
        family.add_metric([camera, label], count)
