"""Fragments: tracks of which nobody can say whose they are.

A fragment has no good crop, so its appearance is unknown, and it is the only track of its global id: its floor
positions joined it with no other track either. It may be a piece of a known person, somebody who was hardly visible, or
no person at all. Fragments are therefore counted apart from people, and their link confidence is `NOT_COMPARED`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from pipeline.core.datatypes import Link
from pipeline.core.decisions import TrackKey

#: Link confidence of a track whose appearance was compared with nobody, and that nothing else linked.
NOT_COMPARED = 0.0


def fragments(links: Mapping[TrackKey, Link], described: Collection[TrackKey]) -> set[TrackKey]:
    """Return the tracks that are fragments.

    Args:
        links: of all tracks.
        described: the tracks with a good crop, and those of which that is not known.
    """
    tracks = Counter(link.global_id for link in links.values())
    return {key for key, link in links.items() if tracks[link.global_id] == 1 and key not in described}
