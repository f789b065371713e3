from __future__ import annotations

import pytest

from pipeline.core.decisions import Decision, Outcome, Reason, Stage
from pipeline.recorded.decision_sentences import facts, sentence


def decision(stage: Stage, outcome: Outcome, reason: Reason, **more: object) -> Decision:
    values = {"global_id": 7, "good_crops": 2, "limit": 0.35, "mean_weight": 0.0, **more}
    return Decision(stage, 3.25, "hall", 1, outcome, reason, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            decision(Stage.ONLINE, Outcome.LINKED, Reason.NEAREST),
            "3.25 s: linked to online id 7, because this candidate is the nearest one, and within the limit.",
        ),
        (
            decision(Stage.ONLINE, Outcome.WAITING, Reason.FEW_CROPS, global_id=None),
            "3.25 s: it waits, because it has too few good crops.",
        ),
        (
            decision(Stage.ONLINE, Outcome.NEW, Reason.NONE_WITHIN_LIMIT),
            "3.25 s: a new person, with online id 7, because no candidate is within the limit.",
        ),
        (
            decision(Stage.ONLINE, Outcome.WITHOUT_EVIDENCE, Reason.ENDED_FEW_CROPS),
            "3.25 s: online id 7, which no other track can get, because it ended before it had enough good crops.",
        ),
        (
            decision(Stage.SECOND_PASS, Outcome.NEW, Reason.ALL_IMPOSSIBLE),
            "3.25 s: person 7, with no other track, because every candidate is impossible.",
        ),
        (
            decision(
                Stage.SECOND_PASS,
                Outcome.LINKED,
                Reason.JOINED,
                joined=tuple(("a", number) for number in range(7)),
            ),
            "3.25 s: person 7, with tracks a:0, a:1, a:2, a:3, a:4 and 2 more, because it is near the other tracks of "
            "this person.",
        ),
    ],
)
def test_sentences(told: Decision, expected: str) -> None:
    assert sentence(told) == expected


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    assert sentence(decision(Stage.ONLINE, Outcome.NEW, reason)).endswith(".")


def test_facts_name_what_was_used() -> None:
    one = decision(Stage.ONLINE, Outcome.NEW, Reason.NEAREST, good_crops=1, mean_weight=0.456)
    assert facts(one) == (
        "1 good crop; one person is up to a cosine distance of 0.350; 46 % of the camera mean is subtracted."
    )
    assert facts(decision(Stage.ONLINE, Outcome.WAITING, Reason.FEW_CROPS, limit=None)) == "2 good crops."
