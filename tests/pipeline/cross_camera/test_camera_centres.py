"""The mean look of each camera, and what is left of embeddings without it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.vectors import camera_means, unit
from pipeline.cross_camera.camera_centres import CameraCentres
from tests.helpers.factories import make_tracklet, one_hot

A, B, C = one_hot(0, 1, 2)


def learned(*tracks: list[NDArray[np.float32]], camera: int = 0) -> CameraCentres:
    centres = CameraCentres(2)
    for track in tracks:
        for number in range(len(track)):
            previous = None if number == 0 else np.mean(track[:number], axis=0)
            centres.learn(camera, np.mean(track[: number + 1], axis=0), previous)
    centres.refresh()
    return centres


@pytest.mark.parametrize(
    ("tracks", "weight"),
    [pytest.param(0, 0.0, id="none"), pytest.param(10, 0.5, id="10 / (10 + 10)"), pytest.param(30, 0.75, id="30")],
)
def test_a_camera_counts_by_the_tracks_it_has_shown(tracks: int, weight: float) -> None:
    centres = learned(*[[A, A, A]] * tracks)
    assert centres.weight(0) == pytest.approx(weight)
    assert centres.weight(1) == 0


def test_the_weighted_mean_is_subtracted() -> None:
    """Ten tracks of mean (.5, .5, 0), of which half is taken: A becomes (.75, -.25, 0) over its length .7906."""
    centres = learned(*[[A, B]] * 10)
    assert centres.centred(A, 0)[:3] == pytest.approx([0.9487, -0.3162, 0], abs=1e-4)
    assert centres.centred(A, 1) == pytest.approx(A)
    both = centres.centred(np.stack([A, A]), np.array([1, 0]))
    assert both == pytest.approx(np.stack([A, centres.centred(A, 0)]))


def test_every_track_counts_the_same() -> None:
    """A track of nine embeddings and one of a single embedding have equal shares."""
    assert learned([A] * 9, [B]).state().mean[0, :3] == pytest.approx([0.5, 0.5, 0])


def test_the_running_mean_is_that_of_the_other_commands() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(40, 8)).astype(np.float32))
    track = np.sort(rng.integers(0, 9, 40))
    centres = learned(*[list(vectors[track == number]) for number in np.unique(track)])
    of_tracks = np.stack([vectors[track == number].mean(axis=0) for number in np.unique(track)])
    expected = camera_means(of_tracks, np.zeros(len(of_tracks), np.int64), 1)
    assert centres.state().mean[:1] == pytest.approx(expected, abs=1e-6)


def test_a_camera_that_has_shown_nobody_borrows_from_the_others() -> None:
    """Ten tracks of mean (.5, .5, 0): all cameras together count half, the camera that showed them .5 + .5 x .5."""
    centres = CameraCentres(2, borrow=True)
    for _ in range(10):
        centres.learn(0, A)
        centres.learn(0, (A + B) / 2, A)
    centres.refresh()
    assert [centres.weight(0), centres.weight(1)] == pytest.approx([0.75, 0.5])
    assert centres.centred(A, 1)[:3] == pytest.approx([0.9487, -0.3162, 0], abs=1e-4)
    # A becomes (.625, -.375, 0) over its length .7289.
    assert centres.centred(A, 0)[:3] == pytest.approx([0.8575, -0.5145, 0], abs=1e-4)


def test_what_a_camera_does_to_everybody_is_taken_away() -> None:
    """Two cameras shift everybody their own way; without that, people are alike in both."""
    rng = np.random.default_rng(0)

    people = [unit(rng.normal(size=32)) for _ in range(200)]
    shift = [2 * unit(rng.normal(size=32)) for _ in range(2)]
    seen = [[unit(person + shift[camera]) for person in people] for camera in range(2)]
    centres = CameraCentres(2)
    for camera in range(2):
        for embedding in seen[camera]:
            centres.learn(camera, embedding)
    centres.refresh()
    raw = np.stack(seen[0]) @ np.stack(seen[1]).T
    centred = centres.centred(np.stack(seen[0]), 0) @ centres.centred(np.stack(seen[1]), 1).T
    assert np.diag(raw).max() < 0.6
    assert np.diag(centred).min() > 0.8
    assert (centred.argmax(axis=1) == np.arange(200)).all()


def test_centres_in_use_change_only_when_it_matters() -> None:
    centres = learned(*[[A]] * 100)
    assert not centres.refresh()
    centres.learn(0, A)
    assert not centres.refresh()  # 101 / 111 instead of 100 / 110 of the same mean
    for _ in range(10):
        centres.learn(0, B)
    assert centres.refresh()


def test_the_newest_tracks_count_most_in_the_long_run() -> None:
    centres = learned(*[[A]] * 1000, *[[B]] * 2000)
    mean = centres.state().mean[0]
    assert mean[0] == pytest.approx((1 - 1 / 500) ** 2000, abs=2e-3)
    assert mean[1] == pytest.approx(1 - mean[0])
    assert centres.state().tracks[0] == pytest.approx(500, abs=1)


def test_nothing_is_learned_or_subtracted_when_switched_off() -> None:
    centres = CameraCentres(1, enabled=False)
    centres.learn(0, A)
    assert not centres.refresh()
    assert centres.centred(A, 0) is A


def test_a_restart_goes_on_with_the_cameras_wherever_they_are() -> None:
    before = learned(*[[A, B]] * 10, camera=1)
    after = CameraCentres(2)
    after.add_camera()
    after.restore(before.state(), [2, 0])
    assert after.centred(A, 0) == pytest.approx(before.centred(A, 1))
    assert after.centred(A, 2) == pytest.approx(A)
    assert [after.weight(camera) for camera in range(3)] == [0.5, 0, 0]


def test_of_tracklets() -> None:
    tracklets = [make_tracklet("b", number, 0, 1, np.stack([A, B])) for number in range(10)]
    centres = CameraCentres.of(tracklets, {"a": 0, "b": 1})
    assert centres.weight(0) == 0
    assert centres.centred(A, 1) == pytest.approx(learned(*[[A, B]] * 10).centred(A, 0))
    assert centres.centred(np.zeros((0, 0), np.float32), 1).shape == (0, 0)
