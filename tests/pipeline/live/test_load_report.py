from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.config.config import load_config
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.errors import InputError
from pipeline.core.models import Models
from pipeline.live import load_report
from pipeline.live.load_report import LoadFigures, Trial, _search, measure_load
from tests.helpers.factories import limits_of
from tests.helpers.live.fakes import one_look, one_person
from tests.helpers.live.live_process import clip
from tests.helpers.live.waiting import HICCUP_S


@pytest.mark.parametrize("most_held", [0, 1, 2, 3, 7, 16, 40])
@pytest.mark.parametrize("first", [1, 3, 10])
def test_the_search_finds_the_most_cameras_that_are_held(most_held: int, first: int) -> None:
    tried: list[int] = []

    def held(cameras: int) -> bool:
        tried.append(cameras)
        return cameras <= most_held

    _search(held, first, 32, threading.Event())
    found = max((cameras for cameras in tried if cameras <= most_held), default=0)
    assert min(most_held, 32) - found <= max(1, most_held // 20) - (most_held < 20)
    assert len(set(tried)) == len(tried)
    assert max(tried) <= 32


def test_the_figures_are_those_of_the_best_trials() -> None:
    """Each beside the detector's pace at its own time: the machine became slower after the second trial."""

    def trial(cameras: int, frames_per_s: float, held: bool, bare_frames_per_s: float) -> Trial:
        ages, latencies = {0.5: 0.1, 0.99: 0.2}, {0.5: 0.4, 0.99: 0.5}
        return Trial(cameras, frames_per_s, 1.0, ages, latencies, held, bare_frames_per_s)

    trials = (trial(3, 30.0, True, 50.0), trial(5, 42.0, False, 50.0), trial(4, 36.0, True, 40.0))
    figures = LoadFigures(trials)
    assert figures.cameras == 4
    assert [round(one.share, 2) for one in trials] == [0.6, 0.84, 0.9]
    assert figures.fullest is trials[2]
    told = figures.to_dict()
    assert [told[key] for key in ("cameras", "live_frames_per_s", "bare_frames_per_s", "share")] == [
        4,
        36,
        40,
        0.9,
    ]
    assert figures.table().row_count == 3


def test_live_streams_cannot_be_measured() -> None:
    config = load_config(overrides={"cameras": [{"name": "a", "source": "rtsp://h/x"}]})
    with pytest.raises(InputError, match="--report plays recordings"):
        measure_load(
            config, limits_of(config), Models(one_person(), one_look(), {}), duration_s=1, stop=threading.Event()
        )


def test_recordings_are_opened_with_the_settings_of_the_configuration(tmp_path: Path) -> None:
    source = str(clip(tmp_path, "a", 0.5))
    config = load_config(
        overrides={"cameras": [{"name": "a", "source": source}], "runtime": {"max_picture_megapixels": 0.05}}
    )
    with pytest.raises(InputError, match="megapixels"):
        measure_load(
            config, limits_of(config), Models(one_person(), one_look(), {}), duration_s=1, stop=threading.Event()
        )


@pytest.mark.parametrize("during", ["clip", "bare", "trial"])
def test_a_signal_ends_the_measurement_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    """Otherwise a minute goes by: nobody waits that long, and a second signal leaves the temporary folder behind."""
    source, stop, works = clip(tmp_path, "a", 1.0), threading.Event(), one_person()

    class Stopping:
        class_names, model_hash = works.class_names, "stopping"
        computation = None

        def detect(self, frames: Sequence[Frame]) -> list[Detections]:
            stop.set()
            return works.detect(frames)

    if during == "clip":
        threading.Timer(0.2, stop.set).start()
    else:
        monkeypatch.setattr(load_report, "_clip", lambda *arguments: source)
    if during == "trial":
        monkeypatch.setattr(load_report._BareDetector, "_pace", lambda *arguments: 10.0)
    config = load_config(overrides={"cameras": [{"name": "a", "source": str(source)}]})
    models = Models(Stopping(), one_look(), {})
    began_s = time.monotonic()
    assert measure_load(config, limits_of(config), models, duration_s=60.0, stop=stop) is None
    assert time.monotonic() - began_s < 4.0 + HICCUP_S


@pytest.mark.faults
def test_a_detector_of_known_pace_is_measured(tmp_path: Path) -> None:
    """50 ms a frame are at most 20 frames a second: three cameras cannot be held. Whether one is depends on what else
    the machine does."""
    works = one_person()

    class Slow:
        class_names, model_hash = works.class_names, "slow"
        computation = None

        def detect(self, frames: Sequence[Frame]) -> list[Detections]:
            time.sleep(0.05 * len(frames))
            return works.detect(frames)

    config = load_config(overrides={"cameras": [{"name": "a", "source": str(clip(tmp_path, "a", 1.0))}]})
    figures = measure_load(
        config,
        limits_of(config),
        Models(Slow(), one_look(), {}),
        duration_s=4.0,
        stop=threading.Event(),
        max_cameras=4,
    )
    assert figures is not None
    assert figures.cameras <= 2
    flooded = max(figures.trials, key=lambda trial: trial.cameras)
    assert flooded.cameras >= 3
    assert not flooded.held
    # A machine that stops for a moment spoils one measurement of the bare detector, not all.
    assert max(trial.bare_frames_per_s for trial in figures.trials) > 10
    for trial in figures.trials:
        assert trial.bare_frames_per_s <= 20
        assert trial.frames_per_s <= 21
        assert trial.held == (trial.tracked_share >= 0.95 and trial.age_s[0.99] <= 0.5)
