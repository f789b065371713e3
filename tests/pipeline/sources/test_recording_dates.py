from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.sources.recording_dates import RecordingDates, StartUtc, start_utc_of
from tests.helpers.media import grey_picture, write_pictures, write_video

TEN = datetime(2026, 5, 1, 10, tzinfo=UTC)
CREATED = {"creation_time": "2026-05-01T10:00:00Z"}


def video(path: Path, metadata: dict[str, str], seconds: int = 2) -> Path:
    """A video of 10 frames per second."""
    options = {"movflags": "use_metadata_tags"} if path.suffix in (".mp4", ".mov") else None
    return write_video(path, [grey_picture(0)] * (10 * seconds), metadata=metadata, options=options)


@pytest.mark.parametrize(
    ("start_utc", "began_s", "said"),
    [
        pytest.param("container", 0.0, "counts as the beginning", id="beginning"),
        pytest.param("container_end", -2.0, "", id="end"),
        pytest.param(TEN, 0.0, "", id="date"),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_creation_time_is_the_beginning_or_the_end(
    tmp_path: Path, suffix: str, start_utc: StartUtc, began_s: float, said: str
) -> None:
    path = video(tmp_path / f"a.{suffix}", CREATED)
    lines: list[str] = []
    start = start_utc_of("yard", str(path), start_utc, warn=lines.append)
    assert start is not None
    assert (start - TEN).total_seconds() == pytest.approx(began_s, abs=0.01)
    assert len(lines) == bool(said)
    assert said in "".join(lines)


def test_two_that_began_together_have_one_time(tmp_path: Path) -> None:
    began = []
    for name, seconds in (("a", 3), ("b", 1)):
        end = (TEN + timedelta(seconds=seconds)).isoformat()
        path = video(tmp_path / f"{name}.mp4", {"creation_time": end}, seconds)
        began.append(start_utc_of(name, str(path), "container_end"))
    assert began == [TEN, TEN]


@pytest.mark.parametrize(
    ("tags", "at_end", "began_s"),
    [
        pytest.param({}, False, 0.0, id="plain"),
        pytest.param({"com.android.version": "14"}, False, -5.0, id="Android writes the end"),
        pytest.param({"com.apple.quicktime.creationdate": "2026-05-01T11:59:00+0200"}, False, -60.0, id="Apple"),
        pytest.param({"com.apple.quicktime.creationdate": "?"}, False, 0.0, id="damaged tag"),
        pytest.param({}, True, -5.0, id="end"),
    ],
)
def test_tags_that_say_what_the_creation_time_is(tags: dict[str, str], at_end: bool, began_s: float) -> None:
    dates = RecordingDates.of_metadata({**CREATED, **tags}, duration_s=5.0)
    assert dates.start_utc(at_end=at_end) == TEN + timedelta(seconds=began_s)


@pytest.mark.parametrize(
    ("options", "began_s"),
    [({"clock_rate": 1.5}, -3.0), ({"frame_rate": 5.0}, -4.0), ({"clock_rate": 0.5, "frame_rate": 20.0}, -0.5)],
)
def test_a_slower_recording_began_earlier(tmp_path: Path, options: dict[str, float], began_s: float) -> None:
    path = video(tmp_path / "a.mp4", CREATED)
    start = start_utc_of("yard", str(path), "container_end", **options)
    assert start is not None
    assert (start - TEN).total_seconds() == pytest.approx(began_s, abs=0.01)


@pytest.mark.parametrize("start_utc", ["container", "container_end"])
def test_a_file_without_a_date_is_refused(tmp_path: Path, start_utc: StartUtc) -> None:
    path = video(tmp_path / "a.mp4", {})
    with pytest.raises(InputError, match=r"camera yard: .* does not state when it was recorded; give start_utc"):
        start_utc_of("yard", str(path), start_utc)
    write_pictures(tmp_path / "p", [grey_picture(0)])
    with pytest.raises(InputError, match="is no video file"):
        start_utc_of("yard", str(tmp_path / "p"), start_utc)


def test_an_end_without_a_length_is_refused() -> None:
    assert RecordingDates.of_metadata(CREATED, duration_s=None).start_utc(at_end=True) is None


@pytest.mark.parametrize(
    ("began", "said"),
    [
        pytest.param("2026-05-01T09:59:40Z", "", id="20 s before the end"),
        pytest.param("2026-05-01T09:59:20Z", "20 s later", id="the rate is stated twice too high"),
        pytest.param("2026-05-01T10:00:00Z", "20 s earlier", id="the creation time is the beginning"),
    ],
)
def test_a_stated_beginning_that_does_not_fit_the_length_is_said(tmp_path: Path, began: str, said: str) -> None:
    dates = {**CREATED, "com.apple.quicktime.creationdate": began}
    path = video(tmp_path / "a.mov", dates, seconds=20)
    lines: list[str] = []
    start = start_utc_of("yard", str(path), "container_end", warn=lines.append)
    assert start == TEN - timedelta(seconds=20)
    assert len(lines) == bool(said)
    assert said in "".join(lines)
