"""A person's data is handed out while files change under the reader."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from pipeline.core.errors import InputError
from pipeline.files.results_csv import COLUMNS, TrajectoryWriter
from pipeline.live.output.segments import row_line, segments
from pipeline.live.sinks.messages import SCHEMA_FILE, remap_message, row_message
from pipeline.privacy.export_person import export_person
from pipeline.privacy.person import PersonIds, person_ids
from pipeline.privacy.run_folder import RunFolder
from pipeline.recorded.finalize import rewrite
from tests.helpers.live.examples import NOW_S, make_remap, make_row
from tests.helpers.stored_runs import RUN_ID, live_run, recorded_run, row

HEADER = ",".join(COLUMNS) + "\n"
NAMES = ["traj-1-aa-0001.csv", "traj-1-aa-0002.csv", "traj-1-aa-0003.csv.part"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three segments with a row of person 1 each, at three seconds; the last is being written."""
    folder = tmp_path / "live"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_text(HEADER + row_line(make_row(time_s=NOW_S + number)))
    return folder


def times_s(content: dict[str, list[dict[str, str]]]) -> list[float]:
    return [float(row["time_s"]) - NOW_S for row in content["rows"]]


def rotated(folder: Path) -> None:
    (folder / NAMES[2]).rename(folder / NAMES[2].removesuffix(".part"))


def expired(folder: Path) -> None:
    (folder / NAMES[0]).unlink()


def growing(folder: Path) -> None:
    """A reader may find the first half of a line."""
    with (folder / NAMES[2]).open("a") as file:
        file.write(row_line(make_row(time_s=NOW_S + 9))[:-9])


@pytest.mark.parametrize("listing", [1, 2], ids=["ids are looked for", "rows are"])
@pytest.mark.parametrize(
    ("happens", "expected"),
    [(rotated, [0.0, 1.0, 2.0]), (expired, [1.0, 2.0]), (growing, [0.0, 1.0, 2.0])],
)
def test_between_listing_the_files_and_reading_them(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Path], None],
    expected: list[float],
    listing: int,
) -> None:
    listings: list[list[Path]] = []

    def listed(path: Path) -> list[Path]:
        found = segments(path)
        listings.append(found)
        if len(listings) == listing:
            happens(folder)
        return found

    run = RunFolder(folder)
    monkeypatch.setattr("pipeline.privacy.run_folder.segments", listed)
    assert times_s(export_person(run, 1, tmp_path / "out")) == expected
    assert len(listings) == 2


@pytest.mark.parametrize("turn", [1, 2], ids=["after the first look", "after the second"])
def test_a_segment_that_ends_while_files_are_listed_is_listed_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    glob = Path.glob
    looks: list[str] = []

    def looked(path: Path, pattern: str) -> Iterator[Path]:
        found = list(glob(path, pattern))
        looks.append(pattern)
        if len(looks) == turn:
            rotated(folder)
        return iter(found)

    monkeypatch.setattr(Path, "glob", looked)
    names = [path.name.removesuffix(".part") for path in segments(folder)]
    assert names == [name.removesuffix(".part") for name in NAMES]


def test_of_a_segment_that_was_listed_under_both_names_the_final_one_counts(folder: Path) -> None:
    (folder / NAMES[2].removesuffix(".part")).write_text(HEADER)
    assert [path.name for path in segments(folder)] == [name.removesuffix(".part") for name in NAMES]


def test_rows_end_where_a_line_is_being_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its second half, which may have come by the next look, is no line of its own."""
    whole = row_line(make_row())
    lines = [HEADER, whole, whole[:-9], whole[-9:], whole]

    class Growing(io.BytesIO):
        def __next__(self) -> bytes:
            if not lines:
                raise StopIteration
            return lines.pop(0).encode()

    monkeypatch.setattr(Path, "open", lambda path, mode: Growing())
    assert len(list(RunFolder(folder).rows(folder / NAMES[2]))) == 1


def test_rows_are_not_mixed_from_online_and_final_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is 1 online may be somebody else in the end."""
    with TrajectoryWriter(tmp_path, ["entrance"], None) as writer:
        writer.write(make_row(1))

    def finished(folder: RunFolder, global_id: int) -> PersonIds:
        found = person_ids(folder, global_id)
        rewrite(tmp_path, {}, camera_ids=["entrance"], epoch_utc=None, interpolate_max_gap_s=None)
        return found

    monkeypatch.setattr("pipeline.privacy.export_person.person_ids", finished)
    with pytest.raises(InputError, match="ids mean other people now: look up the person's id again"):
        export_person(RunFolder(tmp_path), 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


SCHEMA = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def test_rows_and_corrections_are_those_of_the_sinks(tmp_path: Path) -> None:
    """The same message, wherever somebody reads it."""
    linked = make_row(5, "hall", 4, NOW_S + 0.25, frame_index=7, world_xy_m=(1.23456, -2.0))
    folder = live_run(tmp_path / "live", [linked], [make_remap(5, 2)])
    content = export_person(RunFolder(folder), 5, tmp_path / "out")
    assert content["rows"] == [json.loads(row_message(linked, RUN_ID).text)]
    assert content["corrections"] == [json.loads(remap_message(make_remap(5, 2), RUN_ID).text)]


@pytest.mark.parametrize("utc", ["", "2026-05-01T10:00:00.000Z"])
def test_rows_of_a_recording_follow_the_same_schema(tmp_path: Path, utc: str) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 2, 0, interpolated=True)])
    path = folder / "trajectories.csv"
    path.write_text(path.read_text().replace("0.000,,", f"0.000,{utc},"))
    (exported,) = export_person(RunFolder(folder), 1, tmp_path / "out")["rows"]
    SCHEMA.validate(exported)
    assert (exported["utc"], exported["interpolated"], exported["track_id"]) == (utc or None, True, 2)
