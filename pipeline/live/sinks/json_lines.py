"""Writes JSON lines to a file or to stdout."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from pipeline.files.shared_file import locked
from pipeline.files.whole_files import cut_torn_end
from pipeline.live.sinks.transport import DeliveryError, Message

_STDOUT = 1


class JsonLines:
    """Appends one line per message; no incomplete line remains, even after a kill or on a full disk.

    A file that was moved or deleted meanwhile, for example by logrotate, is created again.

    Args:
        path: file or named pipe; a missing file is created with mode 0600. None writes to stdout.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._name = "stdout" if path is None else str(path)
        self._descriptor: int | None = None
        self._cuttable = False
        # The rest of a line that a pipe took only in part; it is sent before everything else.
        self._rest = b""

    def connect(self) -> None:
        """Open the file, and remove an incomplete last line that a kill has left."""
        if self._path is None:
            self._descriptor = _STDOUT
            return
        try:
            # A named pipe that is opened for reading and writing does not wait for a reader.
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._cuttable = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            if self._cuttable:
                with locked(self._descriptor):
                    self._check_content(self._descriptor)
                    cut_torn_end(self._descriptor)
        except OSError as error:
            self.close()
            raise DeliveryError(f"{self._name} cannot be opened: {error.strerror}") from error

    def _check_content(self, descriptor: int) -> None:
        """Raise DeliveryError for a file with something else than JSON lines, which must not be cut."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        first = os.read(descriptor, 1)
        if first not in (b"", b"{"):
            self.close()
            raise DeliveryError(
                f"{self._name} begins with {first!r}, so it is no file of JSON lines; name a new file, or delete it"
            )

    def send(self, messages: Sequence[Message]) -> None:
        """Write all lines. After an error, a file contains none of them; a pipe that took a part of a line gets the
        rest at the next call."""
        while not self._sent(messages):
            self.close()
            self.connect()

    def _sent(self, messages: Sequence[Message]) -> bool:
        """Write all lines; return False, and write nothing, if the file is no longer the one at its path."""
        assert self._descriptor is not None, "connect first"
        # Other runs may write the same file, and a purge may replace it.
        with locked(self._descriptor) if self._cuttable else nullcontext():
            if self._moved():
                return False
            self._write(self._descriptor, messages)
        return True

    def _write(self, descriptor: int, messages: Sequence[Message]) -> None:
        data = self._rest + b"".join(f"{message.text}\n".encode() for message in messages)
        written = 0
        try:
            before = os.fstat(descriptor).st_size
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError as error:
            if self._cuttable:
                with suppress(OSError):  # the error of the write is the one to report
                    os.ftruncate(descriptor, before)
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
