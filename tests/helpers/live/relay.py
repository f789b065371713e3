"""What is between an RTSP camera and its reader: it cuts connections, and spoils video on the way."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

# RTP over RTSP (RFC 2326, 10.12): '$', channel, length in two bytes, packet. Even channels carry RTP, odd ones RTCP.
_MAGIC = ord("$")
_FRAME_HEADER = 4
_RTP_HEADER = 12
# Where a packet has what is changed here (RFC 3550, 5.1 and 6.4.1).
_RTP_TIME = slice(_FRAME_HEADER + 4, _FRAME_HEADER + 8)
_SENDER_REPORT = 200
_REPORT_NTP = slice(_FRAME_HEADER + 8, _FRAME_HEADER + 16)
_REPORT_RTP_TIME = slice(_FRAME_HEADER + 16, _FRAME_HEADER + 20)
_VIDEO_HZ = 90_000


@dataclass(frozen=True)
class Damage:
    """Shares of the packets of video, each in [0, 1].

    Attributes:
        flipped: get some bytes of their payload changed.
        dropped: never arrive; sequence numbers then have a gap, as over UDP.
        bytes_each: how many bytes of a flipped packet change.
    """

    flipped: float
    dropped: float
    bytes_each: int = 4


class Relay:
    """Passes connections on to a camera; without further settings all passes as it is.

    Attributes:
        damage: what is spoiled from now on; None for nothing.
        stream_shift_s: added to the times of the stream, those in RTCP reports too.
        wall_shift_s: added to the camera's wall clock in RTCP reports.
        flipped, dropped: packets that were spoiled so far.
    """

    def __init__(self, target_port: int, seed: int = 0) -> None:
        self.damage: Damage | None = None
        self.stream_shift_s = 0.0
        self.wall_shift_s = 0.0
        self.flipped = 0
        self.dropped = 0
        self._target_port = target_port
        self._rng = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            _hang_up(*self._open)

    def close(self) -> None:
        """End all connections and take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        threads = []
        with suppress(OSError):  # the listener was closed
            while True:
                near, _ = self._listener.accept()
                threads.append(threading.Thread(target=self._connection, args=(near,)))
                threads[-1].start()
        self.cut()
        for thread in threads:
            thread.join()

    def _connection(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._target_port)) as far:
            with self._lock:
                self._open |= {near, far}
            asking = threading.Thread(target=self._requests, args=(near, far))
            asking.start()
            self._answers(near, far)
            asking.join()
            with self._lock:
                self._open -= {near, far}

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):  # either side has left
            while data := near.recv(65536):
                far.sendall(data)
        _hang_up(near, far)

    def _answers(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):  # either side has left
            for message in _messages(far):
                spoiled = self._spoil(self._shift(message))
                if spoiled:
                    near.sendall(spoiled)
        _hang_up(near, far)

    def _shift(self, message: bytes) -> bytes:
        """The message with other times."""
        if message[0] != _MAGIC or not (self.stream_shift_s or self.wall_shift_s):
            return message
        shifted = bytearray(message)
        if message[1] % 2 == 0:
            _add(shifted, _RTP_TIME, self.stream_shift_s * _VIDEO_HZ)
        elif message[_FRAME_HEADER + 1] == _SENDER_REPORT:
            _add(shifted, _REPORT_NTP, self.wall_shift_s * 2**32)
            _add(shifted, _REPORT_RTP_TIME, self.stream_shift_s * _VIDEO_HZ)
        return bytes(shifted)

    def _spoil(self, message: bytes) -> bytes:
        """What arrives of one message; nothing of one that is dropped."""
        damage = self.damage
        if damage is None or message[0] != _MAGIC or message[1] % 2:
            return message
        chance = self._rng.random()
        if chance < damage.dropped:
            self.dropped += 1
            return b""
        first = _FRAME_HEADER + _RTP_HEADER
        if chance < damage.dropped + damage.flipped and len(message) > first:
            self.flipped += 1
            spoiled = bytearray(message)
            for _ in range(damage.bytes_each):
                spoiled[self._rng.randrange(first, len(spoiled))] ^= self._rng.randrange(1, 256)
            return bytes(spoiled)
        return message


def _messages(camera: socket.socket) -> Iterator[bytes]:
    """Whole RTSP answers and whole interleaved packets, as they come."""
    waiting = b""
    while data := camera.recv(65536):
        waiting += data
        while (length := _message_length(waiting)) is not None and len(waiting) >= length:
            yield waiting[:length]
            waiting = waiting[length:]


def _message_length(data: bytes) -> int | None:
    """Bytes of the message that `data` begins with; None while too little of it is there."""
    if data[:1] == b"$":
        return _FRAME_HEADER + int.from_bytes(data[2:4], "big") if len(data) >= _FRAME_HEADER else None
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return None
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return len(head) + len(end) + sum(map(int, lengths))


def _add(data: bytearray, place: slice, amount: float) -> None:
    """Add to an unsigned number, which wraps around."""
    length = place.stop - place.start
    number = (int.from_bytes(data[place], "big") + round(amount)) % 256**length
    data[place] = number.to_bytes(length, "big")


def _hang_up(*ends: socket.socket) -> None:
    for one in ends:
        with suppress(OSError):  # it is closed already
            one.shutdown(socket.SHUT_RDWR)
