"""manifest-RUN.json: settings and results of a live run. Always a whole file, without secrets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.config.calibration import with_numbers
from pipeline.config.config import Config
from pipeline.config.output_settings import JsonLinesSink, SinkSettings
from pipeline.core.inference_runtime import Computation
from pipeline.core.redaction import Redactor
from pipeline.cross_camera.match_limits import MatchLimits
from pipeline.files.origin import origin
from pipeline.files.regular_file import read_regular
from pipeline.files.whole_files import write_whole
from pipeline.live.telling.status import LiveStatus

# Version of the files of a live run; a reader can refuse unknown versions.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Recorded:
    """The content of the manifests in a folder, about all runs so far.

    Attributes:
        run_ids: in order of time.
        sink_files: absolute paths of JSON lines files that rows were sent to.
        receivers: other receivers of rows, as text, such as 'mqtt broker:1883'.
        damaged: names of manifests that cannot be read.
    """

    run_ids: tuple[str, ...] = ()
    sink_files: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def recorded(folder: Path) -> Recorded:
    """Return what the manifests in `folder` record, also about runs whose own manifest was deleted. An unreadable
    manifest contributes only its run id."""
    damaged: list[str] = []
    found: dict[str, set[str]] = {key: set() for key in ("run_ids", "sink_files", "receivers")}
    for path in folder.glob("manifest-*.json"):
        found["run_ids"].add(path.stem.removeprefix("manifest-"))
        try:
            content = json.loads(read_regular(path).decode("utf-8"))
        except (OSError, ValueError, RecursionError):
            damaged.append(path.name)
            continue
        so_far = content.get("so_far") if isinstance(content, dict) else None
        if not isinstance(so_far, dict):
            damaged.append(path.name)
            continue
        for key, texts in found.items():
            named = so_far.get(key)
            texts.update(text for text in (named if isinstance(named, list) else ()) if _is_text(text))
    run_ids, sink_files, receivers = (tuple(sorted(texts)) for texts in found.values())
    return Recorded(run_ids, sink_files, receivers, tuple(sorted(damaged)))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _destinations(settings: Sequence[SinkSettings]) -> tuple[set[str], set[str]]:
    """Return the files of sinks, and the other receivers."""
    files, receivers = set(), set()
    for sink in settings:
        if not isinstance(sink, JsonLinesSink):
            receivers.add(f"{sink.type} {sink.address}")
        elif sink.path == "-":
            receivers.add("standard output")
        else:
            files.add(os.path.abspath(sink.path))
    return files, receivers


class Manifest:
    """Writes the manifest of a run.

    Args:
        versions, hashes: versions of the packages, hashes of the models.
        computed_by: for each model, what computes it.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        *,
        versions: Mapping[str, str],
        hashes: Mapping[str, str],
        computed_by: Mapping[str, Computation] = MappingProxyType({}),
        redact: Redactor,
    ) -> None:
        self._path = folder / f"manifest-{run_id}.json"
        self._run_id = run_id
        self._redact = redact
        self._before = recorded(folder)
        self._fixed = {
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            **redact.values(origin()),
            "versions": dict(versions),
            "hashes": dict(hashes),
            "computed_by": {model: asdict(computation) for model, computation in computed_by.items()},
        }

    def write(
        self, state: str, config: Config, limits: MatchLimits, status: LiveStatus, segments: Sequence[str]
    ) -> None:
        """Replace the file; after an OSError the previous file remains.

        Args:
            state: running, complete, rows_lost or failed.
            limits: the match limits in use; written for those that `config` leaves to a calibration.
            segments: names of the finished files.
        """
        # Most secrets are of a type that prints as stars. The others are hidden before the conversion to JSON, whose
        # escapes would prevent finding them.
        settings = self._redact.values(with_numbers(config, limits))
        files, receivers = _destinations(config.live.sinks)
        content: dict[str, Any] = {
            "state": state,
            "written_utc": status.utc.isoformat(timespec="seconds"),
            "uptime_s": round(status.uptime_s, 1),
            "rows_written": status.rows_written,
            "rows_lost": status.rows_lost,
            "identities": status.identities_total,
            "identities_forgotten": dict(status.identities_forgotten),
            "cameras": {camera.name: asdict(camera) for camera in status.cameras},
            "sinks": [asdict(sink) for sink in status.sinks],
            "reloads": status.reloads,
            "config_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
            "config": settings,
        }
        # Deleting a person's data needs these entries. They include earlier runs in this folder, because retention
        # deletes their manifests. File and run names are not redacted: a short password may occur in one by chance,
        # and the file could then not be found.
        so_far = {
            "run_ids": sorted({*self._before.run_ids, self._run_id}),
            "sink_files": sorted(files.union(self._before.sink_files)),
            "receivers": self._redact.values(sorted(receivers.union(self._before.receivers))),
        }
        whole = {**self._fixed, "segments": list(segments), "so_far": so_far, **self._redact.values(content)}
        text = json.dumps(whole, indent=1)
        write_whole(self._path, f"{text}\n".encode())
