"""The status as a table for the terminal, and as one line for a log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.live.telling.status import CameraState, CameraStatus, LiveStatus

_STYLES = {
    CameraState.UP: "green",
    CameraState.CONNECTING: "yellow",
    CameraState.STALLED: "yellow",
    CameraState.WAITING: "red",
    CameraState.DENIED: "bold red",
    CameraState.ENDED: "dim",
}
# Columns, and the terminal width from which each is shown; the others do not leave enough room for the problem.
_COLUMNS = {
    "camera": 0,
    "state": 0,
    "fps": 0,
    "used": 0,
    "age, s": 100,
    "people": 0,
    "frames": 130,
    "dropped": 110,
    "reconnects": 110,
    "time": 130,
    "problem": 0,
}
# Lines of the table besides its rows: three borders and the header.
_TABLE_LINES = 4
# The name of a camera takes at most this share of the width; the rest of a longer one continues on the next line.
_NAME_SHARE = 0.3


def status_table(status: LiveStatus, width: int, height: int) -> Group:
    """Return a table with one line per camera, and below it the status line of the run, for a terminal of `width` x
    `height` characters. If not all cameras fit, those that work are left out first, and counted in a line."""
    line = Text(status_line(status), style="bold red" if status.stuck or not status.writer_ok else "")
    wrapped = max(1, -(-len(line.plain) // max(width - 1, 1)))
    room = height - _TABLE_LINES - wrapped - 1  # the cursor is on the last line
    cameras = list(status.cameras)
    left_out: list[CameraStatus] = []
    if len(cameras) > room:
        shown = sorted(cameras, key=lambda camera: camera.state in (CameraState.UP, CameraState.ENDED))
        keep = {id(camera) for camera in shown[: max(room - 1, 0)]}
        left_out = [camera for camera in cameras if id(camera) not in keep]
        cameras = [camera for camera in cameras if id(camera) in keep]
    parts: list[Table | Text] = [_table(cameras, width, status.counted)] if cameras else []
    if left_out:
        parts.append(Text(f"and {len(left_out)} more cameras: {_counts(left_out)}", style="dim"))
    return Group(*parts, line)


def _table(cameras: Sequence[CameraStatus], width: int, counted: str) -> Table:
    names = [name for name, least_width in _COLUMNS.items() if width >= least_width]
    table = Table(width=width if width < max(_COLUMNS.values()) else None, padding=(0, 1 if width >= 100 else 0))
    most = int(width * _NAME_SHARE)
    for name in names:
        if name == "problem":
            table.add_column(name, ratio=1, no_wrap=True, overflow="ellipsis")
        elif name == "camera":
            table.add_column(name, no_wrap=True, min_width=min(most, max(len(one.name) for one in cameras)))
        else:
            table.add_column(counted if name == "people" else name, no_wrap=True)
    for camera in cameras:
        cells = _cells(camera)
        table.add_row(*(cells[name] for name in names))
    return table


def _cells(camera: CameraStatus) -> dict[str, Text]:
    return {
        "camera": Text(camera.name),
        "state": Text(camera.state.value, style=_STYLES[camera.state]),
        "fps": Text(f"{camera.fps:.1f}"),
        "used": Text(f"{camera.used_fps:.1f}"),
        "age, s": Text("" if camera.frame_age_s is None else f"{camera.frame_age_s:.1f}"),
        "people": Text(str(camera.people)),
        "frames": Text(str(camera.inferred)),
        "dropped": Text(str(sum(camera.dropped.values()))),
        "reconnects": Text(str(sum(camera.reconnects.values()))),
        "time": Text("" if camera.timestamps is None else camera.timestamps.value),
        "problem": Text(camera.problem),
    }


def _counts(cameras: Sequence[CameraStatus]) -> str:
    """Return '3 up, 2 waiting'."""
    counts = Counter(camera.state.value for camera in cameras)
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def status_line(status: LiveStatus) -> str:
    """Return the status of the run on one line, problems first."""
    parts = []
    if status.stuck:
        parts.append(f"STUCK: {status.stuck}")
    if not status.writer_ok:
        parts.append(f"FILES: {status.writer_problem}; {status.rows_waiting} rows waiting")
    if status.rows_lost:
        parts.append(f"{status.rows_lost} rows LOST")
    if status.clock_ahead_s:
        parts.append(f"times of rows are {status.clock_ahead_s:.0f} s ahead: restart")
    if surplus := status.identities_forgotten.get("surplus"):
        parts.append(
            f"{surplus} {status.counted} forgotten, because more than {status.identities_most} are known: see "
            "linker.max_identities"
        )
    if status.detector_problem:
        parts.append(f"detector: {status.detector_problem}")
    parts += [
        _identities(status),
        f"{status.rows_written} rows",
    ]
    if status.row_latency_s:
        parts.append(f"{status.row_latency_s[0.5]:.2f} s after capture (99 %: {status.row_latency_s[0.99]:.2f} s)")
    parts.append(f"{status.memory_bytes / 1e6:.0f} MB")
    parts += [f"sink {sink.name}: {sink.problem}" for sink in status.sinks if sink.problem]
    if status.reload_problem:
        parts.append(f"configuration not applied: {status.reload_problem}")
    return "; ".join(parts)


def _identities(status: LiveStatus) -> str:
    """Return the numbers of identities, by class unless there are only people."""
    text = f"{status.identities_now} {status.counted} in view, {status.identities_total} so far"
    if status.counted == "people":
        return text
    listed = ", ".join(f"{name} {count}" for name, count in sorted(status.identities_by_class.items()))
    return f"{text} ({listed})"


def camera_line(camera: CameraStatus) -> str:
    """Return the status of one camera on one line."""
    text = f"{camera.name} {camera.state.value} {camera.fps:.1f} fps"
    if camera.state is CameraState.UP:
        text += f", {camera.used_fps:.1f} used"
    return f"{text} ({camera.problem})" if camera.problem else text
