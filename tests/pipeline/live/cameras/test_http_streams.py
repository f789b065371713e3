"""Streams over HTTP, from a server in this process: MJPEG as cheap cameras send it, and HLS."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.assembly import open_sources
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.live.telling.status import TimestampSource
from tests.helpers.live.live_process import clip
from tests.helpers.live.waiting import HICCUP_S, eventually
from tests.helpers.live.watched_fleet import site, watched

# Parts in a list that moves on.
LISTED = 3


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler] | partial[SimpleHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server that is stopped at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mjpeg(BaseHTTPRequestHandler):
    """Ten pictures a second without end."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.full((240, 320, 3), 128, np.uint8))[1].tobytes()
        head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        try:
            while True:
                self.wfile.write(head + jpeg + b"\r\n")
                time.sleep(0.1)
        except OSError:
            return

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_mjpeg_over_http(tmp_path: Path) -> None:
    with serving(Mjpeg) as address, watched(site(tmp_path, {"a": f"{address}/video"})) as fleet:
        eventually(lambda: fleet.count("a") >= 30, 20)
        status = fleet.status("a")
        assert status.timestamps is TimestampSource.HOST
        assert status.size_wh == (320, 240)
        assert status.reconnects == {}
        times_s = [frame.time_s for frame in fleet.frames["a"]]
        # At the pace at which they came; FFmpeg itself would count 25 frames a second.
        steps_s = [b - a for a, b in itertools.pairwise(times_s[5:])]
        assert statistics.median(steps_s) == pytest.approx(0.1, rel=0.5)


def write_hls(folder: Path, seconds: float) -> Path:
    """A film of 10 frames a second in parts of one second, and the list of all of them."""
    path = folder / "live.m3u8"
    film = clip(folder, "film", seconds)
    with (
        av.open(str(film)) as source,
        av.open(str(path), "w", format="hls", options={"hls_time": "1", "hls_list_size": "0"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


def test_hls_is_played_at_its_own_speed(tmp_path: Path) -> None:
    """Its pictures come a file at a time; they are held back until their turn comes."""
    write_hls(tmp_path, 6.0)
    server = serving(partial(Quiet, directory=str(tmp_path)))
    with server as address, watched(site(tmp_path, {"a": f"{address}/live.m3u8"})) as fleet:
        eventually(lambda: fleet.count("a") >= 25, 20)
        frames = fleet.frames["a"][:25]
    assert {frame.source for frame in frames} == {TimestampSource.HOST}
    assert frames[-1].arrived_s - frames[0].arrived_s >= 2.2
    assert 1.9 <= frames[-1].time_s - frames[0].time_s <= 2.9 + HICCUP_S


def moving_list(folder: Path, parts: Sequence[str], asked: list[str]) -> type[BaseHTTPRequestHandler]:
    """As a camera gives HLS: parts come, the oldest ones go, and the list never says that it ends.

    It moves on when its newest part is fetched, not by the clock: a client that is kept from asking misses nothing.

    Args:
        asked: receives the names of the parts that were handed out.
    """
    oldest = 0

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal oldest
            name = self.path.removeprefix("/")
            if name == "live.m3u8":
                head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{oldest}\n"
                entries = [f"#EXTINF:1.0,\n{part}\n" for part in parts[oldest : oldest + LISTED]]
                body = "".join([head, *entries]).encode()
            elif name in parts[max(oldest - 1, 0) : oldest + LISTED]:  # for those who have just read the list
                asked.append(name)
                body = (folder / name).read_bytes()
                oldest += [name] == parts[oldest : oldest + LISTED][-1:]
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Camera


def test_hls_goes_on_while_its_list_moves_on(tmp_path: Path) -> None:
    parts = [line for line in write_hls(tmp_path, 20.0).read_text().splitlines() if line.endswith(".ts")]
    asked: list[str] = []
    server = serving(moving_list(tmp_path, parts, asked))
    with server as address, watched(site(tmp_path, {"a": f"{address}/live.m3u8"})) as fleet:
        eventually(lambda: fleet.count("a") >= 60, 30)
        frames, status = fleet.frames["a"][:60], fleet.status("a")
    assert len(set(asked)) > LISTED + 2
    assert status.reconnects == {}
    times_s = [frame.time_s for frame in frames]
    assert times_s == sorted(times_s)
    assert 4.9 <= times_s[-1] - times_s[0] <= 6.9 + HICCUP_S


def test_recordings_and_streams_have_commands_of_their_own() -> None:
    config = load_config(overrides={"cameras": [{"name": "a", "source": "rtsp://u:geheim@h/x"}]})
    with pytest.raises(InputError, match="rtsp://h/x is a live stream; use `mtmc live` for it"):
        open_sources(config)
