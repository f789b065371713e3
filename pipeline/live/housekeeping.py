"""Keeps identities, manifest and old files of a live run up to date on the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pipeline.config.config import Config
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.live.busy import BusyTimer
from pipeline.live.guarded_thread import GuardedThread
from pipeline.live.output.gallery_file import GALLERY_NAME, save_gallery
from pipeline.live.parts import LiveParts
from pipeline.live.telling.status import LiveStatus

_MANIFEST_INTERVAL_S = 30.0
_TICK_S = 0.2
_RETRY_S = 1.0  # after a failed checkpoint or manifest


class Housekeeping:
    """Works in a thread of its own between `start` and `stop`.

    Args:
        config: returns the configuration in use.
        status: returns the status for the manifest.
    """

    def __init__(
        self, parts: LiveParts, limits: MatchLimits, config: Callable[[], Config], status: Callable[[], LiveStatus]
    ) -> None:
        self._parts = parts
        self._limits = limits
        self._config = config
        self._status = status
        self._busy = BusyTimer()
        self._checkpointed = False
        self._manifested = False
        self._stopping = threading.Event()
        self._thread = GuardedThread(self._run, "housekeeping")

    @property
    def busy_s(self) -> float:
        """Seconds for which the disk has not returned from the current work."""
        return self._busy.busy_s

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the thread; None while it works."""
        return self._thread.error

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """End the thread; a disk that does not answer is not waited for longer than `within_s` seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def checkpoint(self, *, closing: bool) -> None:
        """Write the known identities.

        Args:
            closing: whether the run is over, so that it assigns no more ids.
        """
        parts = self._parts
        if not parts.core_lock.acquire(timeout=0.5):
            return  # the next checkpoint is enough
        try:
            gallery = parts.core.gallery()
        finally:
            parts.core_lock.release()
        path = parts.folder.path / GALLERY_NAME
        self._checkpointed = parts.disk.attempt(
            "identities cannot be written",
            lambda: save_gallery(path, gallery, parts.models.embedder_hash, closing=closing),
        )

    def write_manifest(self, state: str) -> None:
        """Write the manifest; `state` as in `Manifest.write`."""
        self._manifested = self._parts.disk.attempt(
            "the manifest cannot be written",
            lambda: self._parts.manifest.write(
                state,
                self._config(),
                self._limits,
                self._status(),
                [*self._parts.segments.finished, *self._parts.event_files.finished],
            ),
        )

    def _run(self) -> None:
        # The first deletion waits for its interval: right after a boot, the clock may be wrong, and all rows seem old.
        checkpoint_s = manifest_s = retained_s = time.monotonic()
        live, disk, output = self._config().live, self._parts.disk, self._parts.output
        rows = 0
        while not self._stopping.wait(_TICK_S):
            now_s = time.monotonic()
            with self._busy():
                disk.attempt("the output folder cannot be locked", self._parts.folder.hold_again)
                if now_s - checkpoint_s >= _sooner(live.checkpoint_interval_s, self._checkpointed):
                    checkpoint_s = now_s
                    # Without new rows nobody was seen, but old identities still have to be removed from the file.
                    written = output.writer.rows_written + output.writer.rows_waiting
                    if written != rows or output.identities.known or not self._checkpointed:
                        rows = written
                        self.checkpoint(closing=False)
                if now_s - retained_s >= live.retention.check_interval_s:
                    retained_s = now_s
                    disk.attempt("old segments cannot be deleted", self._parts.retention.enforce)
                    output.writer.replace_remap(self._prune_remaps)
                if now_s - manifest_s >= _sooner(_MANIFEST_INTERVAL_S, self._manifested):
                    manifest_s = now_s
                    self.write_manifest("running")

    def _prune_remaps(self) -> None:
        self._parts.disk.attempt("old corrections cannot be deleted", self._parts.retention.prune_remaps)


def _sooner(interval_s: float, succeeded: bool) -> float:
    """Return the interval until the next attempt, which is shorter after a failure."""
    return interval_s if succeeded else min(interval_s, _RETRY_S)
