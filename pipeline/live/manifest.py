"""manifest-RUN.json: what a live run was, and what came of it. Always a whole file, without secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.live.files import write_whole
from pipeline.live.redaction import Redactor
from pipeline.live.status import LiveStatus

# Of the files of a live run; a reader can refuse what it does not know.
SCHEMA_VERSION = 1


class Manifest:
    """
    Args:
        versions, hashes: of the packages and of the models.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        *,
        versions: Mapping[str, str],
        hashes: Mapping[str, str],
        redact: Redactor,
    ) -> None:
        self._path = folder / f"manifest-{run_id}.json"
        self._redact = redact
        self._fixed = {
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": dict(versions),
            "hashes": dict(hashes),
        }

    def write(self, state: str, config: Config, status: LiveStatus, segments: Sequence[str]) -> None:
        """Replace the file; OSError leaves the one before.

        Args:
            state: running, complete, rows_lost or failed.
            segments: names of the files that are finished.
        """
        # Most secrets are of a type that writes itself as stars. The others are hidden before this is JSON, whose
        # escapes would keep them from being found.
        settings = self._redact.values(config.model_dump(mode="json", by_alias=True))
        content: dict[str, Any] = {
            **self._fixed,
            "state": state,
            "written_utc": status.utc.isoformat(timespec="seconds"),
            "uptime_s": round(status.uptime_s, 1),
            "segments": list(segments),
            "rows_written": status.rows_written,
            "rows_lost": status.rows_lost,
            "identities": status.identities_total,
            "cameras": {camera.name: asdict(camera) for camera in status.cameras},
            "reloads": status.reloads,
            "config_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
            "config": settings,
        }
        text = json.dumps(self._redact.values(content), indent=1)
        write_whole(self._path, f"{text}\n".encode())
