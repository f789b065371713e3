"""The global id of each track, read from trajectories.csv."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.files.track_ids import read_track_ids

TEXT = "global_id,camera_id,track_id,link_state\n9,hall,1,provisional\n4,hall,1,final\n5,yard,2,provisional\n"


def test_the_newest_id_of_a_track_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{TEXT}7,hall,1,fi")  # a line that is being written
    ids = read_track_ids(path)
    assert {name: dict(of) for name, of in ids.of_camera.items()} == {"hall": {1: 4}, "yard": {2: 5}}
    assert ids.provisional == {("yard", 2)}
    assert (ids.of("hall", 1), ids.of("hall", 2), ids.of("cellar", 1)) == (4, None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "the header has no column camera_id, track_id, global_id"),
        ("", "the header has no column"),
        (f"{TEXT}x,hall,1,final\n", "line 5: its ids cannot be read"),
        (f"{TEXT}1,hall\n", "line 5: its ids cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_track_ids(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_track_ids(tmp_path / "nowhere.csv")
    path.write_bytes(b"global_id,camera_id,track_id\n\xff\xfe,1,2\n")
    with pytest.raises(InputError, match="is not CSV text in UTF-8"):
        read_track_ids(path)
