"""Writes and reads run.json: what was run, with what, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import InputError, RunError
from pipeline.files.run_folder import read_note
from pipeline.files.whole_files import SHARED_MODE, write_whole
from pipeline.recorded.run_summary import RunSummary
from pipeline.sources.base import FrameSource

# The embedder's section is needed to set a limit back to `calibrated`.
_LINKING = ("embedder", "linker", "second_pass", "output", "recording", "zones", "lines", "counting")


class RunNote:
    """Writes run.json while `track` runs and when it ends; the file is complete at every moment."""

    def __init__(
        self,
        path: Path,
        sources: Sequence[FrameSource],
        config: Mapping[str, Any],
        versions: Mapping[str, str],
        epoch_utc: datetime | None,
        origin: Mapping[str, Any],
    ) -> None:
        """
        Args:
            origin: further keys, as from `pipeline.files.origin.origin`.
        """
        self._path = path
        self._fixed = {
            **origin,
            "versions": dict(versions),
            "config": dict(config),
            "epoch_utc": epoch_utc.isoformat() if epoch_utc else None,
        }
        self._recordings = {
            source.camera_id: {
                "path": source.path,
                "frame_rate": source.frame_rate,
                "size_wh": list(source.size_wh),
                "index_step": source.index_step,
            }
            for source in sources
        }

    def write(self, state: str, summary: RunSummary) -> None:
        """Replace the file; `state` is running, complete, incomplete, interrupted or failed.

        Raises:
            RunError: it cannot be written; the previous file stays.
        """
        cameras = {
            camera_id: {**self._recordings[camera_id], **vars(counts)}
            for camera_id, counts in summary.cameras.items()
        }
        content = {
            "state": state,
            "cameras": cameras,
            "classes": {name: asdict(counts) for name, counts in summary.classes.items()},
            "unembedded_classes": summary.unembedded_classes,
            "global_ids": summary.global_ids,
            "fragments": summary.fragments,
            "rows": summary.rows,
            "embedded_crops": summary.embedded_crops,
            "rejected_crops": summary.rejected_crops,
            "unknown_cameras": summary.unknown_cameras,
            "forgotten": summary.forgotten_numbers,
            "hashes": summary.hashes,
            "computed_by": {model: asdict(computation) for model, computation in summary.computed_by.items()},
            "wall_s": round(summary.wall_s, 3),
            "stage_s": {stage: round(seconds, 3) for stage, seconds in summary.stage_s.items()},
            **self._fixed,
        }
        _write(self._path, content)


class EarlierNote:
    """The run.json of a run that has ended.

    Attributes:
        content: all of it.
        state: how the run ended; 'running' if it has not noted that.
        hashes: of the models.
        running: whether the run has not written how it ended.
        epoch_utc: date and time of second 0 of the run's clock, None if it is unknown.
        index_steps: camera -> difference between the indices of consecutive frames.
        config: its configuration, as in a configuration file; limits that were calibrated are numbers. Empty if the
            file has none.
        recordings: camera -> path of its recording.
        linking: the sections of its configuration that are needed to link again, as in `config`.

    Raises:
        InputError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.content: dict[str, Any] = dict(read_note(path))
            self.state = str(self.content.get("state"))
            self.running = self.state == "running"
            self.hashes = {str(model): str(text) for model, text in dict(self.content.get("hashes", {})).items()}
            epoch = self.content["epoch_utc"]
            self.epoch_utc = None if epoch is None else datetime.fromisoformat(epoch)
            config = dict(self.content.get("config", {}))
            stride: Any = dict(config.get("recording", {})).get("stride", 1)
            cameras = dict(self.content.get("cameras", {}))
            self.index_steps = {
                name: int(dict(noted).get("index_step", stride)) for name, noted in cameras.items()
            }
            self.config: dict[str, Any] = config
            self.linking: dict[str, Any] = {name: config[name] for name in _LINKING if name in config}
            self.recordings = {name: str(dict(noted).get("path", "")) for name, noted in cameras.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} is missing or damaged, so the start of the recording is unknown") from error

    def write_linked(
        self,
        path: Path,
        used: Mapping[str, Any],
        *,
        global_ids: Mapping[str, int],
        fragments: Mapping[str, int],
        rows: int,
        tracks: Mapping[str, int],
        forgotten: Mapping[str, int],
        killed: bool,
    ) -> None:
        """Write the run.json of the same run with other final ids.

        Args:
            used: the configuration that gave these ids, as JSON data.
            global_ids, fragments: the new numbers of global ids of each class, and of fragments among them.
            rows: the new number of rows.
            tracks: number of tracks of each camera.
            forgotten: numbers of people whom the second pass forgot, by reason.
            killed: whether the run was killed, so that its file still says that it runs and counts too few tracks.

        Raises:
            RunError: `path` cannot be written; the previous file stays.
        """
        noted = self.content.get("config", {})
        changed = {name: {**noted.get(name, {}), **used[name]} for name in ("linker", "second_pass")}
        filled = {
            name: used["output"][name] for name in ("interpolate", "interpolate_max_gap_s", "save_decisions")
        }
        changed["output"] = {**noted.get("output", {}), **filled}
        changed |= {name: used[name] for name in ("zones", "lines", "counting") if name in used}
        noted_classes = self.content.get("classes")
        if not isinstance(noted_classes, dict):  # of an earlier version
            noted_classes = {}
        classes = {
            name: {**counts, "global_ids": global_ids.get(name, 0), "fragments": fragments.get(name, 0)}
            for name, counts in noted_classes.items()
            if isinstance(counts, dict)
        }
        earlier = self.content.get("forgotten")
        numbers = {
            "forgotten": {**(earlier if isinstance(earlier, dict) else {}), "second_pass": dict(forgotten)},
            "classes": classes,
            "global_ids": sum(global_ids.values()),
            "fragments": sum(fragments.values()),
            "rows": rows,
        }
        content = {**self.content, **numbers, "config": {**noted, **changed}}
        cameras = content.get("cameras")
        if killed and isinstance(cameras, dict):
            counted = {
                name: {**counts, "tracks": tracks.get(name, 0)}
                for name, counts in cameras.items()
                if isinstance(counts, dict)
            }
            content |= {"state": "killed", "cameras": counted}
        _write(path, content)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        write_whole(path, (json.dumps(content, indent=1) + "\n").encode(), mode=SHARED_MODE)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error
