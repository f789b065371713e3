"""Measures how many cameras this machine holds, which means: can track in time.

The whole live pipeline runs on recordings and is compared with the detector alone on the same frames.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from rich.table import Table

from pipeline.config.config import CameraConfig, Config
from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError
from pipeline.core.models import Detector, Models
from pipeline.core.process_folder import working_folder
from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import is_stream
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.live.cameras.camera_plans import camera_plans
from pipeline.live.run import LiveRun
from pipeline.sources.video import VideoSource

SIZE_WH = (1280, 720)
FRAME_RATE = 10
MAX_AGE_S = 0.5
# The machine holds a number of cameras if it tracks at least this share of their frames.
_HELD_SHARE = 0.95
# Warm-up of networks and caches, which is not measured.
_SETTLE_S = 2.0
_CLIP_S = 30
_BARE_BATCHES = (1, 2, 4, 8, 16)
_BARE_S = 5.0
# Frames of each recording for the detector alone; 2.8 MB each.
_BARE_FRAMES = 20


@dataclass(frozen=True)
class Trial:
    """One run with a given number of cameras.

    Attributes:
        frames_per_s: tracked frames per second, all cameras together.
        tracked_share: tracked frames as a share of those that the cameras should deliver.
        age_s: seconds from capture to the end of tracking; the quantiles 0.5 and 0.99.
        row_latency_s: seconds from capture to the rows in the file; the same quantiles.
        held: whether enough frames were tracked, 99 % of them within `MAX_AGE_S`.
        bare_frames_per_s: frames per second of the detector alone. It is the mean of a measurement just before the run
            and one just after it, because the speed of shared processors changes within minutes.
    """

    cameras: int
    frames_per_s: float
    tracked_share: float
    age_s: dict[float, float]
    row_latency_s: dict[float, float]
    held: bool
    bare_frames_per_s: float

    @property
    def share(self) -> float:
        """Speed of the pipeline as a share of the speed of the detector alone."""
        return self.frames_per_s / self.bare_frames_per_s


@dataclass(frozen=True)
class LoadFigures:
    """Result of a measurement.

    Attributes:
        trials: in the order in which they were run; at least one.
    """

    trials: tuple[Trial, ...]

    @property
    def cameras(self) -> int:
        """The largest number of cameras that was held."""
        return max((trial.cameras for trial in self.trials if trial.held), default=0)

    @property
    def fullest(self) -> Trial:
        """The trial in which the pipeline came closest to the detector alone, including trials with too many
        cameras."""
        return max(self.trials, key=lambda trial: trial.share)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return {
            "cameras": self.cameras,
            "bare_frames_per_s": round(self.fullest.bare_frames_per_s, 2),
            "live_frames_per_s": round(self.fullest.frames_per_s, 2),
            "share": round(self.fullest.share, 4),
            "trials": [asdict(trial) for trial in self.trials],
        }

    def table(self) -> Table:
        """Return the figures as a table for the terminal."""
        width, height = SIZE_WH
        table = Table(
            "cameras",
            "frames/s",
            "share of bare detector",
            "tracked",
            "age median, s",
            "age p99, s",
            "row median, s",
            "row p99, s",
            "held",
            title=f"{width}x{height} at {FRAME_RATE} frames a second: {self.cameras} cameras held",
            caption=(
                f"bare detector {self.fullest.bare_frames_per_s:.1f} frames/s, "
                f"live {self.fullest.frames_per_s:.1f} ({self.fullest.share:.0%})"
            ),
        )
        for trial in sorted(self.trials, key=lambda trial: trial.cameras):
            quantiles = [
                values.get(share, math.nan)
                for values in (trial.age_s, trial.row_latency_s)
                for share in (0.5, 0.99)
            ]
            table.add_row(
                str(trial.cameras),
                f"{trial.frames_per_s:.1f}",
                f"{trial.share:.0%}",
                f"{trial.tracked_share:.1%}",
                *(f"{seconds:.3f}" for seconds in quantiles),
                "yes" if trial.held else "no",
            )
        return table


def measure_load(
    config: Config,
    limits: MatchLimits,
    models: Models,
    *,
    duration_s: float,
    stop: threading.Event,
    max_cameras: int = 256,
) -> LoadFigures | None:
    """Play the recordings of `config`, scaled to `SIZE_WH`, as more and more cameras until the machine holds no more.

    Args:
        duration_s: length of each trial in s.
        stop: set it to end the measurement; an unfinished trial does not count.
        max_cameras: largest number of cameras to try.

    Returns:
        None if it was stopped before the end of the first trial.

    Raises:
        InputError: there is no camera, or one is not a recording.
    """
    with working_folder("load") as folder:
        max_picture_px = config.runtime.max_picture_px
        clips = [
            _clip(camera, folder / f"{camera.name}.mp4", duration_s, stop, max_picture_px)
            for camera in config.cameras
        ]
        if not clips:
            raise InputError("there is no camera: --report needs recordings to play")
        if stop.is_set():
            return None
        bare = _BareDetector(models.detector, clips, stop)
        at_first = bare.frames_per_s
        trials: list[Trial] = []

        def held(cameras: int) -> bool:
            trial = _trial(
                config, limits, models, clips, cameras, folder / f"run{len(trials)}", duration_s, bare, stop
            )
            if trial is None:
                return False
            trials.append(trial)
            return trial.held

        _search(held, max(int(0.85 * at_first / FRAME_RATE), 1), max_cameras, stop)
        # A run with more cameras than are held shows the full speed of the pipeline.
        flooded = min(math.ceil(1.3 * at_first / FRAME_RATE) + 1, max_cameras)
        if not stop.is_set() and all(trial.cameras < flooded for trial in trials):
            held(flooded)
    return LoadFigures(tuple(trials)) if trials else None


def _search(held: Callable[[int], bool], first: int, most: int, stop: threading.Event) -> None:
    """Call `held` with numbers of cameras until the largest number for which it is true is known, to within 5 %."""
    low, high, cameras = 0, most + 1, min(first, most)
    while high - low > max(1, low // 20) and not stop.is_set():
        if held(cameras):
            low = cameras
            cameras = min(max(cameras + 1, cameras * 9 // 8), (low + high) // 2 if high <= most else most)
        else:
            high = cameras
            cameras = (low + high) // 2
        if cameras in (low, high) or cameras < 1:
            return


def _clip(
    camera: CameraConfig, target: Path, duration_s: float, stop: threading.Event, max_picture_px: int
) -> Path:
    """Write the recording, scaled to `SIZE_WH` and at `FRAME_RATE`, long enough for a trial unless `stop` is set."""
    if is_stream(camera.source):
        raise InputError(f"camera {camera.name}: --report plays recordings, but {camera.source} is a live stream")
    width, height = SIZE_WH
    frames = min(int((duration_s + _SETTLE_S + 3) * FRAME_RATE), _CLIP_S * FRAME_RATE * 20)
    written = 0
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "g": str(FRAME_RATE)}
        stream.codec_context.time_base = Fraction(1, FRAME_RATE)
        while written < frames and not stop.is_set():
            before = written
            with VideoSource(
                camera.name,
                camera.source,
                frame_rate=camera.frame_rate,
                display_size_wh=camera.display_size,
                max_picture_px=max_picture_px,
            ) as source:
                for frame in source:
                    if frame.image is None or written >= frames or stop.is_set():
                        break
                    picture = av.VideoFrame.from_ndarray(frame.image, format="bgr24").reformat(
                        width, height, "yuv420p"
                    )
                    picture.pts, picture.time_base = written, Fraction(1, FRAME_RATE)
                    container.mux(stream.encode(picture))
                    written += 1
            if written == before and not stop.is_set():
                raise InputError(f"camera {camera.name}: {camera.source} has no frames")
        container.mux(stream.encode(None))
    return target


class _BareDetector:
    """Measures the detector alone, on decoded frames, at the fastest of several batch sizes.

    Args:
        stop: set it to end the measurement; figures measured until then are kept.

    Attributes:
        frames_per_s: the last measured speed.
    """

    def __init__(self, detector: Detector, clips: Sequence[Path], stop: threading.Event) -> None:
        self._detector, self._stop = detector, stop
        frames: list[Frame] = []
        for clip in clips:
            with VideoSource(clip.stem, str(clip)) as source:
                frames += [frame for frame, _ in zip(source, range(_BARE_FRAMES), strict=False)]
        # Neighbouring frames in a batch come from different cameras, as in a live run.
        self._frames = [frames[row] for row in np.arange(len(frames)).reshape(len(clips), -1).T.ravel()]
        paces = {size: self._pace(size) for size in _BARE_BATCHES}
        self._size = max(paces, key=lambda size: paces[size])
        self.frames_per_s = paces[self._size]

    def measure(self) -> float:
        """Measure the frames per second again and return them."""
        self.frames_per_s = self._pace(self._size) or self.frames_per_s
        return self.frames_per_s

    def _pace(self, size: int) -> float:
        """Return the frames per second in batches of `size`; 0 if stopped before the first batch."""
        frames = self._frames
        if not self._stop.is_set():
            self._detector.detect(frames[:size])
        done, began_s = 0, time.perf_counter()
        while done < 2 * len(frames) and time.perf_counter() - began_s < _BARE_S and not self._stop.is_set():
            batch = [frames[(done + offset) % len(frames)] for offset in range(size)]
            self._detector.detect(batch)
            done += size
        return done / (time.perf_counter() - began_s)


def _trial(
    config: Config,
    limits: MatchLimits,
    models: Models,
    clips: Sequence[Path],
    cameras: int,
    folder: Path,
    duration_s: float,
    bare: _BareDetector,
    stop: threading.Event,
) -> Trial | None:
    """Run one trial; return None if `stop` was set before its end."""
    bare_before = bare.frames_per_s
    played = _played(config, clips, cameras)
    redact = Redactor()
    run = LiveRun(
        played,
        limits,
        models,
        folder,
        plans_of=lambda one: camera_plans(one, simulate_live=True, redact=redact),
        redact=redact,
    )
    try:
        run.start()
        _wait(run, _SETTLE_S, stop)
        before, began_s = run.status(), time.monotonic()
        _wait(run, duration_s, stop)
        after, took_s = run.status(), time.monotonic() - began_s
        ages = run.frame_ages(began_s)
    finally:
        run.stop()
    if stop.is_set():
        return None
    tracked = sum(camera.inferred for camera in after.cameras) - sum(camera.inferred for camera in before.cameras)
    # Relative to the elapsed time, so that frames that did not arrive in time count as missing.
    share = tracked / (took_s * FRAME_RATE * cameras)
    age_s = {q: float(np.quantile(ages, q)) for q in (0.5, 0.99)} if ages else {}
    return Trial(
        cameras=cameras,
        frames_per_s=tracked / took_s,
        tracked_share=min(share, 1.0),
        age_s=age_s,
        row_latency_s=dict(after.row_latency_s),
        held=bool(age_s) and share >= _HELD_SHARE and age_s[0.99] <= MAX_AGE_S,
        bare_frames_per_s=(bare_before + bare.measure()) / 2,
    )


def _played(config: Config, clips: Sequence[Path], cameras: int) -> Config:
    """Return the configuration with `cameras` cameras, which play the clips in turn. Settings in pixels are left out
    because they do not fit the scaled clips."""
    names = [f"load{number + 1}" for number in range(cameras)]
    sources = [str(clips[number % len(clips)]) for number in range(cameras)]
    return config.model_copy(
        update={
            "cameras": [
                CameraConfig(name=name, source=source) for name, source in zip(names, sources, strict=True)
            ],
            "linker": config.linker.model_copy(update={"transit_windows": []}),
            "live": config.live.model_copy(update={"sinks": [], "max_fps": float(FRAME_RATE)}),
        }
    )


def _wait(run: LiveRun, seconds: float, stop: threading.Event) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not run.finished and not stop.wait(0.05):
        pass
