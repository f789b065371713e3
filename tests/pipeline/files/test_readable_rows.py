"""A damaged line of a CSV costs no other line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.files.readable_rows import LARGEST_ID, ReadableRows, row_of
from pipeline.files.results_csv import COLUMNS
from pipeline.files.set_aside import repair_rows, set_aside
from pipeline.live.output.segments import row_line
from tests.helpers.live.rows import row

HEADER = (",".join(COLUMNS) + "\n").encode()
LINES = [row_line(row(index, global_id=index + 1)).encode() for index in range(5)]


def replaced(line: bytes, name: str, text: str) -> bytes:
    fields = line.decode().rstrip("\n").split(",")
    fields[COLUMNS.index(name)] = text
    return (",".join(fields) + "\n").encode()


#: What happens to the third of five rows, in line 4.
DAMAGES = {
    "NUL block": bytes(64) + b"\n",
    "half a row": LINES[2][:30] + b"\n",
    "not UTF-8": LINES[2].replace(b"person", b"per\xff\xfeson"),
    "stray quote": LINES[2].replace(b"person", b'"person'),
    "quote and comma": LINES[2].replace(b"person", b'",'),
    "letter in a number": LINES[2].replace(b"10.00", b"1x.00"),
    "huge id": replaced(LINES[2], "global_id", str(LARGEST_ID + 1)),
    "negative id": replaced(LINES[2], "global_id", "-3"),
    "time that is no date": replaced(LINES[2], "time_s", "1e300"),
    "not a number": replaced(LINES[2], "x2", "nan"),
    "damaged date": replaced(LINES[2], "utc", "2027-01-15T08:00:00"),
    "damaged state": replaced(LINES[2], "link_state", "fynal"),
    "camera without a name": replaced(LINES[2], "camera_id", ""),
    "two rows in one": LINES[2].rstrip(b"\n") + LINES[2],
    "many digits": replaced(LINES[2], "frame_index", "9" * 5000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_costs_no_other_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER + LINES[0] + LINES[1] + DAMAGES[damage] + LINES[3] + LINES[4])
    rows = ReadableRows(path)
    assert [int(fields[0]) for fields in rows] == [1, 2, 4, 5]
    assert (rows.damaged, rows.rows, rows.torn, rows.headed, rows.hopeless) == ([4], 4, False, True, False)


def test_a_whole_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    odd = row_line(row(5)).replace("person", '"two\nlines, and a ""quote"""').encode()
    path.write_bytes(HEADER + b"".join(LINES) + odd + LINES[0][:-1])
    rows = ReadableRows(path)
    assert [row_of(fields).row.class_name for fields in rows][-1] == 'two\nlines, and a "quote"'
    assert (rows.damaged, rows.rows, rows.torn, rows.needs_repair) == ([], 6, True, False)
    assert list(ReadableRows(tmp_path / "missing.csv")) == []


@pytest.mark.parametrize("header", [b"", bytes(40) + b"\n", HEADER.replace(b"global", b"g\xffobal")])
def test_a_damaged_header_costs_no_row(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(header + b"".join(LINES))
    rows = ReadableRows(path)
    assert len(list(rows)) == 5
    assert rows.needs_repair
    assert not rows.hopeless


@pytest.mark.parametrize("columns", [COLUMNS[::-1], COLUMNS[:-2], (*COLUMNS, "speed")])
def test_other_columns_are_no_damage(tmp_path: Path, columns: tuple[str, ...]) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes((",".join(columns) + "\n").encode() + b"".join(LINES))
    with pytest.raises(InputError, match=r"its columns are .*, not those of a run"):
        list(ReadableRows(path))


def test_readable_rows_replace_a_damaged_file_which_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.csv"
    whole = HEADER + LINES[0] + b"\0\n" + LINES[1]
    for name in ("rows.csv.damaged", "rows.csv.damaged-2"):
        path.write_bytes(whole)
        os.utime(path, (5.0, 5.0))
        rows = ReadableRows(path)
        assert len(list(rows)) == 2
        repair_rows(rows, COLUMNS, ours=True)
        assert path.read_bytes() == HEADER + LINES[0] + LINES[1]
        assert path.stat().st_mtime == 5.0
        assert (tmp_path / name).read_bytes() == whole
        assert "rows.csv is damaged in line 3; it now holds the 2 rows that can be read" in caplog.text
        assert f"kept as {name}" in caplog.text


@pytest.mark.parametrize("ours", [True, False])
def test_a_file_of_which_nothing_can_be_read(tmp_path: Path, ours: bool) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("my notes\nabout the cameras\n")
    rows = ReadableRows(path)
    assert list(rows) == []
    repair_rows(rows, COLUMNS, ours=ours)
    assert path.exists() is not ours
    assert (tmp_path / "notes.csv.damaged").exists() is ours


def test_a_folder_is_set_aside_too(tmp_path: Path) -> None:
    (tmp_path / "gallery.npz").mkdir()
    (tmp_path / "gallery.damaged").write_text("earlier")
    assert set_aside(tmp_path / "gallery.npz", "gallery.damaged").name == "gallery.damaged-2"
