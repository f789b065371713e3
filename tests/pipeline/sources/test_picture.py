"""Pictures as a player shows them."""

from __future__ import annotations

import logging
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import StreamAddress
from pipeline.live.cameras.stream import AvStream, StreamOptions
from pipeline.sources.picture import PictureConverter, turned
from pipeline.sources.video import VideoSource

ONE = 1 << 16
#: What is seen of [[1, 2, 3], [4, 5, 6]], by (a, b, c, d).
SEEN = {
    (1, 0, 0, 1): [[1, 2, 3], [4, 5, 6]],
    (-1, 0, 0, 1): [[3, 2, 1], [6, 5, 4]],  # mirrored
    (1, 0, 0, -1): [[4, 5, 6], [1, 2, 3]],
    (-1, 0, 0, -1): [[6, 5, 4], [3, 2, 1]],  # half a turn
    (0, 1, -1, 0): [[4, 1], [5, 2], [6, 3]],  # a quarter, clockwise
    (0, -1, 1, 0): [[3, 6], [2, 5], [1, 4]],  # a quarter, counterclockwise
    (0, 1, 1, 0): [[1, 4], [2, 5], [3, 6]],  # mirrored at the diagonal
    (0, -1, -1, 0): [[6, 3], [5, 2], [4, 1]],
}


def picture(rows: list[list[int]]) -> NDArray[np.uint8]:
    return np.repeat(np.array(rows, np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize(("matrix", "seen"), SEEN.items())
def test_every_way_to_turn_and_mirror(matrix: tuple[int, int, int, int], seen: list[list[int]]) -> None:
    image = picture([[1, 2, 3], [4, 5, 6]])
    scaled = tuple(ONE * value for value in matrix)
    assert turned(image, scaled)[:, :, 0].tolist() == seen  # type: ignore[arg-type]
    assert turned(image, None) is image


def corners(image: NDArray[np.uint8]) -> list[str]:
    """Colours of the four quarters: top left, top right, bottom left, bottom right."""
    height, width = image.shape[:2]
    names = {(0, 0, 200): "red", (0, 200, 0): "green", (200, 0, 0): "blue", (200, 200, 200): "white"}
    found = []
    for y, x in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        pixel = image[int(y * height), int(x * width)].astype(int)
        found.append(min(names, key=lambda colour: abs(pixel - np.array(colour)).sum()))
    return [names[colour] for colour in found]


def write(path: Path, matrix: tuple[int, int, int, int], ratio: Fraction | None = None) -> Path:
    """A film of one picture, 96x64: red, green over blue, white; its matrix is put into the header afterwards."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48], image[:32, 48:] = (0, 0, 200), (0, 200, 0)
    image[32:, :48], image[32:, 48:] = (200, 0, 0), (200, 200, 200)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        if ratio is not None:
            stream.codec_context.sample_aspect_ratio = ratio
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    at = data.index(b"tkhd") + 44  # version 0: the matrix follows 40 bytes of other fields
    a, b, c, d = (ONE * value for value in matrix)
    path.write_bytes(data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :])
    return path


def shown(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        converter = PictureConverter(stream.sample_aspect_ratio, "film")
        image = converter.bgr(frame)
        assert converter.size_wh(frame) == image.shape[1::-1]
        return image


@pytest.mark.parametrize("matrix", SEEN)
def test_a_film_is_shown_as_its_header_wants_it(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    quarters = picture([[0, 1], [2, 3]])
    names = np.array(["red", "green", "blue", "white"])
    expected = names[turned(quarters, matrix)[:, :, 0]].ravel().tolist()
    image = shown(write(tmp_path / "film.mp4", matrix))
    assert corners(image) == expected
    assert image.shape == ((96, 64, 3) if matrix[0] == 0 else (64, 96, 3))


@pytest.mark.parametrize(
    ("ratio", "size_wh"),
    [
        pytest.param(Fraction(2, 1), (192, 64), id="wide pixels"),
        pytest.param(Fraction(1, 2), (48, 64), id="high pixels"),
        pytest.param(Fraction(16, 15), (102, 64), id="PAL"),
        pytest.param(Fraction(1, 1), (96, 64), id="square"),
        pytest.param(None, (96, 64), id="unknown"),
    ],
)
def test_pixels_become_square(tmp_path: Path, ratio: Fraction | None, size_wh: tuple[int, int]) -> None:
    image = shown(write(tmp_path / "film.mp4", (1, 0, 0, 1), ratio))
    assert image.shape[1::-1] == size_wh
    assert corners(image) == ["red", "green", "blue", "white"]


def test_a_turned_film_with_wide_pixels_is_both(tmp_path: Path) -> None:
    """Pixels are stretched as they are stored, before the picture is turned."""
    assert shown(write(tmp_path / "film.mp4", (0, 1, -1, 0), Fraction(2, 1))).shape == (192, 64, 3)


def test_a_ratio_that_cannot_be_is_said_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    frame = av.VideoFrame(96, 64, "yuv420p")
    with caplog.at_level(logging.WARNING):
        assert PictureConverter(Fraction(100, 1), "film.mp4").size_wh(frame) == (96, 64)
    assert "film.mp4 says that a pixel is 100 times as wide as high" in caplog.text


@pytest.mark.parametrize("ratio", [None, Fraction(2, 1)])
@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (-1, 0, 0, 1), (0, 1, -1, 0)])
def test_recordings_and_live_streams_show_the_same_picture(
    tmp_path: Path, matrix: tuple[int, int, int, int], ratio: Fraction | None
) -> None:
    path = write(tmp_path / "film.mp4", matrix, ratio)
    with VideoSource("a", str(path)) as source:
        recorded = next(iter(source))
    stream = AvStream(StreamAddress(str(path)), StreamOptions("tcp", 5.0, 5.0), Redactor())
    try:
        live = next(picture for received in stream.packets() for picture in received.pictures)
        assert live.size_wh == recorded.size_wh == source.size_wh
        np.testing.assert_array_equal(live.to_bgr(), recorded.image)
    finally:
        stream.close()


@pytest.mark.parametrize("ratio", [None, Fraction(3, 2)])
@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (0, 1, -1, 0)])
def test_the_display_size_of_the_configuration_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, matrix: tuple[int, int, int, int], ratio: Fraction | None
) -> None:
    """Of the picture as it is shown, in place of what the file says about its pixels."""
    path = write(tmp_path / "film.mp4", matrix, ratio)
    upright = corners(shown(path))
    caplog.clear()
    for display_size_wh in ((192, 64), (64, 192), (50, 50)):
        with VideoSource("a", str(path), display_size_wh=display_size_wh) as source:
            image = next(iter(source)).image
            assert source.size_wh == display_size_wh
        assert image is not None
        assert image.shape[1::-1] == display_size_wh
        assert corners(image) == upright
        options = StreamOptions("tcp", 5.0, 5.0, display_size_wh=display_size_wh)
        stream = AvStream(StreamAddress(str(path)), options, Redactor())
        live = next(picture for received in stream.packets() for picture in received.pictures)
        np.testing.assert_array_equal(live.to_bgr(), image)
        stream.close()
    assert "wide as high" not in caplog.text


@pytest.mark.parametrize(
    ("pix_fmt", "low", "high"), [("gray16le", 6900, 9000), ("gray16le", 29000, 31500), ("gray12le", 300, 420)]
)
def test_deep_grey_films_use_all_grey_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pix_fmt: str, low: int, high: int
) -> None:
    """Of thermal cameras."""
    values = np.linspace(low, high, 64 * 48).reshape(48, 64).astype(np.uint16)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for _ in range(2):
            frame = av.VideoFrame(64, 48, pix_fmt)
            padded = np.zeros((48, frame.planes[0].line_size // 2), np.uint16)
            padded[:, :64] = values
            frame.planes[0].update(padded.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoSource("hot", str(tmp_path / "a.mkv")) as source:
        images = [frame.image for frame in source]
    for image in images:
        assert image is not None
        assert (image.shape, image.min(), image.max()) == ((48, 64, 3), 0, 255)
        assert abs(int(image[24, 0, 0]) - 128) <= 3
    assert caplog.text.count("are shown as 0 to 255") == 1
