from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.sources.open import open_source
from tests.helpers.media import grey_picture

SOUND_RATE = 8000


def with_sound(path: Path, *, frames: int, frame_rate: int, sound_s: float) -> Path:
    """A video with silence of another length."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=frame_rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(grey_picture(index % 20), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, frame_rate)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, round(sound_s * SOUND_RATE)), np.int16), format="s16", layout="mono"
        )
        silence.sample_rate, silence.pts = SOUND_RATE, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
@pytest.mark.parametrize(
    ("frame_rate", "sound_s", "given", "said"),
    [
        pytest.param(10, 8.0, None, "", id="right"),
        pytest.param(10, 8.9, None, "", id="sound that ends a little later"),
        pytest.param(
            20, 8.0, None, "lasts 4.0 s by its frame rate or times, but its sound 8.0 s", id="rate too high"
        ),
        pytest.param(
            5, 8.0, None, "lasts 16.0 s by its frame rate or times, but its sound 8.0 s", id="rate too low"
        ),
        pytest.param(20, 8.0, 10.0, "", id="the rate is given"),
    ],
)
def test_a_frame_rate_that_does_not_fit_the_sound_is_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    frame_rate: int,
    sound_s: float,
    given: float | None,
    said: str,
) -> None:
    path = with_sound(tmp_path / f"a.{suffix}", frames=80, frame_rate=frame_rate, sound_s=sound_s)
    source = open_source("yard", str(path), frame_rate=given)
    assert sum(1 for _ in source) == 80
    source.close()
    assert said in caplog.text
    assert ("its sound" in caplog.text) == bool(said)
    assert ("give frame_rate 10" in caplog.text) == bool(said)
