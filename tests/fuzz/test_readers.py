"""Readers of files that people and other programs write answer every content with a result or an InputError."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.mot_file import read_mot_detections
from pipeline.config.config import load_config
from pipeline.config.output_settings import read_secret
from pipeline.core.errors import InputError
from pipeline.files.mot_files import read_ground_truth, read_results
from pipeline.files.results_csv import COLUMNS, read_trajectories
from pipeline.files.trajectory_boxes import read_trajectory_boxes
from pipeline.floor.fit_homography import fit_homography, read_pairs
from pipeline.review.journal import Journal
from pipeline.review.original_rows import OriginalRows
from reid.training.config import load_training_config

_CSV = f"""{",".join(COLUMNS)}
7,hall,3,11,1.1,,person,10.5,20,30,60.25,0.9,1.0,final,0,-1.5,2
7,hall,3,12,1.2,2026-05-01T10:00:00.000Z,"a, ""b"" c",10.5,20,30,60.25,0.9,1.0,final,1,,
"""
_MOT = "1,7,10,20,30,40,1,1,0.5\n2,7,10,20,30,40,1,1,1\n3,8,10,20,30,40,0,7,1\n"
_DET = "1,-1,10,20,30,40,0.9,-1,-1,-1\n2,-1,10.5,20,30,40,1,-1,-1,-1\n"
_PAIRS = "image_x_px,image_y_px,floor_x_m,floor_y_m\n0,0,0,0\n9,0,1,0\n9,8,1,1.5\n0,8,0,1\n5,5,.5,.5\n"
_CONFIG = """cameras:
  - &a {name: a, source: a.mp4, start_s: 1e0, homography: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
  - {<<: *a, name: b, start_utc: 2026-05-01T10:00:00Z, start_s: 0.0, username: "x", password: "${HOME}"}
tracker: {max_lost_s: 5, first_crops: 4}
linker: {transit_windows: [{from: a, to: b, min_s: 5, max_s: 60}]}
live:
  sinks: [{type: mqtt, host: h, port: 1}, {type: kafka, servers: ["h:1"]}, {type: json_lines, path: "-"}]
  web: {enabled: true, port: 0}
"""
_REVIEW = """{"format": "mtmc review", "version": 1}
{"step": "merge", "into": 3, "merged": 7, "utc": "2026-05-01T10:00:00+00:00"}
{"step": "split", "camera_id": "hall", "track_id": 4, "global_id": 16, "from_frame": 310, "new_track_id": 22}
{"step": "rename", "global_id": 3, "name": "Ana"}
{"step": "undo"}
{"step": "redo"}
"""
_TRAINING = "model: {architecture: vit_small}\noptimizer: {name: sgd, lr: 1e-4}\nschedule: {epochs: 9}\n"


def _fit(path: Path) -> None:
    image_px, floor_m = read_pairs(path)
    fit_homography(image_px, floor_m)
    fit_homography(image_px, floor_m, max_error_m=0.1)


READERS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "configuration": ("c.yaml", _CONFIG, load_config),
    "training": ("t.yaml", _TRAINING, load_training_config),
    "trajectories": ("t.csv", _CSV, lambda path: list(read_trajectories(path))),
    "scored trajectories": ("t.csv", _CSV, read_trajectory_boxes),
    "ground truth": ("gt.txt", _MOT, read_ground_truth),
    "results": ("r.txt", _MOT, read_results),
    "detections": ("det.txt", _DET, read_mot_detections),
    "pairs": ("pairs.csv", _PAIRS, _fit),
    "steps of a review": ("review.ndjson", _REVIEW, lambda path: Journal(path.parent)),
    "rows of a review": ("t.csv", _CSV, lambda path: OriginalRows(path, {}).tracks()),
    "secret": ("secret.txt", "secret word\n", lambda path: read_secret(None, str(path))),
}
# What breaks readers: numbers at the ends of their ranges, signs of the formats, other encodings.
_PIECES = [
    *(
        "",
        "0",
        "-1",
        "1e999",
        "-1e400",
        "nan",
        "inf",
        "1e18",
        "9" * 30,
        "9" * 5000,
        "0x1",
        "1_0",
        "1e-05",
        "\u0661",
    ),
    *(",", ";", "\t", "\n", "\r", "\r\n", '"', "'", "\0", "\ufeff", "\u2028", "\x85", "\x1a", "#", "=", "sep=;\n"),
    *(
        "{",
        "}",
        "[",
        "]",
        "[" * 200,
        "{{ x }}",
        ": ",
        "- ",
        "*a",
        "&a ",
        "<<: *a",
        "!!bool x",
        "!!int ''",
        "| ",
        "? ",
    ),
    *(
        "2026-13-45",
        "0001-01-01",
        "9999-12-31T23:59:59-05:00",
        "true",
        "null",
        "~",
        "${UNSET}",
        "${HOME}",
        "---\n",
    ),
    *(
        "rtsp://u:p@h/x",
        "rtsp://",
        "http://[::1",
        "a" * 300,
        "../..",
        "/dev/video0",
        "%41",
        "!!binary '='",
        "12:30:45",
    ),
]
# `make fuzz` tries more.
_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
_BYTES = [piece.encode() for piece in _PIECES] + [b"\xff", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\x00\x01"]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The text with some of its parts replaced; sometimes other bytes altogether, or in another encoding."""
    if draw(st.integers(0, 9)) == 0:
        return draw(
            st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")))
        )
    data = text.encode(draw(st.sampled_from(["utf-8"] * 8 + ["utf-8-sig", "utf-16"])))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 1, 2, 3, 5, 30])))
        data = data[:start] + draw(st.sampled_from(_BYTES)) + data[end:]
    return data


@pytest.mark.parametrize("reader", READERS)
def test_the_undamaged_file_is_read(tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, text, read = READERS[reader]
    monkeypatch.setenv("HOME", "/home/x")
    (tmp_path / name).write_text(text.replace("start_utc: 2026-05-01T10:00:00Z, start_s: 0.0, ", ""))
    read(tmp_path / name)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_content_is_answered(tmp_path: Path, reader: str, data: st.DataObject) -> None:
    name, text, read = READERS[reader]
    (tmp_path / name).write_bytes(data.draw(damaged(text)))
    try:
        read(tmp_path / name)
    except InputError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
    assert len(message) < 2000
