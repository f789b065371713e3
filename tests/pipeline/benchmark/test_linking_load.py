"""The simulated site, and who is recognised at it."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import pytest

from pipeline.benchmark.linking_load import measure_linking
from pipeline.benchmark.second_pass_load import PairScores, measure_second_pass, pair_scores
from pipeline.benchmark.simulated_site import SimulatedSite, SimulatedTracklets
from pipeline.core.datatypes import Link
from tests.helpers.factories import linker_settings, second_pass_settings

SITE = SimulatedSite(3, 4, known=60, returning=0.8, embedding_dim=64, view_s=8.0)


def test_every_view_has_its_people_and_nobody_is_in_two() -> None:
    for _, frames in islice(SITE.ticks(20.0), 0, None, 7):
        assert [frame.camera_id for frame in frames] == SITE.camera_ids
        assert {len(frame.track_ids) for frame in frames} == {4}
    spans = {visit.number: visit for visit in islice(SITE.visits(), 200)}.values()
    for person, count in Counter(visit.person for visit in spans).items():
        starts_s = sorted(visit.start_s for visit in spans if visit.person == person)
        assert len(starts_s) == count
        assert all(later - earlier >= 8.0 + 10.0 - 1e-9 for earlier, later in pairwise(starts_s))
    assert all(visit.returns == (visit.person <= 60 or visit.number > 12) for visit in list(spans)[:12])


def test_people_who_return_are_recognised_unless_the_memory_is_too_small() -> None:
    settings = linker_settings(features_per_identity=4)
    enough = measure_linking(SITE, settings, seconds=4.0)
    assert enough.returned > 10
    assert enough.recognised == enough.recognised_unlimited >= enough.returned - 1
    assert (enough.forgotten, enough.wrong) == (0, 0)
    few = measure_linking(SITE, settings.model_copy(update={"max_identities": 15}), seconds=4.0)
    assert few.returned == enough.returned
    assert few.recognised < few.recognised_unlimited == enough.recognised
    assert few.forgotten >= 45
    assert any(f"{few.forgotten} identities were forgotten" in line for line in few.lines())
    assert any("nobody was forgotten" in line for line in enough.lines())


@pytest.mark.parametrize(("at_once", "surplus"), [(20, 0), (1000, 0)])
def test_the_second_pass_finds_the_people_of_the_site(at_once: int, surplus: int) -> None:
    tracklets = SimulatedTracklets(SITE, 120)
    assert len({tracklet.key for tracklet in tracklets}) == 120
    figures = measure_second_pass(
        tracklets, second_pass_settings(max_tracklets_at_once=at_once), linker_settings()
    )
    assert figures.tracklets == 120
    assert figures.ids == figures.people < 120
    assert figures.scores == PairScores(1.0, 1.0)
    assert figures.surplus == surplus


def test_people_of_the_second_pass_are_forgotten_if_there_are_too_many() -> None:
    settings = second_pass_settings(max_tracklets_at_once=20)
    figures = measure_second_pass(SimulatedTracklets(SITE, 120), settings, linker_settings(max_identities=3))
    assert figures.surplus > 20
    assert figures.scores.recall < 0.9


def test_pair_scores() -> None:
    """Ids 1 1 1 2 2 for a a b b b: of four pairs with one id, aa and bb are right; four pairs are one person."""
    keys = [("c", number) for number in range(5)]
    links = {key: Link(global_id, 1.0) for key, global_id in zip(keys, (1, 1, 1, 2, 2), strict=True)}
    truth = dict(zip(keys, "aabbb", strict=True))
    scores = pair_scores(links, truth)
    assert (scores.precision, scores.recall, scores.f1) == (0.5, 0.5, 0.5)
