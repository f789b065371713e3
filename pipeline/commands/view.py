"""`mtmc view`: the page of finished runs."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import ConfigOption, SetOption, camera_texts, has_desktop, overrides_of
from pipeline.config.config import load_config
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
    settings = load_config(config, overrides_of(setting)).live.web.model_copy(update={"port": port})
    if not settings.is_local and settings.token is None and settings.token_file is None:
        raise InputError(
            f"live.web.host {settings.host} can be reached by others, so the page needs a token: set live.web.token "
            "or live.web.token_file"
        )
    found = find_runs(folder)
    if recordings and (len(found) > 1 or found[0].is_live):
        raise InputError(
            f"--recording is for one run of recordings, but {folder} holds "
            + (f"{len(found)} runs: name the folder of one" if len(found) > 1 else "a live run")
        )
    if recordings and (strange := sorted(recordings.keys() - found[0].stored.cameras.keys())):
        raise InputError(
            f"--recording names the camera {strange[0]!r}, but those of the run are "
            f"{', '.join(found[0].stored.cameras)}"
        )
    for name, path in recordings.items():
        if not any(sign in path for sign in "*?[") and not Path(path).exists():
            raise InputError(f"--recording {f'{name}={path}'!r}: {path} does not exist")
    library = Library(found, recordings)
    console = Console(markup=False)
    with ViewServer(library, settings) as server:
        if len(found) == 1:
            library.get(0)
        console.print(f"Open {server.url} (Ctrl-C ends the page)", highlight=False, soft_wrap=True)
        if open_browser and has_desktop():
            webbrowser.open(server.url)
        _wait()


def _wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
