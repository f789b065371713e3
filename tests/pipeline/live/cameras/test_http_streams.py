"""Streams over HTTP, from a server in this process: MJPEG as cheap cameras send it, and HLS."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest

from pipeline.assembly import open_sources
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.live.telling.status import CameraState, TimestampSource
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


@pytest.mark.parametrize("ends", [False, True], ids=["list stands still", "list ends"])
def test_hls_whose_publisher_is_dead_is_not_played_again(tmp_path: Path, ends: bool) -> None:
    """The web server goes on serving the last segments; when the publisher is back, new ones follow."""
    whole = write_hls(tmp_path, 12.0).read_text().splitlines()
    parts = [line for line in whole if line.endswith(".ts")]
    shown = tmp_path / "now.m3u8"

    def offer(first: int, last: int, *, end: bool = False) -> None:
        head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
        entries = "".join(f"#EXTINF:1.0,\n{part}\n" for part in parts[first:last])
        shown.write_text(head + entries + ("#EXT-X-ENDLIST\n" if end else ""))

    offer(0, LISTED, end=ends)
    live = {"retry_min_s": 0.1, "retry_max_s": 0.2, "read_timeout_s": 0.5, "stalled_after_s": 1.5}
    server = serving(partial(Quiet, directory=str(tmp_path)))
    with server as address, watched(site(tmp_path, {"a": f"{address}/now.m3u8"}, live)) as fleet:
        eventually(lambda: sum(fleet.status("a").reconnects.values()) >= 4, 30)
        status = fleet.status("a")
        assert fleet.count("a") <= 10 * LISTED
        assert status.dropped["replayed"] >= 10 * LISTED
        assert status.state is not CameraState.UP
        eventually(lambda: "the server only sends old video again" in fleet.status("a").problem, 10)
        before = fleet.count("a")
        offer(LISTED, 3 * LISTED)
        eventually(lambda: fleet.count("a") > before + 10, 15)
    numbers = [frame.frame_index for frame in fleet.frames["a"]]
    assert numbers == sorted(set(numbers))


def transport_stream(socket: object, *, video_s: float, other_s: float) -> None:
    """Write MPEG-TS as it is taken: both tracks first, then only sound, until the client leaves."""
    with av.open(socket, "w", format="mpegts", options={"flush_packets": "1"}) as target:
        video = target.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        sound = target.add_stream("mp2", rate=48_000)
        samples = 1152
        began_s = time.monotonic()
        for step in itertools.count():
            now_s = step * samples / 48_000
            if now_s > other_s:
                return
            time.sleep(max(began_s + now_s - time.monotonic(), 0.0))
            if now_s < video_s and int(now_s * 10) != int((now_s - samples / 48_000) * 10):
                image = np.full((240, 320, 3), int(now_s * 20) % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                target.mux(video.encode(frame))
            silence = av.AudioFrame.from_ndarray(np.zeros((2, samples), np.int16), format="s16p", layout="stereo")
            silence.sample_rate = 48_000
            target.mux(sound.encode(silence))


class Writable:
    """The client's end of a connection, as a file."""

    def __init__(self, file: object) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return int(self._file.write(data))  # type: ignore[attr-defined]


class SoundGoesOn(Quiet):
    """The video stalls two seconds after each connection."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        with suppress(OSError, av.FFmpegError):  # the client has left
            transport_stream(Writable(self.wfile), video_s=2.0, other_s=60.0)


def test_a_camera_whose_video_stalls_while_sound_arrives_is_opened_again_any_number_of_times(
    tmp_path: Path,
) -> None:
    process = psutil.Process()
    live = {"stalled_after_s": 1.0, "retry_min_s": 0.1, "retry_max_s": 0.2}
    with serving(SoundGoesOn) as address, watched(site(tmp_path, {"a": f"{address}/a.ts"}, live)) as fleet:
        eventually(lambda: fleet.status("a").reconnects.get("stalled", 0) >= 1, 30)
        eventually(lambda: fleet.up("a"), 15)
        readers, files = threads_of_readers(), process.num_fds()
        eventually(lambda: fleet.status("a").reconnects.get("stalled", 0) >= 5, 60)
        eventually(lambda: fleet.up("a"), 15)
        eventually(lambda: threads_of_readers() <= readers, 5)
        # The server in this process has its end of each connection, too.
        eventually(lambda: process.num_fds() <= files + 4, 5)
    assert fleet.status("a").decoded >= 5 * 10


def threads_of_readers() -> int:
    return sum(thread.name.startswith("read-") for thread in threading.enumerate())
