"""How many identities are remembered: a number from the configuration, or as many as fit into the memory for them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pipeline.cross_camera.identity_columns import FLOOR_SLOTS
from pipeline.cross_camera.settings import LinkerSettings

# Bytes of an identity besides its embeddings, times and floor positions.
_ONLINE_BYTES = 400
# Bytes of a person who left the window of the second pass: Python objects and floor positions, and for each member of
# the window the cost of being this person, twice.
_LEFT_BYTES, _COST_BYTES = 3000, 16
_MB = 2**20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forgotten:
    """Numbers of identities that were forgotten.

    Attributes:
        unseen: not seen for longer than the memory lasts.
        surplus: forgotten before that, because there were too many.
    """

    unseen: int = 0
    surplus: int = 0

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(self.unseen + other.unseen, self.surplus + other.surplus)


def identity_bytes(settings: LinkerSettings, cameras: int, embedding_dim: int) -> int:
    """Return the bytes that the linker needs for an identity."""
    features = settings.features_per_identity * (embedding_dim * 4 + 17) + embedding_dim * 4
    return features + cameras * 8 + FLOOR_SLOTS * 24 + _ONLINE_BYTES


def online_limit(settings: LinkerSettings, cameras: int, embedding_dim: int) -> int:
    """Return the largest number of identities that the linker remembers.

    Args:
        embedding_dim: length of an embedding, 0 if there is none yet.
    """
    if settings.max_identities != "auto":
        return settings.max_identities
    return max(int(settings.identity_memory_mb * _MB) // identity_bytes(settings, cameras, embedding_dim), 1)


def second_pass_limit(settings: LinkerSettings, window: int, embedding_dim: int) -> int:
    """Return the largest number of people outside the window of the second pass who are remembered.

    Args:
        window: largest number of tracklets in it.
        embedding_dim: length of an embedding, 0 if there is none.
    """
    if settings.max_identities != "auto":
        return settings.max_identities
    each = embedding_dim * 12 + window * _COST_BYTES + _LEFT_BYTES
    return max(int(settings.identity_memory_mb * _MB) // each, 1)


def warn_of_surplus(settings: LinkerSettings, limit: int, forgotten: int, where: str) -> None:
    """Log that identities are forgotten because there are too many, and what to do about it.

    Args:
        limit: largest number of identities.
        forgotten: because of it, so far.
        where: the part that forgets.
    """
    cause = (
        f"as fit into linker.identity_memory_mb ({settings.identity_memory_mb:g} MB)"
        if settings.max_identities == "auto"
        else "linker.max_identities allows"
    )
    repair = "raise it" if settings.max_identities == "auto" else "raise it, or set it to auto"
    _log.warning(
        "%s knows %d people, as many %s, and forgets those whom no camera has seen for longest (%d so far), although "
        "the last %g s (linker.identity_memory_s) showed more. They get a new id when they come back: %s, or lower "
        "identity_memory_s",
        where,
        limit,
        cause,
        forgotten,
        settings.identity_memory_s,
        repair,
    )
