"""What holds for every search: a track's own mean is found first, and blocks do not change the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.config import load_config
from pipeline.core.datatypes import FloatArray
from pipeline.core.vectors import unit
from pipeline.cross_camera.camera_centres import CameraCentres
from pipeline.cross_camera.match_limits import LinkLimits
from pipeline.search import recorded_run
from pipeline.search.find import find
from pipeline.search.meaning import PERHAPS_BEYOND, Bands, Meaning, false_match_rate
from pipeline.search.query import Query, QueryView
from pipeline.search.ranking import TrackFilter, rank
from pipeline.search.searched_run import Block, CameraMeans, Comparing, Visit, centred_means, summed
from tests.helpers.factories import make_tracklet
from tests.helpers.searched_runs import write_run

LIMITS = LinkLimits(0.4, 0.6, 0.36)
CAMERAS = ("a", "b")


class InMemory:
    """A run of N tracks with embeddings (K, D), in blocks of some size."""

    def __init__(self, camera: np.ndarray, counts: np.ndarray, embeddings: FloatArray, block: int) -> None:
        self.name, self.folder, self.notes = "memory", Path("memory"), list[str]()
        self.epoch_utc: datetime | None = None
        self._camera, self._embeddings, self._block = camera, embeddings, block
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        means = CameraMeans(len(CAMERAS), enabled=True)
        means.learn(camera, embeddings, self._first)
        self.comparing = Comparing(CAMERAS, "fake", load_config(), LIMITS, None, means.ready())

    def embeddings_of(self, row: int) -> FloatArray:
        return self._embeddings[self._first[row] : self._first[row + 1]]

    def blocks(self) -> Iterator[Block]:
        total = len(self._camera)
        for begin in range(0, total, self._block):
            rows = np.arange(begin, min(begin + self._block, total))
            first = self._first[begin : rows[-1] + 2]
            embeddings = self._embeddings[first[0] : first[-1]]
            camera = self._camera[rows]
            means = centred_means(self.comparing.centres, camera, embeddings, first - first[0])
            times = rows.astype(np.float64)
            yield Block(camera, rows + 1, rows + 1, times, times, np.diff(first), means)

    def is_final(self, camera_id: str, track_id: int) -> bool:
        return True

    def visits(self, people: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Visit]:
        return {}

    def camera_sources(self) -> dict[str, str]:
        return {}


worlds = st.tuples(st.integers(2, 25), st.integers(3, 16), st.integers(0, 2**32 - 1))


def world(tracks: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray, FloatArray]:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, tracks)
    counts[0] = max(counts[0], 2)
    embeddings = unit(rng.standard_normal((int(counts.sum()), dim)).astype(np.float32))
    return rng.integers(0, len(CAMERAS), tracks).astype(np.int64), counts, embeddings


@settings(deadline=None, max_examples=40)
@given(worlds)
def test_a_tracks_own_embeddings_find_it_first(chosen: tuple[int, int, int]) -> None:
    camera, counts, embeddings = world(*chosen)
    run = InMemory(camera, counts, embeddings, 7)
    for row in np.flatnonzero(counts).tolist():
        query = Query([QueryView(CAMERAS[camera[row]], run.embeddings_of(row))], "track")
        ranking = rank(query, [run], TrackFilter())
        assert ranking.distance[0] == pytest.approx(0, abs=1e-5)
        assert ranking.distance[ranking.track_id == row + 1][0] == pytest.approx(0, abs=1e-5)
        assert (np.diff(ranking.cost) >= 0).all()
        assert len(ranking) == (counts > 0).sum()


@settings(deadline=None, max_examples=40)
@given(worlds, st.integers(1, 30))
def test_blocks_do_not_change_the_result(chosen: tuple[int, int, int], block: int) -> None:
    camera, counts, embeddings = world(*chosen)
    whole, parts = (InMemory(camera, counts, embeddings, size) for size in (1000, block))
    query = Query([QueryView("", whole.embeddings_of(0))], "picture")
    one, other = (rank(query, [run], TrackFilter()) for run in (whole, parts))
    by_track = [np.argsort(ranking.track_id) for ranking in (one, other)]
    np.testing.assert_array_equal(one.track_id[by_track[0]], other.track_id[by_track[1]])
    # The last bits of a sum depend on its order.
    np.testing.assert_allclose(one.cost[by_track[0]], other.cost[by_track[1]], atol=1e-5)
    assert (one.people, one.left_out, one.bands) == (other.people, other.left_out, other.bands)


def test_means_are_those_of_the_second_pass() -> None:
    camera, counts, embeddings = world(6, 8, 1)
    run = InMemory(camera, counts, embeddings, 100)
    (block,) = run.blocks()
    for row in range(6):
        expected = run.comparing.centred_mean(run.embeddings_of(row), CAMERAS[camera[row]])
        np.testing.assert_allclose(block.means[row], expected if len(expected) else 0, atol=1e-6)


def test_sums_of_tracks_without_embeddings_are_zero() -> None:
    values = np.array([[1, 0], [0, 1], [0, 2]], np.float32)
    np.testing.assert_array_equal(
        summed(values, np.array([0, 1, 1, 3])), np.array([[1, 0], [0, 0], [0, 3]], np.float32)
    )
    assert summed(np.zeros((0, 0), np.float32), np.array([0, 0])).shape == (1, 0)


def test_large_files_give_the_same_result_in_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    tracklets = [
        make_tracklet("a", n, n, n + 1, unit(rng.standard_normal((1 + n % 4, 16)).astype(np.float32)))
        for n in range(1, 200)
    ]
    run = write_run(tmp_path / "run", tracklets, {t.key: t.track_id for t in tracklets})
    results = []
    for size in (1, 64, 100_000):
        monkeypatch.setattr(recorded_run, "_BLOCK", size)
        results.append([(m.track_id, round(m.cost, 4)) for m in find(run, track="a:3", top=50).matches])
    assert results[0] == results[1] == results[2]
    assert len(results[0]) == 50


@pytest.mark.parametrize(
    ("people", "cost", "meaning"),
    [
        (5, 1.0, Meaning.SAME),
        (5, 1.01, Meaning.PERHAPS),
        (10, 1.2, Meaning.PERHAPS),
        (10, 1.21, Meaning.NO),
        (100, 0.64, Meaning.SAME),  # ten times as many people: a limit lower by .36
        (100, 0.65, Meaning.PERHAPS),
        (100, 0.85, Meaning.NO),
        (10**6, 0.25, Meaning.SAME),  # at least a quarter
        (10**6, 0.26, Meaning.PERHAPS),
    ],
)
def test_words_depend_on_the_number_of_people(people: int, cost: float, meaning: Meaning) -> None:
    bands = Bands.of(LIMITS, 0.003, people)
    assert bands.meaning(cost) is meaning
    assert bands.meaning(cost / 0.85, 0.85) is (meaning if meaning is not Meaning.SAME else Meaning.PERHAPS)
    assert bands.perhaps_cost == pytest.approx(bands.same_cost + PERHAPS_BEYOND)


def test_the_false_matches_of_a_search_stay_the_same_among_more_people() -> None:
    rates = {people: Bands.of(LIMITS, 0.003, people).same_rate for people in (5, 10, 100, 1000)}
    assert rates == {5: 0.003, 10: 0.003, 100: pytest.approx(0.0003), 1000: pytest.approx(0.00003)}
    assert "0.3 %" in Bands.of(LIMITS, 0.003, 10).sentence()
    assert "1.8 %" in Bands.of(LIMITS, 0.003, 10).sentence()
    assert "was not measured" in Bands.of(LIMITS, None, 10).sentence()


def test_a_rate_is_stated_only_for_the_limits_that_it_was_measured_for() -> None:
    from pipeline.config.calibration import Calibration
    from pipeline.cross_camera.match_threshold import MatchThreshold

    def threshold(limit: float, rate: float) -> MatchThreshold:
        return MatchThreshold(limit, rate, 0.1, 0.05, 100, 1000)

    crop, track, centred = threshold(0.3, 0.001), threshold(0.4, 0.001), threshold(0.6, 0.003)
    calibration = Calibration(crop, track, "here", crop, centred)
    assert false_match_rate(LIMITS, calibration, 0.0) == pytest.approx(0.001)
    assert false_match_rate(LIMITS, calibration, 0.5) == pytest.approx(0.002)
    assert false_match_rate(LIMITS, None, 0.5) is None
    assert false_match_rate(LinkLimits(0.41, 0.6, 0.36), calibration, 0.5) is None
    assert false_match_rate(LinkLimits(0.4, None, 0.36), calibration, 0.0) == 0.001
    only = Calibration(crop, track, "here")
    assert false_match_rate(LinkLimits(0.4, None, 0.36), only, 0.0) == 0.001


def test_any_camera_borrows_the_mean_of_all() -> None:
    centres = CameraCentres(3, borrow=True)
    for camera, vector in ((0, [1, 0, 0, 0]), (1, [0, 1, 0, 0])):
        for _ in range(5):
            centres.learn(camera, np.array(vector, np.float32))
    centres.refresh()
    comparing = Comparing(CAMERAS, "fake", load_config(), LIMITS, None, centres)
    assert comparing.camera_row("elsewhere") == 2
    # Half of the mean of all ten tracks, (.5, .5, 0, 0), is subtracted.
    expected = unit(np.array([-0.25, -0.25, 1, 0], np.float32))
    np.testing.assert_allclose(
        comparing.centred_mean(np.array([[0, 0, 1, 0]], np.float32), ""), expected, atol=1e-6
    )
