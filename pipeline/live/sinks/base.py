"""The protocol of sinks, and the hook for a preview.

The CSV never waits for a sink: every sink has a thread and a bounded queue of its own (`pipeline.live.sinks.feed`). A
call that raises is counted, shown in the status, and repeated with the same rows after a pause. When too many rows
wait, the oldest are discarded and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.core.datatypes import Correction, LinkedRow
from pipeline.counting.events import Event


class Sink(Protocol):
    """Receives rows besides the CSV. All calls come from one thread, in the order in which rows are written.

    Every method may raise any exception and may block; both delay this sink alone.
    """

    @property
    def name(self) -> str:
        """Type and address for logs and status, without secrets, such as 'mqtt broker:1883'."""

    def write(self, rows: Sequence[LinkedRow]) -> None:
        """Receive rows, at least one. `row.time_s` is in Unix seconds; `link.final` says whether the id is final. After
        an exception the same rows are passed again."""

    def remap(self, corrections: Sequence[Correction]) -> None:
        """Receive corrections, at least one; never before the rows that they correct."""

    def events(self, events: Sequence[Event]) -> None:
        """Receive events at zones and lines, at least one; only runs with zones or lines have any."""

    def flush(self) -> None:
        """Send buffered data; called about once a second and before `close`."""

    def close(self) -> None:
        """Release all resources; called once, also after failures."""
