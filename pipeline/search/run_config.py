"""The configuration of a finished run or a live site, as far as a search uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config.config import Config, load_config
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge

_SECTIONS = ("detector", "embedder", "tracker", "linker", "second_pass", "runtime")
# A search opens recordings, but no stream: it needs no login, which a manifest hides anyway.
_CAMERA_KEYS = ("name", "source", "reid_camera", "frame_rate", "display_size_wh", "crop_xyxy_px")


@dataclass(frozen=True)
class ConfigChoice:
    """What replaces the recorded settings of a run.

    Attributes:
        file: a configuration that is used instead of the recorded one; None keeps that.
        overrides: settings that differ, nested as in a file.
    """

    file: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


def config_of_run(noted: Mapping[str, Any], note: Path, choice: ConfigChoice) -> Config:
    """Return the settings with which the embeddings of a run were computed and compared.

    Args:
        noted: the configuration in run.json or in a manifest.
        note: that file, for messages.

    Raises:
        InputError: this version cannot use the recorded configuration, or the choice is wrong.
    """
    if choice.file is not None:
        return load_config(choice.file, choice.overrides)
    recorded: dict[str, Any] = {name: noted[name] for name in _SECTIONS if name in noted}
    cameras = noted.get("cameras")
    if not isinstance(cameras, list) or not all(isinstance(one, Mapping) for one in cameras) or not recorded:
        raise InputError(f"{note} holds no configuration, so the model of the run is unknown: give --config")
    recorded["cameras"] = [{key: one[key] for key in _CAMERA_KEYS if one.get(key) is not None} for one in cameras]
    # Transit times name cameras, and are not used by a search.
    if isinstance(recorded.get("linker"), Mapping):
        recorded["linker"] = {**recorded["linker"], "transit_windows": []}
    try:
        load_config(None, recorded)
    except InputError as error:
        raise InputError(
            f"{note} holds a configuration that this version cannot use ({error}): give --config"
        ) from error
    return load_config(None, merge(recorded, choice.overrides))
