from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.csv_rows import CsvRows
from pipeline.files.results_csv import COLUMNS, read_trajectories
from pipeline.floor.fit_homography import read_pairs


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1.5,2\n", [["a", "b"], ["1.5", "2"]]),
        ("a;b\n1,5;-2,25\n", [["a", "b"], ["1.5", "-2.25"]]),
        ("a;b\r\n1,5e-3;x,y\r\n", [["a", "b"], ["1.5e-3", "x,y"]]),
        ("a;b\n1,234,5;,5\n", [["a", "b"], ["1,234,5", ".5"]]),
        ("sep=;\na,b;c\n1;2\n", [["a,b", "c"], ["1", "2"]]),
        ("a\tb\n1\t2\n", [["a", "b"], ["1", "2"]]),
        ('a,b,"c;d"\n"1,5",2,3\n', [["a", "b", "c;d"], ["1,5", "2", "3"]]),
        ("", []),
        ("a\n1\n", [["a"], ["1"]]),
    ],
)
def test_rows_with_the_separators_of_table_programs(text: str, rows: list[list[str]]) -> None:
    reader = CsvRows(io.StringIO(text, newline=""))
    assert list(reader) == rows
    assert reader.line_num == text.count("\n")


@given(
    st.lists(st.lists(st.text("ab1.", min_size=1), min_size=2, max_size=4), min_size=1), st.sampled_from(",;\t")
)
def test_what_a_separator_joins_it_splits(rows: list[list[str]], separator: str) -> None:
    assert list(CsvRows(f"{separator.join(row)}\n" for row in rows)) == rows


def test_results_and_pairs_saved_by_a_table_program(tmp_path: Path) -> None:
    rows = ["7;hall;3;11;1,1;;person;10,5;20;30;60,25;0,9;1;final;0;-1,5;2"]
    text = "\r\n".join([";".join(COLUMNS), *rows, ""])
    (tmp_path / "t.csv").write_text(text, encoding="utf-8-sig", newline="")
    (linked,) = read_trajectories(tmp_path / "t.csv", strict=True)
    assert (linked.link.global_id, linked.row.time_s, linked.row.confidence) == (7, 1.1, 0.9)
    assert (linked.row.xyxy, linked.row.world_xy_m) == ((10.5, 20.0, 30.0, 60.25), (-1.5, 2.0))
    pairs = "sep=;\r\nfloor_x_m;floor_y_m;image_x_px;image_y_px\r\n1,5;2;300,25;400\r\n"
    (tmp_path / "pairs.csv").write_text(pairs, encoding="utf-8-sig", newline="")
    image, floor = read_pairs(tmp_path / "pairs.csv")
    assert (image.tolist(), floor.tolist()) == ([[300.25, 400.0]], [[1.5, 2.0]])
