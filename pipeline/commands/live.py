"""`mtmc live`: tracks people in live cameras and writes rows."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.assembly import build_live
from pipeline.commands.arguments import SetOption, overrides_of
from pipeline.commands.short_options import (
    ClassesOption,
    ConfidenceOption,
    DeviceOption,
    HalfOption,
    ImageSizeOption,
    ShowOption,
    SourceOption,
    with_short_options,
)
from pipeline.config.config import Config, load_config, named_sources
from pipeline.config.output_settings import WebSettings
from pipeline.core import redaction
from pipeline.core.console import MessageConsole
from pipeline.core.errors import InputError, RunError
from pipeline.core.models import Models
from pipeline.core.redaction import Redactor
from pipeline.drawing.preview_feed import PreviewFeed
from pipeline.files.json_file import write_json
from pipeline.live.busy import run_within
from pipeline.live.cameras.camera_plans import camera_plans
from pipeline.live.run import LiveRun, default_plans
from pipeline.live.signals import Signals
from pipeline.live.sinks.build import sink_makers
from pipeline.live.telling.live_log import LiveLog
from pipeline.live.telling.redacted_tracebacks import RedactedTracebacks
from pipeline.live.telling.status_display import StatusDisplay
from pipeline.live.telling.status_table import status_line

if TYPE_CHECKING:
    from pipeline.drawing.window import MosaicWindow
    from pipeline.live.web.search_queue import Search
    from pipeline.live.web.server import WebServer

_WAIT_S = 0.1
_WINDOW_WAIT_S = 0.02
# A message for a terminal that is stopped is given up after this time.
_SAY_S = 0.5


def live(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Address of a camera, as rtsp://host/path; CAMERA=ADDRESS names it. Not needed with --config.",
            metavar="SOURCE...",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="YAML file with the cameras.", metavar="FILE"),
    ] = None,
    settings: SetOption = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for the results; every run adds its files.", metavar="DIR"),
    ] = Path("live"),
    simulate_live: Annotated[
        bool, typer.Option("--simulate-live", help="Play video files at their own speed, as if they were live.")
    ] = False,
    duration: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after this many seconds.", metavar="S")
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Measure how many cameras of this kind the machine can process; writes no rows."
        ),
    ] = False,
    report_json: Annotated[
        Path | None, typer.Option("--json", help="Write the figures of --report to this file.", metavar="FILE")
    ] = None,
    more_sources: SourceOption = None,
    conf: ConfidenceOption = None,
    imgsz: ImageSizeOption = None,
    device: DeviceOption = None,
    classes: ClassesOption = None,
    half: HalfOption = None,
    show: ShowOption = None,
) -> None:
    """Track people across live cameras, and write rows as they appear; Ctrl-C ends the run.

    Cameras that freeze, reboot or never connect are retried without affecting the others. SIGHUP reloads the
    configuration. docs/live.md explains states and files, and what happens when something fails.

    Example:

        mtmc live --config site.yaml --output site
        mtmc live entrance=rtsp://10.0.0.11/stream1 hall=rtsp://10.0.0.12/stream1
    """
    overrides = overrides_of(settings)
    named = [*(sources or ()), *(more_sources or ())]
    cameras = named_sources(named)
    if not cameras and config is None:
        raise InputError("there is no camera: give the address of each as SOURCE, or --config")
    overrides = with_short_options(
        overrides, conf=conf, imgsz=imgsz, device=device, classes=classes, half=half, show=show
    )
    redact = Redactor()
    console = MessageConsole()
    with LiveLog(console) as log:
        installed = redaction.install(redact)
        try:
            with RedactedTracebacks(redact):
                _live(
                    partial(load_config, config, overrides, cameras=cameras),
                    output,
                    simulate_live,
                    duration,
                    report,
                    report_json,
                    redact,
                    console,
                    log,
                )
        finally:
            redaction.uninstall(installed)


def _live(
    load: Callable[[], Config],
    output: Path,
    simulate_live: bool,
    duration: float | None,
    report: bool,
    report_json: Path | None,
    redact: Redactor,
    console: Console,
    log: LiveLog,
) -> None:
    loaded = load()
    camera_plans(loaded, simulate_live=simulate_live, redact=redact)  # reports errors before models load
    sink_makers(loaded.live.sinks, run_id="")
    if loaded.live.web.search and loaded.embedder.weights is None:
        raise InputError("live.web.search compares embeddings, but embedder.weights is null: turn one of them off")
    with ExitStack() as opened, Signals() as signals:
        page = None if report else _page(loaded.live.web, redact)
        if page is not None:
            opened.callback(page.close, 0.0)
        window = None
        if loaded.output.show and not report:
            from pipeline.drawing.window import MosaicWindow

            window = MosaicWindow([camera.name for camera in loaded.cameras])
            opened.callback(window.close)
        if report:  # how many cameras the machine can process if there are people in all of them
            detector = loaded.detector.model_copy(update={"motion_gate": False})
            loaded = loaded.model_copy(update={"detector": detector})
        models, limits = build_live(loaded)
        if signals.stop.is_set():
            return
        if report:
            from pipeline.live.load_report import measure_load

            figures = measure_load(loaded, limits, models, duration_s=duration or 20.0, stop=signals.stop)
            if figures is None:
                _say(console, "stopped before anything was measured")
                return
            Console(markup=False).print(figures.table())
            write_json(report_json, figures.to_dict())
            return
        plans_of = default_plans(simulate_live, redact)
        run = LiveRun(
            loaded,
            limits,
            models,
            output,
            plans_of=plans_of,
            redact=redact,
            previews=_previews(page, window, loaded.live.preview_fps),
            more_sinks=[] if page is None else [(page.timeline.name, lambda: page.timeline)],
            reloads=[] if page is None else [page.prepare_reload],
            on_frame_age=_ignore_age if page is None else page.metrics.observe_frame_age,
        )

        try:
            run.start()
            if page is not None:
                page.start(run, run.utc_s, _search(run, loaded, models))
                _say(console, f"page: {page.url}")
            with StatusDisplay(run, console):
                _watch(run, signals, duration, load, window)
        finally:
            opened.close()  # a slow stop must not leave a page that answers, or a window that does not
            searching = page is not None and page.searching
            _stop(run, output, console, log, at_once=signals.stop.is_set(), searching=searching)


def _page(settings: WebSettings, redact: Redactor) -> WebServer | None:
    """Return the web page, which has opened its port but serves nothing yet; None if it is off."""
    if not settings.enabled:
        return None
    try:
        from pipeline.live.web.server import WebServer
    except ImportError as error:
        raise InputError(f"live.web needs the package {error.name}: pip install 'mtmc[web]'") from error
    secret = settings.secret
    redact.add([] if secret is None else [secret])
    return WebServer(settings, secret)


def _search(run: LiveRun, config: Config, models: Models) -> Search | None:
    """Return what searches the people of the run by a picture; None if the page does not offer that."""
    if not config.live.web.search:
        return None
    from pipeline.search.live_people import LivePeopleSearch

    return LivePeopleSearch(lambda: run.config, run.known_people, models.embedder_hash)


def _previews(page: WebServer | None, window: MosaicWindow | None, page_fps: float) -> list[PreviewFeed]:
    feeds = []
    if page is not None and page.preview_hook is not None:
        feeds.append(PreviewFeed(page.preview_hook, page_fps))
    if window is not None:
        feeds.append(PreviewFeed(window.put, window.shown_fps))
    return feeds


def _ignore_age(camera_id: str, age_s: float) -> None:
    """Do nothing: without a web page, the ages of frames are not used."""


def _watch(
    run: LiveRun,
    signals: Signals,
    duration: float | None,
    load: Callable[[], Config],
    window: MosaicWindow | None,
) -> None:
    """Show the window until the run ends, and apply reloaded configurations."""
    end_s = float("inf") if duration is None else time.monotonic() + duration
    while not signals.stop.is_set() and not run.finished and time.monotonic() < end_s:
        if signals.reload.is_set():
            signals.reload.clear()
            run.reload(load)
        if window is None:
            signals.wait(_WAIT_S)
        else:
            window.refresh()
            signals.wait(_WINDOW_WAIT_S)


def _say(console: Console, text: str, style: str | None = None) -> None:
    """Print a message; a terminal that is gone or stopped must not stop the run."""

    def say() -> None:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    with suppress(OSError):
        run_within(say, _SAY_S, "message")


def _stop(run: LiveRun, output: Path, console: Console, log: LiveLog, *, at_once: bool, searching: bool) -> None:
    """End the run. Exit the process directly if the normal end of Python would be slow or would fail.

    All data is on disk by then. The normal end takes seconds to free the networks, so it is skipped after a signal
    (`at_once`). It is also skipped if a thread hangs in the driver of a camera, in the detector or on the disk, which
    would block or crash it, or if a search of the page is running (`searching`).
    """
    mistake = sys.exception()
    code = 0
    try:
        run.stop()
    except RunError as error:
        if run.readers_ended and run.threads_ended and not at_once and not searching:
            raise
        _say(console, f"failed: {error}", "red")
        code = 1
    else:
        _say(console, f"{status_line(run.status())}; in {output}")
    ended = run.readers_ended and run.threads_ended and not searching
    if ended and (mistake is not None or not at_once):
        return
    if mistake is not None:
        with suppress(OSError):  # the reader of the messages has left
            sys.excepthook(type(mistake), mistake, mistake.__traceback__)
        code = 1
    log.close()
    with suppress(OSError):  # the reader of the output has left
        run_within(sys.stdout.flush, _SAY_S, "flush")
    os._exit(code)
