"""Records when and by which command a run was started, without secrets."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import HIDDEN

# KEY=VALUE of --set, and KEY: VALUE of YAML in it; password_file names a file, which is not secret.
_SECRET = re.compile(
    r"""(?<![\w-])((?:username|password|passwd|pwd|token|api_?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,}&;]+)""",
    re.IGNORECASE,
)


def origin(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Return `started_utc` and `command` for run.json.

    Args:
        arguments: command line, the program first; None takes that of this process.
    """
    program, *rest = sys.argv if arguments is None else arguments
    return {
        "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(program).name, *(_without_secrets(argument) for argument in rest)],
    }


def _without_secrets(argument: str) -> str:
    return Redactor()(_SECRET.sub(rf"\1{HIDDEN}", argument))
