"""`mtmc view`: the page of finished runs."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import ConfigOption, SetOption, camera_texts, has_desktop, overrides_of
from pipeline.config.config import load_config
from pipeline.config.output_settings import WebSettings
from pipeline.core.errors import InputError


def view(
    folder: Annotated[
        Path,
        typer.Argument(help="Output folder of `track` or `live`, or a folder of such folders.", metavar="DIR"),
    ],
    recording: Annotated[
        list[str] | None,
        typer.Option(
            "--recording",
            "-r",
            help="Where the recording of a camera is, if it was moved since the run.",
            metavar="CAMERA=PATH",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes any free one.", metavar="PORT")
    ] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser, if there is a desktop.")
    ] = True,
    config: ConfigOption = None,
    setting: SetOption = None,
) -> None:
    """Show finished runs in the browser: who was where, pictures, and the recordings with boxes and ids.

    Nothing in the folder is changed. Only this machine can open the page, with the token in the address that is
    printed; host, token and TLS of `live.web` change that. Ctrl-C ends it.

    Example:

        mtmc view results
    """
    try:
        from pipeline.view.server import ViewServer
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise InputError(f"mtmc view needs the package {error.name}: pip install 'mtmc[web]'") from error
    from pipeline.view.found_runs import find_runs
    from pipeline.view.library import Library

    recordings = camera_texts("--recording", recording, "PATH", "new/cam1.mp4")
    settings = web_settings(config, setting, port)
    found = find_runs(folder)
    if recordings and (len(found) > 1 or found[0].is_live):
        raise InputError(
            f"--recording is for one run of recordings, but {folder} holds "
            + (f"{len(found)} runs: name the folder of one" if len(found) > 1 else "a live run")
        )
    check_recordings(recordings, found[0].stored.cameras)
    library = Library(found, recordings)
    with ViewServer(library, settings) as server:
        if len(found) == 1:
            library.get(0)
        show_page(server.url, open_browser)


def web_settings(config: Path | None, setting: list[str] | None, port: int) -> WebSettings:
    """Return the settings of a page with this port; InputError if others can reach it without a token."""
    settings = load_config(config, overrides_of(setting)).live.web.model_copy(update={"port": port})
    if not settings.is_local and settings.token is None and settings.token_file is None:
        raise InputError(
            f"live.web.host {settings.host} can be reached by others, so the page needs a token: set live.web.token "
            "or live.web.token_file"
        )
    return settings


def check_recordings(recordings: Mapping[str, str], cameras: Collection[str]) -> None:
    """Check the values of --recording: InputError for another camera than those of the run, or a missing path."""
    if strange := sorted(recordings.keys() - set(cameras)):
        raise InputError(
            f"--recording names the camera {strange[0]!r}, but those of the run are {', '.join(cameras)}"
        )
    for name, path in recordings.items():
        if not any(sign in path for sign in "*?[") and not Path(path).exists():
            raise InputError(f"--recording {f'{name}={path}'!r}: {path} does not exist")


def show_page(url: str, open_browser: bool) -> None:
    """Print the address of a page, open it if there is a desktop, and wait for Ctrl-C."""
    Console(markup=False).print(f"Open {url} (Ctrl-C ends the page)", highlight=False, soft_wrap=True)
    if open_browser and has_desktop():
        webbrowser.open(url)
    _wait()


def _wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
