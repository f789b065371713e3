"""Why a track has its global id: what linking decided about it, when, and among which candidates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Camera and number of a track.
TrackKey = tuple[str, int]


class Stage(StrEnum):
    """The part that decides. Each has its own numbers: a global id of one is another person's in the other."""

    ONLINE = "online"
    SECOND_PASS = "second pass"


class Outcome(StrEnum):
    """What happens to a track."""

    LINKED = "linked"
    NEW = "new"
    WAITING = "waiting"
    WITHOUT_EVIDENCE = "ended without evidence"
    LEFT_OUT = "left out"
    TAKEN_BACK = "taken back"


class Reason(StrEnum):
    """Why that happens; docs/explain.md explains each in a sentence."""

    NEAREST = "nearest within limit"
    TOO_CLOSE_TOO_LONG = "two candidates too close, waited too long"
    WENT_TO_ANOTHER = "nearest candidate went to another track"
    NO_CANDIDATE = "no candidate"
    NONE_WITHIN_LIMIT = "no candidate within the limit"
    WAITED_TOO_LONG = "waited too long"
    ENDED_FEW_CROPS = "too few good crops before the track ended"
    ENDED_FEW_POSITIONS = "too few floor positions before the track ended"
    ENDED_WAITING = "the track ended while it waited"
    FEW_CROPS = "too few good crops"
    FEW_POSITIONS = "too few floor positions"
    TOO_CLOSE = "two candidates too close"
    HELD = "candidate held by a lost track"
    JUST_ABOVE_LIMIT = "nearest candidate just above the limit"
    JOINED = "near the other tracks of the person"
    JOINED_AS_ONLINE = "no evidence, so the online decision stays"
    FOUND_AGAIN = "recognised after an absence"
    ALL_IMPOSSIBLE = "every candidate is impossible"
    NEVER_MOVED = "never moved"
    MOVED = "moved after all"


class Obstacle(StrEnum):
    """Why a candidate was impossible."""

    ANOTHER_CLASS = "another class"
    IN_VIEW = "in view of this camera"
    SAME_TIME = "same camera at the same time"
    TRANSIT_TIME = "transit time"
    TOO_FAR = "too far to walk"
    APART = "too far apart on the floor"
    FEW_CROPS = "too few good crops"
    HELD = "held by a lost track"
    WENT_TO_ANOTHER = "went to another track"
    ABSENCE = "absence longer than identity_memory_s"
    NOTHING_IN_COMMON = "no evidence about one another"
    OTHER_TRACKS = "excluded by other tracks of the person"


@dataclass(frozen=True)
class Candidate:
    """A person to whom a track may belong.

    Attributes:
        global_id: of the stage that decided.
        cosine_distance: between the mean embeddings, in [0, 2]; None without an embedding.
        floor_distance_m: median over the same times, None if too few positions have the same time.
        cost: of both, relative to the limit: up to 1 is within the limit; None if nothing is known, or if the floor
            distance excludes the candidate.
        impossible: what excludes the candidate, None if nothing does.
    """

    global_id: int
    cosine_distance: float | None
    floor_distance_m: float | None
    cost: float | None
    impossible: Obstacle | None = None


@dataclass(frozen=True)
class Decision:
    """One decision about a track.

    Attributes:
        time_s: on the clock of the run; in the second pass, the end of the track.
        camera_id, track_id: the track.
        global_id: the id that the track has from then on; None while it waits.
        good_crops: number of different good crops from which the mean embedding comes.
        limit: largest cosine distance of one person, with the number of people to choose from considered; None if
            nothing was compared.
        mean_weight: share of the camera mean that was subtracted from the embeddings, in [0, 1].
        candidates: those that are possible first, then by cost.
        joined: the other tracks of the person, in the second pass.
    """

    stage: Stage
    time_s: float
    camera_id: str
    track_id: int
    outcome: Outcome
    reason: Reason
    global_id: int | None
    good_crops: int
    limit: float | None
    mean_weight: float
    candidates: tuple[Candidate, ...] = ()
    joined: tuple[TrackKey, ...] = ()

    @property
    def links(self) -> bool:
        """Whether the track has its global id from this decision."""
        return self.outcome in (Outcome.LINKED, Outcome.NEW, Outcome.WITHOUT_EVIDENCE)

    @property
    def key(self) -> TrackKey:
        """(camera_id, track_id), unique in a run."""
        return (self.camera_id, self.track_id)
