"""What of a new configuration can be taken over while the run goes on."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config import CameraConfig, Config
from pipeline.errors import InputError

# Settings of a camera that matter for its connection; changing others leaves the connection alone.
_CONNECTION = ("source", "transport", "username", "password", "password_file")


@dataclass(frozen=True)
class Changes:
    """Names of cameras.

    Attributes:
        added, removed: there is no connection to keep.
        reconnect: the connection itself changed.
        changed: only what is done with the pictures changed.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    reconnect: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def new_picture(self) -> tuple[str, ...]:
        """Cameras whose earlier frames are not to be mixed with the new ones."""
        return (*self.added, *self.reconnect, *self.changed)

    def __str__(self) -> str:
        parts = [f"{name} {', '.join(names)}" for name, names in vars(self).items() if names]
        return "; ".join(parts) or "no camera changed"


def changes(before: Config, after: Config) -> Changes:
    """How the cameras differ.

    Raises:
        InputError: something differs that a running process cannot take over; it says what.
    """
    _check_fixed(before, after)
    old = {camera.name: camera for camera in before.cameras}
    new = {camera.name: camera for camera in after.cameras}
    for name, camera in new.items():
        if camera.reid_camera != (old[name].reid_camera if name in old else None):
            raise InputError(f"camera {name}: reid_camera can only be changed by a restart")
    both = [name for name in new if name in old and old[name] != new[name]]
    reconnect = [name for name in both if _connection(old[name]) != _connection(new[name])]
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        reconnect=tuple(reconnect),
        changed=tuple(name for name in both if name not in reconnect),
    )


def _connection(camera: CameraConfig) -> tuple[object, ...]:
    return tuple(getattr(camera, key) for key in _CONNECTION)


def _check_fixed(before: Config, after: Config) -> None:
    """Everything but the cameras and the transit times is part of what was built at the start."""
    old, new = before.model_dump(), after.model_dump()
    for section in old:
        if section == "cameras":
            continue
        for key in old[section]:
            if (section, key) != ("linker", "transit_windows") and old[section][key] != new[section][key]:
                raise InputError(f"{section}.{key} can only be changed by a restart")
