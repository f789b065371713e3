"""A day of a live site in a minute or two: made-up people, a clock that the test turns."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.config.config import load_config
from pipeline.config.output_settings import RetentionSettings
from pipeline.core.datatypes import Correction, Frame, LinkedRow
from pipeline.core.redaction import Redactor
from pipeline.core.stage_clock import StageClock
from pipeline.live.output.gallery_file import GALLERY_NAME, load_gallery, save_gallery
from pipeline.live.output.retention import Retention
from pipeline.live.output.row_writer import RowWriter
from pipeline.live.output.segments import REMAP_NAME, SegmentWriter, segments
from pipeline.live.sinks.feed import SinkFeed
from pipeline.live.tracking_core import Output, TrackingCore
from pipeline.live.web.timeline import Timeline
from tests.helpers.factories import limits_of
from tests.helpers.live.examples import FixedStatus, make_camera, make_status, watching
from tests.helpers.live.fakes import FakeClock
from tests.helpers.live.waiting import eventually

HOUR_S = 3600
HOURS = 24
CAMERAS = 2
# Somebody new every 43 s, for 100 s in each narrow view; a frame every 10 s shows them there ten times.
WORLD = SimulatedWorld(
    cameras=CAMERAS, people=5, frame_rate=0.1, view_s=100.0, blind_s=8.0, size_wh=(160, 480), embedding_dim=64
)
KEPT_HOURS = 6
TIMELINE_S = 1800.0


class Unreliable:
    """A sink that counts what it is given and refuses a part of it."""

    name = "unreliable"

    def __init__(self) -> None:
        self.rows = self.corrections = self.calls = 0

    def write(self, rows: Sequence[LinkedRow]) -> None:
        self._sometimes_fail()
        self.rows += len(rows)

    def remap(self, corrections: Sequence[Correction]) -> None:
        self._sometimes_fail()
        self.corrections += len(corrections)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _sometimes_fail(self) -> None:
        self.calls += 1
        if self.calls % 50 == 0:
            raise ConnectionError(f"call {self.calls} is refused")


class Outputs:
    """All that a run gives rows to, on the clock that the test turns as far as it has one."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self._clock = clock
        self.rows = RowWriter(
            SegmentWriter(folder, "day", clock, segment_s=HOUR_S, segment_max_bytes=10**9, fsync_interval_s=60.0),
            "day",
            clock,
            max_waiting_rows=10_000,
        )
        self.sink, self.timeline = Unreliable(), Timeline(TIMELINE_S, max_visits=5000)
        self._feeds = [
            SinkFeed(sink.name, lambda sink=sink: sink, Redactor(), 10_000, retry_s=0.01)
            for sink in (self.sink, self.timeline)
        ]
        keep = RetentionSettings(max_age_days=KEPT_HOURS / 24, max_bytes=None, check_interval_s=HOUR_S)
        self._retention = Retention(folder, "day", keep, clock.utc_s)
        self._status = FixedStatus(make_status())
        self.metrics = watching(self._status)

    def take(self, output: Output) -> None:
        self.rows.submit(output.rows, output.corrections)
        for feed in self._feeds:
            feed.submit(output.rows, output.corrections)
        for linked in output.rows:
            self.metrics.observe_frame_age(linked.row.camera_id, self._clock.utc_s() - linked.row.time_s)

    def scrape(self) -> int:
        """Bytes of the metrics."""
        self._status.now = make_status(
            *map(make_camera, WORLD.camera_ids),
            rows_written=self.rows.rows_written,
            row_latency_s=self.rows.latency_s(),
            sinks=tuple(feed.status() for feed in self._feeds),
        )
        return len(self.metrics.text())

    def end_hour(self) -> None:
        """Wait for the threads, to which the hour was a second, and delete what is old."""
        eventually(lambda: self.rows.rows_waiting == 0, 10, "the writing of all rows")
        eventually(
            lambda: not any(feed.status().waiting for feed in self._feeds), 10, "the handing over of all rows"
        )
        self._retention.enforce()
        self.rows.replace_remap(self._retention.prune_remaps)

    def close(self) -> None:
        self.rows.close(10.0)
        for feed in self._feeds:
            feed.close(10.0)

    @property
    def lost(self) -> int:
        return self.rows.rows_lost + sum(feed.status().lost for feed in self._feeds)


@pytest.mark.faults
def test_a_simulated_day_takes_no_more_memory_than_its_first_hours(tmp_path: Path) -> None:
    config = load_config(
        overrides={
            "cameras": [{"name": name, "source": "rtsp://127.0.0.1/x"} for name in WORLD.camera_ids],
            # Times of a world with a frame every ten seconds.
            "tracker": {"max_lost_s": 30.0, "confirm_after_s": 10.0},
            # Without links from the first crop on, so that there are corrections.
            "linker": {"max_wait_s": 40.0, "identity_memory_s": 600.0, "few_crops_factor": 0.0},
            "live": {"max_silence_s": 50.0},
        }
    )
    clock = FakeClock(utc_s=0.0)
    detector, embedder = WORLD.detector(), WORLD.embedder()
    core = TrackingCore(
        config,
        limits_of(config),
        embedder=embedder,
        class_names=detector.class_names,
        gallery=None,
        stages=StageClock(),
    )
    outputs = Outputs(tmp_path, clock)
    image = np.broadcast_to(np.uint8(0), (WORLD.size_wh[1], WORLD.size_wh[0], 3))
    process = psutil.Process()
    period_s = 1 / WORLD.frame_rate
    memory, known, visits, scraped, rows, corrections = [], [], [], [], 0, 0
    frame_index = 0
    for _ in range(HOURS):
        for _ in range(round(HOUR_S / period_s)):
            clock.turn(period_s)
            time_s = frame_index * period_s
            batch = [Frame(name, frame_index, time_s, WORLD.size_wh, image) for name in WORLD.camera_ids]
            output = core.process(list(zip(batch, detector.detect(batch), strict=True)))
            frame_index += 1
            outputs.take(output)
            rows += len(output.rows)
            corrections += len(output.corrections)
            if frame_index % 90 == 0:  # every quarter of an hour
                save_gallery(tmp_path / GALLERY_NAME, core.gallery(), "world")
                scraped.append(outputs.scrape())
        outputs.end_hour()
        visits.append(len(outputs.timeline.visits(clock.utc_s())))
        gc.collect()
        memory.append(process.memory_info().rss)
        known.append(output.identities.known)
    outputs.close()
    grown = memory[-1] - memory[2]
    print(
        f"a day: {output.identities.total} people, {rows} rows, {corrections} corrections, "
        f"{max(known)} known at most, memory {grown / 1e6:+.1f} MB from hour 3 to 24"
    )
    entered = HOURS * HOUR_S / (CAMERAS * (WORLD.view_s + WORLD.blind_s) / WORLD.people)
    assert round(entered) == 2000
    # Everybody is one person in both cameras, up to a few who were taken for two.
    assert entered * 0.95 < output.identities.total < entered * 1.1
    assert grown <= 20e6
    assert max(known) <= 1.5 * known[2]
    assert outputs.rows.rows_written == outputs.sink.rows == rows
    assert outputs.sink.corrections == corrections
    assert outputs.lost == 0
    assert max(visits) <= 1.5 * visits[2]
    assert max(scraped) <= 1.1 * scraped[0]
    left = segments(tmp_path)
    assert KEPT_HOURS <= len(left) <= KEPT_HOURS + 2
    assert left[0].name > f"traj-day-{HOURS - KEPT_HOURS - 1:04}"
    told = (tmp_path / REMAP_NAME).read_text().splitlines()[1:]
    assert 0 < len(told) <= corrections * (KEPT_HOURS + 2) / HOURS
    loaded = load_gallery(tmp_path, "world")
    assert loaded is not None
    assert len(loaded) <= max(known) + 50
    assert (tmp_path / GALLERY_NAME).stat().st_size < 20e6
