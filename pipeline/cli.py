"""The command line: its commands, and the conversion of errors to one line and an exit code."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, ClassVar

import typer

from pipeline.commands.lazy import Lazy, LazyGroup, new_app
from pipeline.core.errors import InputError, RunError
from pipeline.core.shown_values import shortened, visible

_log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE)
# Of names that no file can have, whatever is done with it.
_NAME_ERRORS = (errno.ENAMETOOLONG, errno.ELOOP)
_SYMLINK_LOOP = "Symlink loop"  # pathlib's RuntimeError, up to Python 3.12


class _Commands(LazyGroup):
    lazy: ClassVar = {
        "track": Lazy("pipeline.commands.track", "track"),
        "live": Lazy("pipeline.commands.live", "live"),
        "link": Lazy("pipeline.commands.link", "link"),
        "count": Lazy("pipeline.commands.count", "count"),
        "find": Lazy("pipeline.commands.find", "find_command"),
        "explain": Lazy("pipeline.commands.explain", "explain"),
        "view": Lazy("pipeline.commands.view", "view"),
        "review": Lazy("pipeline.commands.review", "review"),
        "report": Lazy("pipeline.commands.report", "report"),
        "convert": Lazy("pipeline.commands.convert", "convert"),
        "topology": Lazy("pipeline.commands.topology", "topology"),
        "evaluate": Lazy("pipeline.commands.evaluate", "evaluate"),
        "homography": Lazy("pipeline.commands.homography", "homography"),
        "demo": Lazy("pipeline.commands.demo", "demo"),
        "person": Lazy("pipeline.commands.privacy", "app"),
        "reid": Lazy("pipeline.commands.reid.app", "app"),
        "detectors": Lazy("pipeline.commands.detectors.app", "app"),
        "cache": Lazy("pipeline.commands.cache", "app"),
        "benchmark": Lazy("pipeline.commands.benchmark", "app"),
        "purge": Lazy("pipeline.commands.privacy", "purge", renamed="mtmc person purge"),
        "export": Lazy("pipeline.commands.privacy", "export", renamed="mtmc person export"),
    }


app = new_app(
    name="mtmc",
    cls=_Commands,
    help="Track people across several cameras: recordings or live streams in, CSV of trajectories with global ids out.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            print(f"mtmc {version('mtmc')}")
        except PackageNotFoundError:
            print("mtmc (not installed: run `pip install -e .`)")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            help="Log more: -v progress, -vv every detail; may also follow the command.",
        ),
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only errors and results; may also follow the command.")
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Track people across several cameras."""
    from rich.logging import RichHandler

    from pipeline.core.console import MessageConsole, VisibleText
    from pipeline.core.said_once import SaidOnce

    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = RichHandler(console=MessageConsole(), show_path=False, show_time=False)
    handler.addFilter(SaidOnce("pipeline.sources"))
    handler.addFilter(VisibleText())
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler], force=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Exit with code 0 (done), 1 (failed while running) or 2 (bad usage or input)."""
    from pipeline.core.console import MessageConsole

    errors = MessageConsole()

    def tell(text: str) -> None:
        errors.print(visible(text), style="red", markup=False, highlight=False, soft_wrap=True)

    try:
        try:
            app(_global_options_first(sys.argv[1:] if arguments is None else arguments), prog_name="mtmc")
        finally:
            sys.stdout.flush()
    except InputError as error:
        tell(f"error: {error}")
        sys.exit(EXIT_BAD_INPUT)
    except RunError as error:
        tell(f"failed: {error}")
        sys.exit(EXIT_FAILED)
    except OSError as error:
        if error.filename is not None:
            _log.debug("where it failed", exc_info=True)
            is_name = error.errno in _NAME_ERRORS
            tell(f"{'error' if is_name else 'failed'}: {shortened(os.fsdecode(error.filename))}: {error.strerror}")
            sys.exit(EXIT_BAD_INPUT if is_name else EXIT_FAILED)
        if error.errno not in _OUTPUT_ERRORS:
            raise
        tell(
            f"failed: the standard output cannot be written ({error.strerror}); files of results are as they should be"
        )
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  Python flushes what is left at its end
        sys.exit(EXIT_FAILED)
    except RuntimeError as error:
        if not str(error).startswith(_SYMLINK_LOOP):
            raise
        tell(f"error: {error}: it leads back to itself")
        sys.exit(EXIT_BAD_INPUT)
    except ImportError as error:
        missing = re.search(r"([^\s/]+\.so[\d.]*): (cannot open shared object file|file too short)", str(error))
        if missing is None:
            raise
        advice = ""
        if missing[1].startswith(("libGL", "libgthread", "libglib")):
            advice = (
                ", which OpenCV needs: apt-get install libgl1 libglib2.0-0 (Debian, Ubuntu), dnf install mesa-libGL "
                "glib2 (Fedora); see docs/installing.md"
            )
        tell(f"failed: the system lacks {missing[1]} ({missing[2]}){advice}")
        sys.exit(EXIT_FAILED)


def _global_options_first(arguments: Sequence[str]) -> list[str]:
    """Move -v, -vv and -q to the front. They may stand anywhere before a `--`, because no command has options with
    these names."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    first = [text for text in arguments[:end] if _GLOBAL.fullmatch(text)]
    return [*first, *(text for text in arguments[:end] if not _GLOBAL.fullmatch(text)), *arguments[end:]]


_GLOBAL = re.compile(r"-v+|-q|--verbose|--quiet")
