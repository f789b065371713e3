"""Applies a changed configuration to a running process, as far as that is possible without a restart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.config.config import Config
from pipeline.core.errors import InputError
from pipeline.live.busy import run_within
from pipeline.live.cameras.camera_plans import crops_of
from pipeline.live.cameras.fleet import CameraPlan
from pipeline.live.parts import LiveParts
from pipeline.live.sinks.build import credentials_of, secrets_of

# Longest wait for tracking to let a new configuration in.
_WAIT_S = 5.0
# Longest wait for the files of a new configuration; a disk that does not answer must not stop the watch of the run.
_READ_S = 8.0

_log = logging.getLogger(__name__)


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
        if not isinstance(old[section], dict):
            if old[section] != new[section]:
                raise InputError(f"{section} can only be changed by a restart")
            continue
        for key in old[section]:
            if (section, key) != ("linker", "transit_windows") and old[section][key] != new[section][key]:
                raise InputError(f"{section}.{key} can only be changed by a restart")


@dataclass(frozen=True)
class _New:
    """A new configuration with all that its files say, ready to be applied."""

    config: Config
    plans: list[CameraPlan]
    differences: Changes
    credentials: list[tuple[str | None, bytes]]
    secrets: list[str]
    applying: list[Callable[[], None]]


class Reloader:
    """Holds the configuration in use, and replaces it.

    Args:
        plans: how the cameras of `config` are opened.
        plans_of: returns the same for another configuration.
        prepare: called with each new configuration before it is applied; may raise InputError. Each returns the
            function that applies it.

    Attributes:
        config: the configuration in use.
        plans: how its cameras are opened.
        reloads: number of configurations that were applied.
        problem: why the last configuration was not applied, redacted; empty if it was.
    """

    def __init__(
        self,
        config: Config,
        plans: Sequence[CameraPlan],
        parts: LiveParts,
        *,
        plans_of: Callable[[Config], list[CameraPlan]],
        prepare: Sequence[Callable[[Config], Callable[[], None]]],
    ) -> None:
        self.config = config
        self.plans = plans
        self.reloads = 0
        self.problem = ""
        self._parts = parts
        self._plans_of = plans_of
        self._prepare = prepare
        self._credentials = credentials_of(config.live.sinks)
        self._lock = threading.Lock()
        self._reading = threading.Event()  # set while the files of a new configuration are read

    def reload(self, load: Callable[[], Config]) -> None:
        """Apply a new configuration as a whole or not at all, and log which.

        Args:
            load: called to read and validate it; may raise InputError.
        """
        with self._lock:
            try:
                new = self._read_in_time(load)
            except Exception as error:  # whatever is wrong with the new configuration, the run goes on
                self._refuse(str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}")
                return
            if not self._change_cameras(new.config, new.plans, new.differences):
                self._refuse("tracking does not return")
                return
            self._parts.redact.add(new.secrets)
            for feed, before, after in zip(
                self._parts.output.sinks, self._credentials, new.credentials, strict=False
            ):
                if before != after:
                    feed.reopen()
            for apply in new.applying:
                apply()
            self._credentials = new.credentials
            self.config, self.plans = new.config, new.plans
            self.reloads += 1
            self.problem = ""
            _log.warning("the new configuration is in use: %s", new.differences)

    def _read_in_time(self, load: Callable[[], Config]) -> _New:
        """Read and check a new configuration in a thread of its own.

        Raises:
            InputError: it cannot be used, or its files could not be read in time.
        """
        if self._reading.is_set():
            raise InputError("the files of the last new configuration are still being read; does the disk answer?")
        found: list[_New] = []

        def read() -> None:
            self._reading.set()
            try:
                found.append(self._read(load))
            finally:
                self._reading.clear()

        if not run_within(read, _READ_S, "reload"):
            raise InputError(f"its files could not be read within {_READ_S:g} s; does the disk answer?")
        return found[0]

    def _read(self, load: Callable[[], Config]) -> _New:
        config = load()
        plans = self._plans_of(config)
        return _New(
            config,
            plans,
            changes(self.config, config, self.plans, plans),
            credentials_of(config.live.sinks),
            secrets_of(config.live.sinks),
            [prepare(config) for prepare in self._prepare],
        )

    def _refuse(self, problem: str) -> None:
        self.problem = self._parts.redact(" ".join(problem.split()))
        _log.error("the new configuration was not applied; the old one stays in use: %s", self.problem)

    def _change_cameras(self, config: Config, plans: Sequence[CameraPlan], differences: Changes) -> bool:
        """Return False, and change nothing, if tracking does not return."""
        parts = self._parts
        if not parts.core_lock.acquire(timeout=_WAIT_S):
            return False
        try:
            # Old readers stop first: their later frames would be mistaken for frames of the new picture.
            parts.fleet.set_cameras(plans, restart=set(differences.reconnect))
            parts.core.set_cameras(config.cameras, config.linker.transit_windows)
            parts.inference.set_crops(crops_of(config.cameras), differences.new_picture)
        finally:
            parts.core_lock.release()
        return True
