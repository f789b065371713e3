"""The command line in run.json, without what is secret in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.files.origin import origin


@pytest.mark.parametrize(
    ("argument", "noted"),
    [
        ("hall=rtsp://admin:s3cret@10.0.0.2/live", "hall=rtsp://***@10.0.0.2/live"),
        ("http://10.0.0.2/mjpg?user=a&password=s3cret", "http://10.0.0.2/mjpg?user=***&password=***"),
        ("live.web.token=s3cret-s3cret", "live.web.token=***"),
        ("cameras=[{name: a, source: a, username: s3cret, password: s3cret}]", None),
        ('cameras=[{name: a, source: a, "password": "s3cret, s3cret"}]', None),
        ("live.web.token_file=token.txt", "live.web.token_file=token.txt"),
        ("tracker.max_lost_s=3", "tracker.max_lost_s=3"),
    ],
)
def test_secrets_are_left_out(argument: str, noted: str | None) -> None:
    program, command, shown = origin(["/usr/bin/mtmc", "track", argument])["command"]
    assert (program, command) == ("mtmc", "track")
    assert "s3cret" not in shown
    assert "name: a" in shown if noted is None else shown == noted


def test_the_date_is_utc() -> None:
    started = datetime.fromisoformat(origin()["started_utc"])
    assert started.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - started) < timedelta(minutes=1)
