"""Determines which changes of the configuration a running process can apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config.config import Config
from pipeline.core.errors import InputError
from pipeline.live.cameras.fleet import CameraPlan


@dataclass(frozen=True)
class Changes:
    """Names of the cameras that a new configuration affects.

    Attributes:
        added, removed: cameras that only the new or only the old configuration has.
        reconnect: they are opened differently, for example with a new password from the same file.
        changed: the connection stays; only the use of the pictures changed.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    reconnect: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def new_picture(self) -> tuple[str, ...]:
        """Cameras whose earlier frames must not be mixed with the new ones."""
        return (*self.added, *self.reconnect, *self.changed)

    def __str__(self) -> str:
        parts = [f"{name} {', '.join(names)}" for name, names in vars(self).items() if names]
        return "; ".join(parts) or "no camera changed"


def changes(
    before: Config, after: Config, plans_before: Sequence[CameraPlan], plans_after: Sequence[CameraPlan]
) -> Changes:
    """Return how the cameras of two configurations differ.

    Args:
        plans_before, plans_after: how the cameras of each configuration are opened.

    Raises:
        InputError: a setting changed that needs a restart; the message names it.
    """
    _check_fixed(before, after)
    old = {camera.name: camera for camera in before.cameras}
    new = {camera.name: camera for camera in after.cameras}
    for name, camera in new.items():
        if camera.reid_camera != (old[name].reid_camera if name in old else None):
            raise InputError(f"camera {name}: reid_camera can only be changed by a restart")
    both = [name for name in new if name in old]
    openers = {plan.name: plan.opener for plan in plans_before}
    reconnect = [plan.name for plan in plans_after if plan.name in both and plan.opener != openers[plan.name]]
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        reconnect=tuple(reconnect),
        changed=tuple(name for name in both if name not in reconnect and old[name] != new[name]),
    )


def _check_fixed(before: Config, after: Config) -> None:
    """Raise InputError if anything but cameras and transit times changed, because the rest is built at the start."""
    old, new = before.model_dump(), after.model_dump()
    for section in old:
        if section == "cameras":
            continue
        for key in old[section]:
            if (section, key) != ("linker", "transit_windows") and old[section][key] != new[section][key]:
                raise InputError(f"{section}.{key} can only be changed by a restart")
