"""Collects the status of a live run from its parts."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

import psutil

from pipeline.live.busy import StuckParts, stuck_text
from pipeline.live.parts import LiveParts
from pipeline.live.reload import Reloader
from pipeline.live.telling.status import LiveStatus


class RunStatus:
    """Gives the status of one run at any moment, from any thread.

    Args:
        vital: names of the parts in `stuck` without which only a restart helps.
    """

    def __init__(self, parts: LiveParts, reloader: Reloader, stuck: StuckParts, vital: Collection[str]) -> None:
        self._parts = parts
        self._reloader = reloader
        self._stuck = stuck
        self._vital = frozenset(vital)
        self._started_s = parts.clock.monotonic_s()
        self._process = psutil.Process()
        self._memory_bytes = 0

    def status(self) -> LiveStatus:
        """Return the current status."""
        parts, stuck = self._parts, self._stuck.stuck_s()
        writer, inference, identities = parts.output.writer, parts.inference, parts.output.identities
        unwritten = writer.problem or parts.disk.problem
        return LiveStatus(
            utc=datetime.fromtimestamp(parts.clock.utc_s(), UTC),
            run_id=parts.run_id,
            uptime_s=parts.clock.monotonic_s() - self._started_s,
            cameras=parts.fleet.status(),
            identities_now=identities.in_view,
            identities_total=identities.total,
            identities_known=identities.known,
            identities_by_class=identities.by_class,
            identities_most=identities.most,
            identities_forgotten={"unseen": identities.unseen, "surplus": identities.surplus},
            rows_written=writer.rows_written,
            rows_waiting=writer.rows_waiting,
            rows_lost=writer.rows_lost + inference.rows_lost,
            writer_ok=not unwritten,
            writer_problem=parts.redact(unwritten),
            since_fsync_s=writer.since_sync_s if writer.rows_written else None,
            batch_size=inference.batch_size,
            stage_latency_s=inference.stage_latency_s,
            row_latency_s=writer.latency_s(),
            frame_age_s=inference.frame_age_s(),
            memory_bytes=self._memory(),
            detector_problem=inference.detector_problem,
            stuck="; ".join(stuck_text(name, seconds) for name, seconds in stuck.items()),
            clock_ahead_s=parts.clock.ahead_s,
            alive=not stuck.keys() & self._vital,
            embedder_failures=0 if parts.embedder is None else parts.embedder.failures,
            sinks=tuple(sink.status() for sink in parts.output.sinks),
            reloads=self._reloader.reloads,
            reload_problem=self._reloader.problem,
            counts=None if parts.output.counter is None else parts.output.counter.counts,
        )

    def _memory(self) -> int:
        """Return the resident memory in bytes; the last known value if no descriptor is free to ask for it."""
        with suppress(OSError, psutil.Error):
            self._memory_bytes = int(self._process.memory_info().rss)
        return self._memory_bytes
