"""The webhook sink against a local HTTP server that fails, hangs, redirects and closes idle connections."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema
import pytest

from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.redaction import Redactor
from pipeline.live.sinks.build import secrets_of, sink_makers
from pipeline.live.sinks.feed import SinkFeed
from pipeline.live.sinks.messages import SCHEMA_FILE
from pipeline.live.sinks.transport import DeliveryError
from tests.helpers.live.examples import make_remap, make_row
from tests.helpers.live.servers import free_port, wait_until

SCHEMA = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
TOKEN = "t0ken-of-the-hook"
KEY = "k3y-in-the-path"


class Receiver(ThreadingHTTPServer):
    """Keeps requests; answers with `codes` in order, then with 204."""

    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], list[dict[str, Any]]]] = []
        self.codes: list[int] = []
        self.connections = 0
        self.hang_s = 0.0
        self.closes = False
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def ids(self) -> list[int]:
        return [line["global_id"] for _, _, lines in self.requests for line in lines]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        time.sleep(self.server.hang_s)
        code = self.server.codes.pop(0) if self.server.codes else 204
        if code < 300:
            lines = [json.loads(line) for line in body.splitlines()]
            self.server.requests.append((self.path, dict(self.headers), lines))
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = self.server.closes

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def settings_of(port: int, **changes: Any) -> Any:
    sink = {
        "type": "webhook",
        "url": f"http://127.0.0.1:{port}/{KEY}?a=b",
        "token": TOKEN,
        "timeout_s": 1.0,
        **changes,
    }
    return load_config(None, {"live": {"sinks": [sink]}}).live.sinks


def sink_of(port: int, **changes: Any) -> Any:
    ((_, make),) = sink_makers(settings_of(port, **changes), "run1")
    return make()


def test_a_batch_is_one_request_of_json_lines(receiver: Receiver) -> None:
    sink = sink_of(receiver.server_port)
    sink.write([make_row(1), make_row(2)])
    sink.remap([make_remap(2, 1)])
    sink.close()
    (path, headers, rows), (_, _, corrections) = receiver.requests
    assert path == f"/{KEY}?a=b"
    assert (headers["Content-Type"], headers["Authorization"]) == ("application/x-ndjson", f"Bearer {TOKEN}")
    assert [line["global_id"] for line in rows] == [1, 2]
    assert [line["kind"] for line in corrections] == ["remap"]
    for line in [*rows, *corrections]:
        SCHEMA.validate(line)
    assert receiver.connections == 1


@pytest.mark.parametrize("code", [302, 400, 401, 413, 429, 500, 503])
def test_another_answer_than_2xx_is_a_failure(receiver: Receiver, code: int) -> None:
    receiver.codes = [code]
    sink = sink_of(receiver.server_port)
    with pytest.raises(DeliveryError, match=f"^webhook 127.0.0.1 answers {code}$"):
        sink.write([make_row(1)])
    sink.write([make_row(1)])
    sink.close()
    assert receiver.ids == [1]


def test_a_connection_that_was_closed_meanwhile_is_no_failure(receiver: Receiver) -> None:
    receiver.closes = True
    sink = sink_of(receiver.server_port)
    for number in (1, 2, 3):
        sink.write([make_row(number)])
        time.sleep(0.05)
    sink.close()
    assert receiver.ids == [1, 2, 3]


def test_a_server_that_hangs_or_is_gone(receiver: Receiver) -> None:
    receiver.hang_s = 5.0
    sink = sink_of(receiver.server_port, timeout_s=0.2)
    began_s = time.monotonic()
    with pytest.raises(DeliveryError, match=r"webhook 127.0.0.1 does not answer: TimeoutError"):
        sink.write([make_row(1)])
    assert time.monotonic() - began_s < 3
    with pytest.raises(DeliveryError, match=r"webhook 127.0.0.1 cannot be reached"):
        sink_of(free_port())


def test_a_feed_sends_again_until_it_succeeds_and_drops_the_oldest(receiver: Receiver) -> None:
    receiver.codes = [503] * 3
    ((name, make),) = sink_makers(settings_of(receiver.server_port), "run1")
    feed = SinkFeed(name, make, Redactor(), max_waiting_rows=4, retry_s=0.05)
    feed.submit([make_row(1), make_row(2)], [])
    wait_until(lambda: feed.status().rows == 2, 10, "the rows are delivered")
    assert receiver.ids == [1, 2]
    assert feed.status().errors == 3
    receiver.codes = [503] * 1000
    for number in range(3, 13):
        feed.submit([make_row(number)], [])
    wait_until(lambda: feed.status().problem == "DeliveryError: webhook 127.0.0.1 answers 503", 10, "the problem")
    assert feed.status().lost >= 6
    receiver.codes = []
    wait_until(lambda: feed.status().waiting == 0, 10, "the rest is delivered")
    feed.close(5)
    assert receiver.ids[2:] == [9, 10, 11, 12]


def test_neither_token_nor_path_is_shown(receiver: Receiver) -> None:
    settings = settings_of(receiver.server_port)
    ((name, _),) = sink_makers(settings, "run1")
    assert name == f"webhook 127.0.0.1:{receiver.server_port}"
    shown = (
        f"{settings} {load_config(None, {'live': {'sinks': [settings[0].model_dump()]}}).model_dump(mode='json')}"
    )
    assert KEY not in shown
    assert TOKEN not in shown
    redact = Redactor(secrets_of(settings))
    assert redact(f"POST /{KEY}?a=b with {TOKEN}") == "POST /*** with ***"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "ftp://host/x"}, "url must be like https://host.example/path"),
        ({"url": "https:///x"}, "url must be like"),
        ({"url": "http://host:0/x"}, "url must be like"),
        ({"url": "http://host:99999/x"}, "url must be like"),
        ({"url": "http://host/a b"}, "url must be like"),
        ({"url": "http://host/a\r\nX: y"}, "url must be like"),
        ({"url": "http://user:word@host/x"}, "url must not hold a login"),
        ({"token_file": "x"}, "give token or token_file, not both"),
    ],
)
def test_settings_that_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        settings_of(80, **changes)
    assert "word" not in str(error.value)


def test_a_token_that_is_no_header_is_refused() -> None:
    with pytest.raises(InputError, match="must be ASCII text on one line"):
        sink_of(80, token="a\r\nX: y")
