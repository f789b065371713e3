"""A day of a live site in a minute or two: made-up people, a clock that the test turns."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.config import load_config
from pipeline.datatypes import Frame
from pipeline.live.gallery_file import GALLERY_NAME, load_gallery, save_gallery
from pipeline.live.segments import SegmentWriter, remap_line, row_line, segments
from pipeline.live.tracking_core import TrackingCore
from pipeline.simulation import SimulatedWorld
from pipeline.stage_clock import StageClock
from tests.factories import with_limits
from tests.pipeline.live.fakes import FakeClock

HOUR_S = 3600
HOURS = 24
CAMERAS = 2
# Somebody new every 43 s, for 100 s in each narrow view; a frame every 10 s shows them there ten times.
WORLD = SimulatedWorld(
    cameras=CAMERAS, people=5, frame_rate=0.1, view_s=100.0, blind_s=8.0, size_wh=(160, 480), embedding_dim=64
)


@pytest.mark.faults
def test_a_simulated_day_takes_no_more_memory_than_its_first_hours(tmp_path: Path) -> None:
    config = load_config(
        overrides={
            "cameras": [{"name": name, "source": "rtsp://127.0.0.1/x"} for name in WORLD.camera_ids],
            # Times of a world with a frame every ten seconds.
            "tracker": {"max_lost_s": 30.0, "confirm_after_s": 10.0},
            "linker": {"max_wait_s": 40.0, "identity_memory_s": 600.0},
            "live": {"max_silence_s": 50.0},
        }
    )
    clock = FakeClock(utc_s=0.0)
    detector, embedder = WORLD.detector(), WORLD.embedder()
    core = TrackingCore(
        with_limits(config), embedder=embedder, class_names=detector.class_names, gallery=None, stages=StageClock()
    )
    writer = SegmentWriter(
        tmp_path, "day", clock, segment_s=HOUR_S, segment_max_bytes=10**9, fsync_interval_s=60.0
    )
    image = np.broadcast_to(np.uint8(0), (WORLD.size_wh[1], WORLD.size_wh[0], 3))
    process = psutil.Process()
    period_s = 1 / WORLD.frame_rate
    memory, known, rows, corrections = [], [], 0, 0
    frame_index = 0
    for _ in range(HOURS):
        for _ in range(round(HOUR_S / period_s)):
            clock.turn(period_s)
            time_s = frame_index * period_s
            batch = [Frame(name, frame_index, time_s, WORLD.size_wh, image) for name in WORLD.camera_ids]
            output = core.process(list(zip(batch, detector.detect(batch), strict=True)))
            frame_index += 1
            if output.rows:
                writer.write_rows([row_line(linked) for linked in output.rows])
            if output.corrections:
                writer.write_remaps([remap_line(one, "day") for one in output.corrections])
            writer.keep_up()
            rows += len(output.rows)
            corrections += len(output.corrections)
            if frame_index % 90 == 0:  # every quarter of an hour
                save_gallery(tmp_path / GALLERY_NAME, core.gallery(), "world")
        gc.collect()
        memory.append(process.memory_info().rss)
        known.append(core.identities_known)
    writer.close()
    grown = memory[-1] - memory[2]
    print(
        f"a day: {core.identities_total} people, {rows} rows, {corrections} corrections, "
        f"{max(known)} known at most, memory {grown / 1e6:+.1f} MB from hour 3 to 24"
    )
    entered = HOURS * HOUR_S / (CAMERAS * (WORLD.view_s + WORLD.blind_s) / WORLD.people)
    assert round(entered) == 2000
    # Everybody is one person in both cameras, up to a few who were taken for two.
    assert entered * 0.95 < core.identities_total < entered * 1.1
    assert grown <= 20e6
    assert max(known) <= 1.5 * known[2]
    assert len(segments(tmp_path)) == HOURS + 1 or len(segments(tmp_path)) == HOURS
    loaded = load_gallery(tmp_path, "world")
    assert loaded is not None
    assert len(loaded) <= max(known) + 50
    assert (tmp_path / GALLERY_NAME).stat().st_size < 20e6
