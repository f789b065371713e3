"""Decisions of linking as sentences."""

from __future__ import annotations

from pipeline.core.decisions import Decision, Outcome, Reason, Stage

_BECAUSE = {
    Reason.NEAREST: "this candidate is the nearest one, and within the limit",
    Reason.TOO_CLOSE_TOO_LONG: (
        "two candidates are nearly equally near, and it has waited for linker.max_wait_s: the nearer one is taken"
    ),
    Reason.WENT_TO_ANOTHER: "the nearest candidate fits another track of this camera better",
    Reason.NO_CANDIDATE: "nobody is known whom it could be",
    Reason.NONE_WITHIN_LIMIT: "no candidate is within the limit",
    Reason.WAITED_TOO_LONG: "it has waited for linker.max_wait_s, and no candidate is within the limit",
    Reason.ENDED_FEW_CROPS: "it ended before it had enough good crops",
    Reason.ENDED_FEW_POSITIONS: "it ended before it had enough floor positions",
    Reason.ENDED_WAITING: "it ended while it waited",
    Reason.FEW_CROPS: "it has too few good crops",
    Reason.FEW_POSITIONS: "it has too few floor positions",
    Reason.TOO_CLOSE: "two candidates are nearly equally near",
    Reason.HELD: "a lost track of this camera holds a near candidate, and may come back",
    Reason.JUST_ABOVE_LIMIT: "the nearest candidate is just above the limit, which more crops may change",
    Reason.JOINED: "it is near the other tracks of this person",
    Reason.JOINED_AS_ONLINE: "there is nothing to compare, so the online decision stays",
    Reason.FOUND_AGAIN: "the person was recognised after an absence",
    Reason.ALL_IMPOSSIBLE: "every candidate is impossible",
    Reason.NEVER_MOVED: "it has never moved since it began, as posters, mannequins and things do not move",
    Reason.MOVED: "it has moved",
}


def sentence(decision: Decision) -> str:
    """Return what was decided when, and why, as a sentence."""
    return f"{decision.time_s:.2f} s: {_what(decision)}, because {_BECAUSE[decision.reason]}."


def facts(decision: Decision) -> str:
    """Return what the decision is based on: crops, limit, camera mean."""
    crops = f"{decision.good_crops} good crop{'' if decision.good_crops == 1 else 's'}"
    if decision.limit is None:
        return f"{crops}."
    mean = f"; {100 * decision.mean_weight:.0f} % of the camera mean is subtracted" if decision.mean_weight else ""
    return f"{crops}; one person is up to a cosine distance of {decision.limit:.3f}{mean}."


def _what(decision: Decision) -> str:
    if decision.stage is Stage.SECOND_PASS:
        if not decision.joined:
            return f"person {decision.global_id}, with no other track"
        return f"person {decision.global_id}, with {tracks_text(decision)}"
    return {
        Outcome.LINKED: f"linked to online id {decision.global_id}",
        Outcome.NEW: f"a new person, with online id {decision.global_id}",
        Outcome.WAITING: "it waits",
        Outcome.WITHOUT_EVIDENCE: f"online id {decision.global_id}, which no other track can get",
        Outcome.LEFT_OUT: "left out of trajectories.csv",
        Outcome.TAKEN_BACK: "no longer left out",
    }[decision.outcome]


def tracks_text(decision: Decision) -> str:
    """Return the other tracks of the person, at most five by name."""
    names = [f"{camera_id}:{track_id}" for camera_id, track_id in decision.joined]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"track{'' if len(names) == 1 else 's'} {', '.join(names[:5])}{more}"
