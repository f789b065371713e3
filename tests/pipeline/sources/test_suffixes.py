from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sources.suffixes import is_image_name, is_video_name, natural_sorted


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["f1", "f2", "f10"], id="numbers"),
        pytest.param(["1700000000.05", "1700000000.1", "1700000000.15", "1700000001.0"], id="Unix times"),
        pytest.param(["1700000000.123456", "1700000000.2"], id="Unix times without a zero in front"),
        pytest.param(["1700000000,25", "1700000000,5"], id="decimal comma"),
        pytest.param(["f_0.05s", "f_0.25s", "f_0.5s", "f_12.25s"], id="seconds with a unit"),
        pytest.param(["1.8", "1.9", "1.10", "1.11"], id="numbers behind a point"),
        pytest.param(["cam1.09", "cam1.10", "cam1.100"], id="numbers that outgrew their zeros"),
        pytest.param(["2026.9.30", "2026.10.1"], id="dates"),
        pytest.param(["10.0.0.2_5", "10.0.0.12_1"], id="host addresses"),
        pytest.param(["0.500", "0.625", "0.750"], id="equal digits"),
    ],
)
def test_names_are_sorted_as_numbers(names: list[str]) -> None:
    files = [Path("p") / f"{name}.jpg" for name in names]
    assert natural_sorted(reversed(files)) == files


def test_an_order_that_is_not_clear_is_said(caplog: pytest.LogCaptureFixture) -> None:
    files = [Path("1.9.jpg"), Path("1.11.jpg")]
    assert natural_sorted(files) == files
    assert "the order of 2 files such as 1.9.jpg is not clear" in caplog.text
    caplog.clear()
    natural_sorted([Path("0.5.jpg"), Path("1.25.jpg")])
    assert not caplog.text, "both orders agree"


def test_hidden_files_are_no_recordings() -> None:
    assert is_image_name(Path("a/b.JPG"))
    assert not is_image_name(Path("a/._b.jpg"))
    assert is_video_name(Path("a.mp4"))
    assert not is_video_name(Path("._a.mp4"))
