import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.drawing.video_writer import VideoWriter


def picture(index: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Grey of 2 x index: steps of 8 between every fourth picture survive the codec's loss of about 1."""
    return np.full((height, width, 3), 2 * index, np.uint8)


def top_boxes(path: Path) -> list[str]:
    """The four-letter types of an mp4's outermost boxes, in order (ISO/IEC 14496-12, section 4.2)."""
    data, at, types = path.read_bytes(), 0, []
    while at < len(data):
        types.append(data[at + 4 : at + 8].decode("ascii"))
        at += int.from_bytes(data[at : at + 4], "big")
    return types


@pytest.mark.parametrize("fps", [10, 29.97, Fraction(30000, 1001), 2.5])
def test_pictures_come_back_at_their_times(tmp_path: Path, fps: Fraction | float) -> None:
    path = tmp_path / "video.mp4"
    with VideoWriter(path, fps=fps) as writer:
        for index in range(50):
            writer.write(picture(index))
        assert writer.frames == 50
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.frames == 50
        assert float(stream.average_rate or 0) == pytest.approx(float(fps), rel=1e-4)
        frames = list(container.decode(stream))
    assert len(frames) == 50
    for index, frame in enumerate(frames):
        assert frame.time == pytest.approx(index / float(fps), abs=1e-3)
        assert abs(float(frame.to_ndarray(format="bgr24").mean()) - 2 * index) < 3


def test_index_is_in_front_and_nothing_else_is_left(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        writer.write(picture(1))
    types = top_boxes(tmp_path / "video.mp4")
    assert types.index("moov") < types.index("mdat")
    assert "moof" not in types
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_odd_sizes_are_filled_up(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "video.mp4", fps=10) as writer:
        writer.write(picture(100, width=65, height=47))
    with av.open(str(tmp_path / "video.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (66, 48)
    assert abs(frame.to_ndarray(format="bgr24").astype(int) - 200).max() < 6


@pytest.mark.parametrize("bgr", [(0, 0, 255), (0, 255, 0), (255, 0, 0), (40, 160, 220), (255, 255, 255)])
def test_colours(tmp_path: Path, bgr: tuple[int, int, int]) -> None:
    with VideoWriter(tmp_path / "video.mp4", fps=10, crf=10) as writer:
        writer.write(np.full((48, 64, 3), bgr, np.uint8))
    with av.open(str(tmp_path / "video.mp4")) as container:
        frame = next(container.decode(video=0))
        y, cb, cr = (int(frame.to_ndarray()[row, 0]) for row in (0, 48, 60))
    # Studio range of ITU-R BT.709, section 3: Y' = 16 + 219 (.2126 R + .7152 G + .0722 B).
    b, g, r = (value / 255 for value in bgr)
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    expected = (16 + 219 * luma, 128 + 224 * (b - luma) / 1.8556, 128 + 224 * (r - luma) / 1.5748)
    assert (y, cb, cr) == pytest.approx(expected, abs=3)
    assert (frame.colorspace, frame.color_range) == (1, 1)


def test_what_was_written_before_an_exception_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"

    def fail() -> None:
        with VideoWriter(path, fps=10) as writer:
            for index in range(5):
                writer.write(picture(index))
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        fail()
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 5


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from pipeline.drawing.video_writer import VideoWriter
writer = VideoWriter(Path(sys.argv[1]), fps=10)
for index in range(120):
    writer.write(np.full((48, 64, 3), 2 * index, np.uint8))
os._exit(9)  # as a kill: nothing is flushed or closed
"""


def test_a_killed_process_leaves_a_video_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == 9
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    # Lost: what the encoder still held back, and the fragment of 2 s that was not complete.
    assert 120 - len(frames) <= 60
    assert abs(float(frames[-1].to_ndarray(format="bgr24").mean()) - 2 * (len(frames) - 1)) < 3


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from pipeline.drawing.video_writer import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    with VideoWriter(Path(sys.argv[1]), fps=10) as writer:
        for index in range(100):
            writer.write(np.random.default_rng(index).integers(0, 256, (48, 64, 3)).astype(np.uint8))
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
@pytest.mark.parametrize("bytes_free", [0, 50_000])
def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(tmp_path: Path, bytes_free: int) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "video.mp4"), str(bytes_free)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "File too large\n")


def test_misuse(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fps must be above 0"):
        VideoWriter(tmp_path / "video.mp4", fps=0)
    with pytest.raises(ValueError, match=r"must be named \*.mp4"):
        VideoWriter(tmp_path / "video.avi", fps=1)
    with VideoWriter(tmp_path / "video.mp4", fps=1) as writer:
        writer.write(picture(0))
        with pytest.raises(ValueError, match="the first picture is"):
            writer.write(picture(0, width=32))
    with pytest.raises(ValueError, match="closed"):
        writer.write(picture(0))
    writer.close()


def test_without_pictures_there_is_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "video.mp4", fps=1):
        pass
    assert list(tmp_path.iterdir()) == []
