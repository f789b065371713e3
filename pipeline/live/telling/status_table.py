"""The status as a table for the terminal, and as one line for a log."""

from __future__ import annotations

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


def status_table(status: LiveStatus) -> Group:
    """Return a table with one row per camera, and below it the status line of the run."""
    table = Table(
        "camera", "state", "fps", "age, s", "people", "frames", "dropped", "reconnects", "time", "problem"
    )
    for camera in status.cameras:
        age = "" if camera.frame_age_s is None else f"{camera.frame_age_s:.1f}"
        table.add_row(
            camera.name,
            Text(camera.state.value, style=_STYLES[camera.state]),
            f"{camera.fps:.1f}",
            age,
            str(camera.people),
            str(camera.inferred),
            str(sum(camera.dropped.values())),
            str(sum(camera.reconnects.values())),
            "" if camera.timestamps is None else camera.timestamps.value,
            Text(camera.problem),
        )
    return Group(table, Text(status_line(status), style="" if status.writer_ok else "bold red"))


def status_line(status: LiveStatus) -> str:
    """Return the status of the run on one line."""
    parts = [
        _identities(status),
        f"{status.rows_written} rows",
    ]
    if status.row_latency_s:
        parts.append(f"{status.row_latency_s[0.5]:.2f} s after capture")
    if status.rows_waiting and not status.writer_ok:
        parts.append(f"{status.rows_waiting} waiting ({status.writer_problem})")
    if status.rows_lost:
        parts.append(f"{status.rows_lost} LOST")
    parts.append(f"{status.memory_bytes / 1e6:.0f} MB")
    if status.detector_problem:
        parts.append(f"detector: {status.detector_problem}")
    parts += [f"sink {sink.name}: {sink.problem}" for sink in status.sinks if sink.problem]
    if status.reload_problem:
        parts.append(f"configuration not applied: {status.reload_problem}")
    return "; ".join(parts)


def _identities(status: LiveStatus) -> str:
    """Return the numbers of identities, by class unless there are only people."""
    if status.identities_by_class.keys() <= {"person"}:
        return f"{status.identities_now} people in view, {status.identities_total} so far"
    listed = ", ".join(f"{name} {count}" for name, count in sorted(status.identities_by_class.items()))
    return f"{status.identities_now} objects in view, {status.identities_total} so far ({listed})"


def camera_line(camera: CameraStatus) -> str:
    """Return the status of one camera on one line."""
    text = f"{camera.name} {camera.state.value} {camera.fps:.1f} fps"
    return f"{text} ({camera.problem})" if camera.problem else text
