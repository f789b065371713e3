"""The JSON form of rows and corrections, as its schema promises it."""

from __future__ import annotations

import json

import jsonschema
import pytest

from pipeline.live.sinks.messages import SCHEMA_FILE, remap_message, row_message, utc_text
from tests.helpers.live.examples import NOW_S, make_remap, make_row

SCHEMA = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(row_message(make_row(), "run1"), id="without a place on the floor"),
        pytest.param(row_message(make_row(world_xy_m=(1.23456, -2.0)), "run1"), id="with one"),
        pytest.param(row_message(make_row(final=True), "run1"), id="firm"),
        pytest.param(remap_message(make_remap(5, 2), "run1"), id="correction"),
    ],
)
def test_every_message_follows_the_schema(message) -> None:
    SCHEMA.validate(json.loads(message.text))


def test_a_message_with_another_field_does_not() -> None:
    content = json.loads(row_message(make_row(), "run1").text)
    assert not SCHEMA.is_valid({**content, "source": "rtsp://camera"})


def test_a_row_holds_the_values_of_the_csv() -> None:
    linked = make_row(3, "hall", 4, NOW_S + 0.25, frame_index=7, world_xy_m=(1.23456, -2.0))
    message = row_message(linked, "run1")
    assert (message.kind, message.key) == ("row", "hall")
    assert "\n" not in message.text
    assert json.loads(message.text) == {
        "version": 1,
        "kind": "row",
        "run_id": "run1",
        "time_s": NOW_S + 0.25,
        "utc": "2026-05-01T10:06:40.250Z",
        "global_id": 3,
        "camera_id": "hall",
        "track_id": 4,
        "frame_index": 7,
        "class_name": "person",
        "xyxy_px": [10.0, 20.0, 50.0, 120.0],
        "confidence": 0.8765,
        "link_confidence": 0.75,
        "link_state": "provisional",
        "world_xy_m": [1.235, -2.0],
    }


def test_a_time_is_rounded_and_never_cut() -> None:
    assert utc_text(NOW_S + 0.9996) == "2026-05-01T10:06:41.000Z"
