"""What the second pass clusters: tracklets, and people whose tracklets were joined in earlier windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.datatypes import FloatArray, IntArray
from pipeline.core.decisions import TrackKey

# Floor positions that a member keeps when it is joined with others: the newest four minutes or more.
_MEMBER_SLOTS = 1024
# The same for a member that has left the window: its last positions.
_LEFT_SLOTS = 40


@dataclass(eq=False)
class Member:
    """A tracklet, or several that were joined in earlier windows.

    embedding_sum: (D,) sum of its tracklets' mean embeddings, centred with their camera means; empty without any.
    cosine_limit: its match limit. spans: (S, 3) float64, (camera row, start_s, end_s) of its tracklets.
    first: (start_s, camera row, track id) of the earliest. slots, xy_m: (P,) and (P, 2), floor positions, slots
    ascending. keys: the tracklets of this member's identity. start_s, end_s: when it was seen first and last.
    """

    class_id: int
    embedding_sum: FloatArray
    cosine_limit: float
    slots: IntArray
    xy_m: NDArray[np.float64]
    spans: NDArray[np.float64]
    first: tuple[float, int, int]
    start_s: float
    end_s: float
    keys: list[TrackKey] = field(default_factory=list)

    def last_seen(self) -> Member:
        """Return the member with its last floor positions only."""
        return replace(self, slots=self.slots[-_LEFT_SLOTS:].copy(), xy_m=self.xy_m[-_LEFT_SLOTS:].copy())

    def without_evidence(self) -> Member:
        """Return the member with what its links need only, so that a long recording keeps no embeddings."""
        return replace(
            self,
            embedding_sum=np.zeros(0, self.embedding_sum.dtype),
            slots=np.zeros(0, np.int64),
            xy_m=np.zeros((0, 2)),
            spans=np.zeros((0, 3)),
        )


def joined(members: Sequence[Member]) -> Member:
    """Return the person whom some members are."""
    if len(members) == 1:
        return members[0]
    sums = [member.embedding_sum for member in members if len(member.embedding_sum)]
    # Positions of one slot may come from several cameras; each is an estimate of where the person stood.
    slots, place = np.unique(np.concatenate([member.slots for member in members]), return_inverse=True)
    xy_m = np.zeros((len(slots), 2))
    np.add.at(xy_m, place, np.concatenate([member.xy_m for member in members]))
    xy_m /= np.bincount(place, minlength=len(slots))[:, None]
    return Member(
        class_id=members[0].class_id,
        embedding_sum=np.sum(sums, axis=0) if sums else members[0].embedding_sum,
        cosine_limit=float(
            np.average(
                [member.cosine_limit for member in members], weights=[len(member.keys) for member in members]
            )
        ),
        slots=slots[-_MEMBER_SLOTS:],
        xy_m=xy_m[-_MEMBER_SLOTS:],
        spans=np.concatenate([member.spans for member in members]),
        first=min(member.first for member in members),
        start_s=min(member.start_s for member in members),
        end_s=max(member.end_s for member in members),
        keys=[key for member in members for key in member.keys],
    )


def embedding_sums(members: Sequence[Member], dim: int | None = None) -> NDArray[np.float64]:
    """Return the (N, D) sums of N members, 0 for members without embeddings.

    Args:
        dim: D; by default that of the members.
    """
    dim = max((len(member.embedding_sum) for member in members), default=0) if dim is None else dim
    sums = np.zeros((len(members), dim))
    for row, member in enumerate(members):
        sums[row, : len(member.embedding_sum)] = member.embedding_sum
    return sums
