"""Folders of pictures: deep ones, huge ones, and what is no recording."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.core.errors import InputError
from pipeline.sources.base import BrokenSource
from pipeline.sources.grey_levels import GreyLevels
from pipeline.sources.images import read_image
from pipeline.sources.open import open_source
from pipeline.sources.picture_size import header_size_wh
from tests.helpers.media import grey_picture, index_of, write_pictures


def shown(folder: Path, **options: tuple[int, int]) -> list[NDArray[np.uint8]]:
    with open_source("yard", str(folder), frame_rate=10.0, **options) as source:
        return [frame.image for frame in source if frame.image is not None]


def ramp(low: float, high: float, dtype: str) -> NDArray[np.generic]:
    """A picture of 64 x 48 whose values rise evenly."""
    return np.linspace(low, high, 64 * 48).reshape(48, 64).astype(dtype)


@pytest.mark.parametrize(
    ("suffix", "dtype", "low", "high"),
    [
        pytest.param("png", "uint16", 6900, 9000, id="thermal"),
        pytest.param("tiff", "uint16", 29000, 31500, id="thermal in centikelvin"),
        pytest.param("png", "uint16", 0, 4095, id="12 bits"),
        pytest.param("tiff", "float32", 18.5, 36.9, id="degrees"),
    ],
)
def test_deep_pictures_use_all_grey_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, dtype: str, low: float, high: float
) -> None:
    write_pictures(tmp_path, [ramp(low, high, dtype)] * 2, "{:d}." + suffix)  # type: ignore[list-item]
    for image in shown(tmp_path):
        assert (image.shape, image.dtype) == ((48, 64, 3), np.uint8)
        assert image.min() == 0
        assert image.max() == 255
        assert abs(int(image[24, 32, 0]) - 128) <= 3
    assert caplog.text.count("are shown as 0 to 255") == 1
    assert f"camera yard: {tmp_path} has pictures of type {dtype}" in caplog.text


def test_one_scale_for_the_whole_recording(tmp_path: Path) -> None:
    flat = [np.full((48, 64), value, np.uint16) for value in (1000, 2000, 3000)]
    write_pictures(tmp_path, flat)  # type: ignore[arg-type]
    assert [int(image[0, 0, 0]) for image in shown(tmp_path)] == [0, 128, 255]


@pytest.mark.parametrize("value", [0, 700])
def test_pictures_of_one_value_are_black(tmp_path: Path, value: int) -> None:
    write_pictures(tmp_path, [np.full((48, 64), value, np.uint16)] * 2)  # type: ignore[list-item]
    assert [int(image.max()) for image in shown(tmp_path)] == [0, 0]


def test_ordinary_16_bit_pictures_keep_their_brightness(tmp_path: Path) -> None:
    colours = np.zeros((48, 64, 3), np.uint16)
    colours[:24] = (10_000, 30_000, 60_000)
    write_pictures(tmp_path, [colours] * 2)  # type: ignore[list-item]
    image = shown(tmp_path)[0]
    assert image[0, 0].tolist() == [39, 117, 233]
    assert image[47, 0].tolist() == [0, 0, 0]


def test_the_scale_holds_all_colours() -> None:
    levels = GreyLevels("yard")
    image = np.full((150, 150, 3), (100, 2000, 5000), np.uint16)
    levels.add(image)
    assert levels.to_8_bit(image)[0, 0].tolist() == [0, 99, 255]


def test_a_picture_that_was_deleted_breaks_the_source_there(tmp_path: Path) -> None:
    write_pictures(tmp_path, [grey_picture(index) for index in range(3)])
    with open_source("yard", str(tmp_path), frame_rate=10.0) as source:
        (tmp_path / "1.png").unlink()
        with pytest.raises(BrokenSource, match=r"frame index 1: .*1\.png cannot be read \(No such file"):
            list(source)


def test_values_that_are_no_numbers_are_dark() -> None:
    levels = GreyLevels("yard")
    image = np.array([[np.nan, 10.0], [20.0, np.inf]], np.float32)
    levels.add(image)
    assert levels.to_8_bit(image).tolist() == [[0, 0], [255, 255]]


def test_8_bit_pictures_are_not_changed(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(90, 110, (48, 64, 3)).astype(np.uint8)
    write_pictures(tmp_path, [image])
    np.testing.assert_array_equal(read_image(tmp_path / "0.png"), image)


def bomb(suffix: str, size_wh: tuple[int, int] = (9000, 8000)) -> bytes:
    """A picture of 72 megapixels in some kB."""
    data = io.BytesIO()
    Image.new("1" if suffix in ("png", "tiff") else "L", size_wh).save(
        data, {"jpg": "JPEG", "png": "PNG", "tiff": "TIFF", "bmp": "BMP"}[suffix]
    )
    return data.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_above_the_limit_is_refused_by_its_header(tmp_path: Path, suffix: str) -> None:
    write_pictures(tmp_path, [grey_picture(0)], "{:d}." + suffix)
    data = bomb(suffix)
    for end in (len(data), len(data) // 2):  # half a file has no picture to decode
        (tmp_path / f"1.{suffix}").write_bytes(data[:end])
        with (
            open_source("yard", str(tmp_path), frame_rate=1.0) as source,
            pytest.raises(BrokenSource, match="9000x8000 pixels, which is above the limit of 64 megapixels"),
        ):
            list(source)
    (tmp_path / f"0.{suffix}").write_bytes(data)
    with pytest.raises(InputError, match=r"camera yard: .*9000x8000 pixels"):
        open_source("yard", str(tmp_path), frame_rate=1.0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_headers(kind: str) -> None:
    data = io.BytesIO()
    Image.new("RGB", (30, 20)).save(data, kind)
    assert header_size_wh(data.getvalue()) == (30, 20)
    assert header_size_wh(data.getvalue()[:6]) is None
    assert header_size_wh(b"no picture") is None


class TestWhatIsNoRecording:
    def test_one_picture_of_an_unquoted_pattern(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, [grey_picture(0)])
        with pytest.raises(InputError) as caught:
            open_source("0", str(tmp_path / "0.png"), frame_rate=1.0)
        assert "is one picture, not a recording" in str(caught.value)
        assert f"'{tmp_path}/*.png'" in str(caught.value)

    def test_a_folder_of_one_picture_is_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_pictures(tmp_path, [grey_picture(0)])
        assert len(shown(tmp_path)) == 1
        assert "is only one picture, 0.png" in caplog.text

    def test_a_pattern_of_videos(self, tmp_path: Path) -> None:
        for name in "ab":
            (tmp_path / f"{name}.mp4").touch()
        with pytest.raises(InputError, match="matches 2 videos"):
            open_source("0", str(tmp_path / "*.mp4"))

    def test_other_files_of_a_pattern_are_left_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_pictures(tmp_path, [grey_picture(0), grey_picture(1)])
        (tmp_path / "Thumbs.db").write_bytes(b"no picture")
        assert [index_of(image) for image in shown(tmp_path / "*")] == [0, 1]
        assert "1 of 3 files that match" in caplog.text

    def test_the_hidden_files_of_macos(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_pictures(tmp_path, [grey_picture(0), grey_picture(1)])
        (tmp_path / "._0.png").write_bytes(b"\0\5\26\7no picture")
        assert [index_of(image) for image in shown(tmp_path)] == [0, 1]
        assert f"{tmp_path}: 1 hidden files" in caplog.text


def test_pictures_are_stretched_to_the_size_of_the_display(tmp_path: Path) -> None:
    image = grey_picture(3, (32, 48))
    cv2.rectangle(image, (0, 0), (15, 47), (255, 255, 255), -1)
    write_pictures(tmp_path, [image] * 2)
    for seen in shown(tmp_path, display_size_wh=(64, 48)):
        assert seen.shape == (48, 64, 3)
        assert seen[:, :28].mean() > 250
        assert index_of(seen[:, 36:]) == 3
