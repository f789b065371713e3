"""The status of a live run as Prometheus metrics. Cameras are labelled with their names; no label contains a URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.live.telling.status import (
    DWELL_LIMITS_S,
    CameraState,
    CameraStatus,
    LiveCounts,
    LiveStatus,
    StatusSource,
    TimestampSource,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Frames should be younger than 0.5 s, so the buckets are closest around that.
_AGE_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0)


class Metrics:
    """Reads the status at each scrape; only ages of frames are recorded one by one."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._frame_age = Histogram(
            "mtmc_camera_frame_age_seconds",
            "Age of a frame when its tracking ended",
            ["camera"],
            buckets=_AGE_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def watch(self, source: StatusSource) -> None:
        """Report the status of this run as well, from now on; call it once."""
        self._registry.register(_StatusCollector(source))

    def observe_frame_age(self, camera: str, age_s: float) -> None:
        """Record a frame of this camera whose tracking ended `age_s` seconds after capture."""
        # A camera whose clock runs ahead must not make the sum of the ages fall.
        self._frame_age.labels(camera).observe(max(0.0, age_s))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format, whose type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _StatusCollector(Collector):
    def __init__(self, source: StatusSource) -> None:
        self._source = source

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not request a status before there is one."""
        return ()

    def collect(self) -> Iterator[Metric]:
        status = self._source.status()
        yield from _camera_metrics(status.cameras)
        yield from _run_metrics(status)
        if status.counts is not None:
            yield from _count_metrics(status.counts)


def _camera_metrics(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "mtmc_camera_state", "1 for the state that the camera is in, 0 for the others", labels=["camera", "state"]
    )
    timestamps = GaugeMetricFamily(
        "mtmc_camera_timestamps",
        "1 for the clock that the times of frames come from: rtcp is the camera's own, rtcp_corrected is the "
        "camera's corrected to this machine's",
        labels=["camera", "source"],
    )
    fps = GaugeMetricFamily("mtmc_camera_fps", "Frames per second that arrive", labels=["camera"])
    used = GaugeMetricFamily(
        "mtmc_camera_used_fps", "Frames per second that went through the detector", labels=["camera"]
    )
    skipped = GaugeMetricFamily(
        "mtmc_camera_skipped_fps", "Frames per second that did not go through the detector", labels=["camera"]
    )
    age = GaugeMetricFamily(
        "mtmc_camera_newest_frame_age_seconds", "Seconds since the newest frame was taken", labels=["camera"]
    )
    offset = GaugeMetricFamily(
        "mtmc_camera_clock_offset_seconds",
        "The host's clock minus the camera's, including the network delay",
        labels=["camera"],
    )
    still = GaugeMetricFamily(
        "mtmc_camera_still_seconds", "Seconds since the picture last changed", labels=["camera"]
    )
    people = GaugeMetricFamily(
        "mtmc_camera_people", "People, or objects of all tracked classes, in the newest frame", labels=["camera"]
    )
    frames = CounterMetricFamily(
        "mtmc_camera_frames",
        "Frames that have reached a stage, by stage",
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
        used.add_metric([camera.name], camera.used_fps)
        skipped.add_metric([camera.name], camera.skipped_fps)
        if camera.frame_age_s is not None:
            age.add_metric([camera.name], camera.frame_age_s)
        if camera.clock_offset_s is not None:
            offset.add_metric([camera.name], camera.clock_offset_s)
        if camera.still_s is not None:
            still.add_metric([camera.name], camera.still_s)
        people.add_metric([camera.name], camera.people)
        stages = {"received": camera.received, "decoded": camera.decoded, "inferred": camera.inferred}
        stages["quiet"] = camera.quiet
        _add_each(frames, camera.name, stages)
        _add_each(dropped, camera.name, camera.dropped)
        _add_each(reconnects, camera.name, camera.reconnects)
        abandoned.add_metric([camera.name], camera.abandoned)
        jumps.add_metric([camera.name], camera.clock_jumps)
    yield from (
        state,
        timestamps,
        fps,
        used,
        skipped,
        age,
        offset,
        still,
        people,
        frames,
        dropped,
        reconnects,
        abandoned,
        jumps,
    )


def _count_metrics(counts: LiveCounts) -> Iterator[Metric]:
    inside = GaugeMetricFamily("mtmc_zone_occupancy", "People inside a zone now", labels=["zone"])
    entered = CounterMetricFamily("mtmc_zone_entered", "Stays in a zone that began", labels=["zone"])
    left = CounterMetricFamily("mtmc_zone_left", "Stays in a zone that ended", labels=["zone"])
    merged = CounterMetricFamily(
        "mtmc_zone_merged", "People who had been counted inside under two ids", labels=["zone"]
    )
    crossed = CounterMetricFamily("mtmc_line_crossed", "Crossings of a line", labels=["line", "direction"])
    for zone, number in counts.inside.items():
        inside.add_metric([zone], number)
        entered.add_metric([zone], counts.entered[zone])
        left.add_metric([zone], counts.left[zone])
        merged.add_metric([zone], counts.merged[zone])
    dwell = HistogramMetricFamily(
        "mtmc_zone_dwell_seconds", "Lengths of the stays in a zone that ended", labels=["zone"]
    )
    for zone, stays in counts.dwells.items():
        limits = [*map(str, DWELL_LIMITS_S), "+Inf"]
        dwell.add_metric([zone], list(zip(limits, accumulate(stays.numbers), strict=True)), stays.total_s)
    for (line, direction), number in counts.crossed.items():
        crossed.add_metric([line, direction], number)
    yield from (inside, entered, left, merged, dwell, crossed)


def _run_metrics(status: LiveStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "mtmc_ready", "1 while a camera is up, the disk accepts rows, and no part is stuck", float(status.ready)
    )
    yield GaugeMetricFamily("mtmc_alive", "0 if tracking does not go on without a restart", float(status.alive))
    yield GaugeMetricFamily(
        "mtmc_clock_ahead_seconds",
        "Seconds by which the times of rows are ahead, because the machine's clock was set back",
        status.clock_ahead_s,
    )
    yield GaugeMetricFamily("mtmc_uptime_seconds", "Seconds since the start of the run", status.uptime_s)
    identities = GaugeMetricFamily(
        "mtmc_identities", "Identities in view of some camera, and identities in memory", labels=["where"]
    )
    identities.add_metric(["in_view"], status.identities_now)
    identities.add_metric(["in_memory"], status.identities_known)
    yield identities
    yield GaugeMetricFamily(
        "mtmc_identities_limit", "Largest number of identities in memory", float(status.identities_most)
    )
    forgotten = CounterMetricFamily(
        "mtmc_identities_forgotten",
        "Identities forgotten because no camera saw them for too long (unseen), or because there were too many "
        "(surplus)",
        labels=["reason"],
    )
    for reason, count in status.identities_forgotten.items():
        forgotten.add_metric([reason], count)
    yield forgotten
    yield CounterMetricFamily("mtmc_people", "Identities of all classes in this run", status.identities_total)
    yield GaugeMetricFamily(
        "mtmc_batch_frames", "Frames in a batch of the detector, running mean", status.batch_size
    )
    stages = GaugeMetricFamily(
        "mtmc_stage_latency_seconds", "Seconds per batch, by stage, running mean", labels=["stage"]
    )
    for stage, seconds in status.stage_latency_s.items():
        stages.add_metric([stage], seconds)
    yield stages
    latency = GaugeMetricFamily(
        "mtmc_row_latency_seconds",
        "Seconds from capture to the row in the file, of the last rows",
        labels=["quantile"],
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
    yield CounterMetricFamily("mtmc_rows_lost", "Rows that are lost", status.rows_lost)
    yield GaugeMetricFamily(
        "mtmc_rows_waiting", "Rows in memory that are not yet in the files", status.rows_waiting
    )
    yield GaugeMetricFamily("mtmc_writer_ok", "0 while something cannot be written", float(status.writer_ok))
    fsync = GaugeMetricFamily("mtmc_since_fsync_seconds", "Seconds since all rows were last forced to the disk")
    if status.since_fsync_s is not None:
        fsync.add_metric([], status.since_fsync_s)
    yield fsync
    rows = CounterMetricFamily("mtmc_sink_rows", "Rows delivered to a sink", labels=["sink"])
    errors = CounterMetricFamily("mtmc_sink_errors", "Failed attempts of a sink", labels=["sink"])
    lost = CounterMetricFamily("mtmc_sink_lost_rows", "Rows that were discarded for a sink", labels=["sink"])
    waiting = GaugeMetricFamily("mtmc_sink_rows_waiting", "Rows that wait for a sink", labels=["sink"])
    for sink in status.sinks:
        waiting.add_metric([sink.name], sink.waiting)
        rows.add_metric([sink.name], sink.rows)
        errors.add_metric([sink.name], sink.errors)
        lost.add_metric([sink.name], sink.lost)
    yield from (rows, errors, lost, waiting)
    yield CounterMetricFamily("mtmc_reloads", "Configurations applied since the start", status.reloads)
    yield GaugeMetricFamily(
        "mtmc_reload_failed", "1 if the last configuration was refused", float(bool(status.reload_problem))
    )
    # Also for systems that lack the metrics of `ProcessCollector`.
    yield GaugeMetricFamily("mtmc_memory_bytes", "Resident memory of the process", status.memory_bytes)


def _add_each(family: CounterMetricFamily, camera: str, counts: Mapping[str, int]) -> None:
    for label, count in counts.items():
        family.add_metric([camera, label], count)
