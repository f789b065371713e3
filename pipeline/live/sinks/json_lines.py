"""JSON lines into a file or to stdout."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.live.sinks.transport import DeliveryError, Message

_STDOUT = 1
# A torn last line is looked for in so many bytes; lines are some hundred bytes long.
_TAIL_BYTES = 1 << 16


class JsonLines:
    """Appends one line a message; no line is ever cut off, also after a kill or on a full disk.

    A file that was moved or deleted meanwhile, as by logrotate, is made anew.

    Args:
        path: of the file or named pipe, made as a file with mode 0600 if need be; None writes to stdout.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._name = "stdout" if path is None else str(path)
        self._descriptor: int | None = None
        self._cuttable = False
        # What is left of a line that a pipe took only in part; it goes out before everything else.
        self._rest = b""

    def connect(self) -> None:
        """Open the file; a last line without its end, left by a kill, is cut off."""
        if self._path is None:
            self._descriptor = _STDOUT
            return
        try:
            # A named pipe opened for both ways does not wait for a reader.
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._cuttable = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            if self._cuttable:
                _cut_torn_line(self._descriptor)
        except OSError as error:
            self.close()
            raise DeliveryError(f"{self._name} cannot be opened: {error.strerror}") from error

    def send(self, messages: Sequence[Message]) -> None:
        """Write all lines, or, to a file, none; a pipe that took a part gets the rest of that line next time."""
        if self._moved():
            self.close()
            self.connect()
        assert self._descriptor is not None, "connect first"
        data = self._rest + b"".join(f"{message.text}\n".encode() for message in messages)
        written = 0
        try:
            before = os.fstat(self._descriptor).st_size
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            if self._cuttable:
                with suppress(OSError):  # the error of the writing is the one to tell
                    os.ftruncate(self._descriptor, before)
            elif written:
                self._rest = data[written : data.find(b"\n", written - 1) + 1]
            raise DeliveryError(f"{self._name} cannot be written: {error.strerror}") from error
        self._rest = b""

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._descriptor is not None and self._path is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _moved(self) -> bool:
        if self._path is None or self._descriptor is None:
            return False
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except OSError:
            return True


def _cut_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    start = max(0, size - _TAIL_BYTES)
    tail = os.pread(descriptor, size - start, start)
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, start + tail.rfind(b"\n") + 1)
