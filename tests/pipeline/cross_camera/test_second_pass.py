from __future__ import annotations

import tracemalloc
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from pipeline.core.datatypes import Link, Tracklet
from pipeline.cross_camera.settings import TransitWindow
from tests.helpers.factories import (
    at_distance,
    linker_settings,
    make_second_pass,
    make_tracklet,
    one_hot,
    second_pass_settings,
)

CAMERAS = ("a", "b", "c")
PERSON = one_hot(0)
Links = dict[tuple[str, int], Link]


def link(tracklets: Sequence[Tracklet], *, at_once: int = 1000, **linker: Any) -> Links:
    second_pass = make_second_pass(
        CAMERAS,
        second_pass_settings(max_cosine_distance=0.35, max_tracklets_at_once=at_once),
        linker_settings(**linker),
    )
    return second_pass.link(tracklets)


def crowd(others: int, **more: Any) -> list[Tracklet]:
    """Somebody in camera a, somebody who looks .3 apart in camera b later, and others in c, each unlike everybody."""
    dim = 2 + others
    two = [np.resize(vector, dim) * (np.arange(dim) < 2) for vector in (PERSON[0], at_distance(0.3))]
    rest = [
        make_tracklet("c", number, 20 + 2 * number, 21 + 2 * number, one_hot(2 + number, dim=dim), **more)
        for number in range(others)
    ]
    return [make_tracklet("a", 1, 0, 5, two[0]), make_tracklet("b", 1, 9, 12, two[1]), *rest]


def ids(links: Links) -> dict[tuple[str, int], int]:
    return {key: found.global_id for key, found in links.items()}


def groups(links: Links) -> list[list[tuple[str, int]]]:
    """The tracklets of each person, people in the order of their ids."""
    people = defaultdict(list)
    for key, found in sorted(links.items()):
        people[found.global_id].append(key)
    return [people[global_id] for global_id in sorted(people)]


def window(from_camera: str, to_camera: str, min_s: float, max_s: float) -> TransitWindow:
    return TransitWindow(from_camera=from_camera, to_camera=to_camera, min_s=min_s, max_s=max_s)


def path(start_s: float, end_s: float, x_m: float, y_m: float = 0.0) -> dict[str, ArrayLike]:
    """Floor positions of a person who stands at one place."""
    time_s = np.arange(start_s, end_s, 0.25)
    return {"floor_time_s": time_s, "floor_xy_m": [(x_m, y_m)] * len(time_s)}


# -- who is who ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "more", "same"),
    [
        pytest.param(0, {}, True, id="two alone"),
        pytest.param(8, {}, True, id="among ten"),
        pytest.param(98, {}, False, id="among a hundred"),
        pytest.param(98, {"class_id": 1}, True, id="beside many of another class, who cannot be meant"),
    ],
)
@pytest.mark.parametrize("at_once", [1000, 4])
def test_the_more_people_there_are_the_more_alike_two_tracks_must_look(
    others: int, more: dict[str, Any], same: bool, at_once: int
) -> None:
    """Among a hundred people the limit of .35 is smaller by the 36 % of `crowd_tightening`."""
    tracklets = crowd(others, **more)
    if (
        at_once == 4
    ):  # those who were there before have left the window by the time when the second of the two comes
        tracklets = [tracklets[0], *tracklets[2:], replace(tracklets[1], start_s=300.0, end_s=303.0)]
    found = ids(link(tracklets, at_once=at_once))
    assert (found["a", 1] == found["b", 1]) == same


@pytest.mark.parametrize(
    ("tracklets", "people"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([make_tracklet("a", 1)], [[("a", 1)]], id="one track without embeddings"),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 1, 9, 12, at_distance(0.3))],
            [[("a", 1), ("b", 1)]],
            id="alike in two cameras",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 1, 9, 12, at_distance(0.4))],
            [[("a", 1)], [("b", 1)]],
            id="not alike enough",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 1, 2, 8, PERSON)],
            [[("a", 1), ("b", 1)]],
            id="two cameras that overlap, at the same time",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("a", 2, 6, 9, PERSON)],
            [[("a", 1), ("a", 2)]],
            id="back in the same camera",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("a", 2, 4, 9, PERSON)],
            [[("a", 1)], [("a", 2)]],
            id="twice in one camera at a time",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("a", 2, 5, 9, PERSON)],
            [[("a", 1)], [("a", 2)]],
            id="twice in one frame only",
        ),
        pytest.param(
            [
                make_tracklet("a", 1, 0, 5, PERSON),
                make_tracklet("a", 2, 2, 8, PERSON),
                make_tracklet("b", 1, 20, 25, at_distance(0.01)),
            ],
            [[("a", 1), ("b", 1)], [("a", 2)]],
            id="a third track cannot join two that exclude each other; the first of the equal pairs wins",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5, PERSON), make_tracklet("b", 1, 9, 12, PERSON, class_id=1)],
            [[("a", 1)], [("b", 1)]],
            id="two classes",
        ),
        pytest.param(
            [make_tracklet("a", 1, 0, 5), make_tracklet("b", 1, 9, 12), make_tracklet("c", 1, 20, 22, PERSON)],
            [[("a", 1)], [("b", 1)], [("c", 1)]],
            id="tracks without embeddings stay alone",
        ),
        pytest.param(
            [
                make_tracklet("c", 9, 30, 35, one_hot(1)),
                make_tracklet("b", 5, 2, 8, one_hot(2)),
                make_tracklet("a", 7, 2, 50, one_hot(3)),
                make_tracklet("a", 2, 60, 65, one_hot(1)),
            ],
            [[("a", 7)], [("b", 5)], [("a", 2), ("c", 9)]],
            id="numbers in order of first appearance, then of the cameras",
        ),
    ],
)
def test_small_worlds(tracklets: list[Tracklet], people: list[list[tuple[str, int]]]) -> None:
    links = link(tracklets)
    assert groups(links) == people
    assert sorted(ids(links).values()) == sorted(n for n, keys in enumerate(people, 1) for _ in keys)
    assert all(found.final and 0 <= found.confidence <= 1 for found in links.values())


@pytest.mark.parametrize(
    ("starts_s", "people"),
    [
        pytest.param([0, 64], 1, id="back within a minute"),
        pytest.param([0, 66], 2, id="back after more than a minute"),
        pytest.param([0, 60, 120], 1, id="seen in between"),
    ],
)
@pytest.mark.parametrize("at_once", [2, 1000])
def test_who_was_unseen_for_identity_memory_s_comes_back_as_somebody_new(
    starts_s: list[float], people: int, at_once: int
) -> None:
    """As online: five seconds each time, in one camera after the other."""
    tracklets = [
        make_tracklet(CAMERAS[number], 1, start_s, start_s + 5, PERSON) for number, start_s in enumerate(starts_s)
    ]
    links = link(tracklets, at_once=at_once, identity_memory_s=60.0)
    assert len(groups(links)) == people
    # Somebody who came too late is no rival.
    assert all(found.confidence > 0.9 for found in links.values())


def test_earlier_stays_tell_people_apart_although_who_comes_back_is_somebody_new() -> None:
    """The person of the first stay comes back, followed by a stranger who is like the new track (.30) alone."""
    first, again, stranger = [1, 0, 0], [0.95, 0.3122, 0], [0.5, 0.7207, 0.4802]
    tracklets = [
        make_tracklet("a", 1, 0, 5, np.array(first)),
        make_tracklet("a", 2, 200, 205, np.array(again)),
        make_tracklet("b", 1, 206, 211, np.array(stranger)),
    ]
    assert groups(link(tracklets[1:])) == [[("a", 2), ("b", 1)]]
    assert groups(link(tracklets, identity_memory_s=60.0)) == [[("a", 1)], [("a", 2)], [("b", 1)]]


@pytest.mark.parametrize(
    ("gap_s", "windows", "together"),
    [
        pytest.param(1, [], True, id="no window"),
        pytest.param(10, [window("a", "b", 5, 20)], True, id="inside"),
        pytest.param(3, [window("a", "b", 5, 20)], False, id="too fast"),
        pytest.param(30, [window("a", "b", 5, 20)], False, id="too slow"),
        pytest.param(-3, [window("a", "b", 5, 20)], False, id="at the same time, but no overlap is allowed"),
        pytest.param(-3, [window("a", "b", -4, 20)], True, id="3 s of overlap where 4 are allowed"),
        pytest.param(-5, [window("a", "b", -4, 20)], False, id="5 s of overlap where 4 are allowed"),
        pytest.param(3, [window("a", "c", 5, 20)], True, id="a window of other cameras"),
    ],
)
def test_transit_windows(gap_s: float, windows: list[TransitWindow], together: bool) -> None:
    tracklets = [make_tracklet("a", 1, 0, 10, PERSON), make_tracklet("b", 1, 10 + gap_s, 30, PERSON)]
    assert (len(groups(link(tracklets, transit_windows=windows))) == 1) == together


def test_one_way_windows_leave_the_other_way_free() -> None:
    windows = [TransitWindow(from_camera="b", to_camera="a", min_s=5, max_s=9, one_way=True)]
    tracklets = [make_tracklet("a", 1, 0, 10, PERSON), make_tracklet("b", 1, 11, 30, PERSON)]
    assert len(groups(link(tracklets, transit_windows=windows))) == 1


def test_a_long_way_round_by_another_camera_is_possible() -> None:
    # From a to c takes at most 20 s, but b saw the person in between.
    tracklets = [
        make_tracklet("a", 1, 0, 10, PERSON),
        make_tracklet("b", 1, 20, 40, at_distance(0.1)),
        make_tracklet("c", 1, 60, 70, at_distance(0.12)),
    ]
    windows = [window("a", "c", 5, 20)]
    assert len(groups(link(tracklets, transit_windows=windows))) == 1
    assert len(groups(link([tracklets[0], tracklets[2]], transit_windows=windows))) == 2


@pytest.mark.parametrize(
    ("x_m", "distance", "together"),
    [
        pytest.param(0.0, 1.0, True, id="at one place, unlike"),
        pytest.param(1.0, 0.3, True, id="1 m apart, alike"),
        pytest.param(2.0, 0.0, False, id="2 m apart, as alike as can be"),
    ],
)
def test_people_seen_at_the_same_time_are_compared_on_the_floor(
    x_m: float, distance: float, together: bool
) -> None:
    tracklets = [
        make_tracklet("a", 1, 0, 10, PERSON, **path(0, 10, 0)),
        make_tracklet("b", 1, 5, 15, at_distance(distance), **path(5, 15, x_m)),
    ]
    settings = {"max_floor_distance_m": 1.5, "floor_weight": 0.7}
    assert (len(groups(link(tracklets, **settings))) == 1) == together
    # Two shared slots of 0.25 s prove nothing.
    tracklets[1] = make_tracklet("b", 1, 9.5, 15, at_distance(distance), **path(9.5, 15, x_m))
    assert (len(groups(link(tracklets, **settings))) == 1) == (distance <= 0.35)


@pytest.mark.parametrize(("distance_m", "together"), [(20.0, True), (23.0, False)])
def test_nobody_walks_faster_than_the_limit(distance_m: float, together: bool) -> None:
    # From 10 to 15 s at 4 m/s, and 1.5 m for inaccuracy: 21.5 m, and a slot more.
    tracklets = [
        make_tracklet("a", 1, 0, 10, PERSON, **path(0, 10, 0)),
        make_tracklet("b", 1, 15, 20, PERSON, **path(15, 20, distance_m)),
    ]
    assert (len(groups(link(tracklets, max_speed_m_s=4.0, max_floor_distance_m=1.5))) == 1) == together


@pytest.mark.parametrize("start_s", [9.75, 10.0, 10.25], ids=["before", "with", "after"])
@pytest.mark.parametrize(("distance_m", "together"), [(2.0, True), (20.0, False)])
def test_nobody_jumps_from_camera_to_camera_either(start_s: float, distance_m: float, together: bool) -> None:
    """The second track begins when the first one ends: too few shared slots to compare, and no time to walk."""
    tracklets = [
        make_tracklet("a", 1, 0, 10, PERSON, **path(0, 10.25, 0)),
        make_tracklet("b", 1, start_s, 20, PERSON, **path(start_s, 20, distance_m)),
    ]
    assert (len(groups(link(tracklets, max_speed_m_s=4.0, max_floor_distance_m=1.5))) == 1) == together


def test_confidence_falls_with_the_distance_and_with_rivals() -> None:
    def confidence(*distances: float) -> float:
        others = [make_tracklet("b", n, 10, 15, at_distance(d)) for n, d in enumerate(distances, 1)]
        return link([make_tracklet("a", 1, 0, 5, PERSON), *others])["a", 1].confidence

    near, far = confidence(0.05), confidence(0.3)
    assert 0.5 < far < near < 1
    # Somebody else in b at that time, who looks much like the one in a, too.
    assert 0.5 < confidence(0.05, 0.1) < confidence(0.05, 0.2) < near
    # Alone with nobody to be mixed up with; alone with somebody just beyond the limit.
    assert confidence() == 1.0
    assert 0.5 < confidence(0.36) < 0.6


# -- constraints in worlds of any kind -------------------------------------------------------------------------


@st.composite
def _worlds(draw: st.DrawFn) -> list[Tracklet]:
    count = draw(st.integers(1, 24))
    tracklets = []
    for number in range(1, count + 1):
        camera_id, who = draw(st.sampled_from(CAMERAS)), draw(st.integers(0, 3))
        start_s = draw(st.integers(0, 60))
        end_s = start_s + draw(st.integers(1, 20))
        has_crops, on_floor = draw(st.booleans()), draw(st.booleans())
        tracklets.append(
            make_tracklet(
                camera_id,
                number,
                start_s,
                end_s,
                one_hot(who) if has_crops else None,
                class_id=draw(st.integers(0, 1)),
                **(path(start_s, end_s, draw(st.integers(0, 4))) if on_floor else {}),
            )
        )
    return sorted(tracklets, key=lambda tracklet: tracklet.end_s)


@settings(max_examples=80, deadline=None)
@given(_worlds(), st.sampled_from([2, 3, 4, 8, 1000]))
def test_no_person_is_twice_in_a_camera_and_no_constraint_is_broken(
    tracklets: list[Tracklet], at_once: int
) -> None:
    windows = [window("a", "b", 5, 60)]
    links = link(tracklets, at_once=at_once, transit_windows=windows)
    assert set(links) == {tracklet.key for tracklet in tracklets}
    for one, other in combinations(sorted(tracklets, key=lambda tracklet: tracklet.start_s), 2):
        if links[one.key].global_id != links[other.key].global_id:
            continue
        assert one.class_id == other.class_id
        if one.camera_id == other.camera_id:
            assert other.start_s > one.end_s
        if {one.camera_id, other.camera_id} == {"a", "b"} and one.start_s != other.start_s:
            assert other.start_s - one.end_s >= 5
    numbers = set(ids(links).values())
    assert numbers == set(range(1, len(numbers) + 1))
    assert all(0 <= found.confidence <= 1 for found in links.values())
    first_s = [min(t.start_s for t in tracklets if links[t.key].global_id == n) for n in sorted(numbers)]
    assert first_s == sorted(first_s)


@settings(max_examples=40, deadline=None)
@given(_worlds(), st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_the_order_in_which_tracks_end(
    tracklets: list[Tracklet], random: Any
) -> None:
    shuffled = list(tracklets)
    random.shuffle(shuffled)
    assert link(shuffled) == link(tracklets)


# -- windows ---------------------------------------------------------------------------------------------------


def _walkers(people: int, visits: int) -> list[Tracklet]:
    """People who go from camera to camera, ten seconds in each, one a minute."""
    tracklets = [
        make_tracklet(
            CAMERAS[visit % 3],
            visits * who + visit + 1,
            60 * who + 12 * visit,
            60 * who + 12 * visit + 10,
            _appearance(who, visit),
        )
        for who in range(people)
        for visit in range(visits)
    ]
    return sorted(tracklets, key=lambda tracklet: tracklet.end_s)


def _appearance(who: int, visit: int) -> np.ndarray:
    own = np.random.default_rng(who).normal(size=64)
    varied = own / np.linalg.norm(own) + 0.03 * np.random.default_rng((who, visit)).normal(size=64)
    return (varied / np.linalg.norm(varied)).astype(np.float32)


@pytest.mark.parametrize("at_once", [4, 6, 1000])
def test_windows_find_the_people_that_one_window_finds(at_once: int) -> None:
    tracklets = _walkers(people=6, visits=4)
    found = link(tracklets, at_once=at_once)
    assert groups(found) == groups(link(tracklets))
    assert len(groups(found)) == 6
    assert all(found[key].confidence > 0.5 for key in found)


def test_what_is_common_to_a_camera_is_not_taken_for_likeness() -> None:
    """Forty people in each camera, shifted its own way: as they are, all of a camera are alike and nobody is known in
    the other; without the means everybody is."""
    rng = np.random.default_rng(3)
    people = rng.normal(size=(40, 64)) / 8
    shift = 1.2 * rng.normal(size=(2, 64)) / 8
    tracklets = []
    for camera in range(2):
        for number, person in enumerate(people):
            look, start_s = person + shift[camera], 400 * camera + 10 * number
            look /= np.linalg.norm(look)
            tracklets.append(make_tracklet(CAMERAS[camera], number, start_s, start_s + 5, look))

    def found(centred: float | None) -> list[list[tuple[str, int]]]:
        matching = second_pass_settings(max_cosine_distance=0.35, max_centred_cosine_distance=centred)
        return groups(make_second_pass(CAMERAS, matching).link(tracklets))

    assert sum([("a", n), ("b", n)] in found(None) for n in range(40)) < 10
    assert found(0.4) == [[("a", n), ("b", n)] for n in range(40)]


def test_tracklets_that_can_be_gone_through_only_once_are_refused() -> None:
    with pytest.raises(TypeError, match="twice"):
        make_second_pass(CAMERAS).link(iter([make_tracklet("a", 1)]))


def test_a_person_who_never_leaves_is_known_over_many_windows() -> None:
    tracklets = [
        make_tracklet(CAMERAS[visit % 3], visit + 1, 12 * visit, 12 * visit + 10, at_distance(0.1 * (visit % 2)))
        for visit in range(200)
    ]
    assert len(groups(link(tracklets, at_once=8))) == 1


@pytest.mark.parametrize(
    ("away_s", "known_again"), [pytest.param(550, True, id="remembered"), pytest.param(650, False, id="forgotten")]
)
@pytest.mark.parametrize("at_once", [8, 1000])
def test_who_comes_back_after_many_others_is_known_as_long_as_online(
    away_s: float, known_again: bool, at_once: int
) -> None:
    """Fifty others pass in between, many windows of eight."""
    others = [
        make_tracklet("b", number, 10 + 10 * number, 18 + 10 * number, _appearance(number, 0))
        for number in range(1, 51)
    ]
    first, again = (
        make_tracklet("a", 1, 0, 5, _appearance(99, 0)),
        make_tracklet("a", 2, 5 + away_s, 5 + away_s + 9, _appearance(99, 1)),
    )
    found = ids(link([first, *others, again], at_once=at_once, identity_memory_s=600))
    assert (found[first.key] == found[again.key]) == known_again
    assert len(set(found.values())) == (51 if known_again else 52)


@pytest.mark.parametrize(("away_s", "known_again"), [(590, True), (610, False)])
def test_an_absence_ends_when_a_tracklet_begins_not_when_it_ends(away_s: float, known_again: bool) -> None:
    """The tracklet of who comes back takes 50 s, in which others fill several windows."""
    others = [
        make_tracklet("b", number, 10 * number, 8 + 10 * number, _appearance(number, 0)) for number in range(1, 90)
    ]
    first = make_tracklet("a", 1, 0, 5, _appearance(99, 0))
    again = make_tracklet("a", 2, 5 + away_s, 5 + away_s + 50, _appearance(99, 1))
    ordered = sorted([first, *others, again], key=lambda tracklet: tracklet.end_s)
    found = ids(link(ordered, at_once=8, identity_memory_s=600))
    assert (found[first.key] == found[again.key]) == known_again


def test_embeddings_and_places_are_held_of_the_window_and_of_who_is_remembered() -> None:
    class Many:
        def __init__(self, count: int) -> None:
            self.count = count

        def __iter__(self) -> Iterator[Tracklet]:
            for number in range(self.count):
                vectors = np.random.default_rng(number).normal(size=(8, 256)).astype(np.float32)
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                yield make_tracklet(
                    "a", number, 12 * number, 12 * number + 10, vectors, **path(12 * number, 12 * number + 9, 0)
                )

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        matching = second_pass_settings(max_tracklets_at_once=40, max_centred_cosine_distance=0.4)
        second_pass = make_second_pass(CAMERAS, matching, linker_settings(identity_memory_s=600))
        assert len(second_pass.link(Many(count))) == count
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    # 8 kB of embeddings a tracklet: holding them would be 2.4 MB more; ids and times are some hundred bytes each.
    assert peak_bytes(400) - peak_bytes(100) < 300 * 1500


def test_floor_positions_of_a_joined_person_still_count_in_later_windows() -> None:
    tracklets = [
        make_tracklet(camera, number, start_s, start_s + 9, PERSON, **path(start_s, start_s + 9, 0))
        for number, start_s in enumerate(range(10, 60, 10), 1)
        for camera in ("a", "b")
        if camera == "a" or number < 5
    ]
    # One who looks the same, seen at the same time 3 m away.
    other = make_tracklet("c", 99, 52, 60, PERSON, **path(52, 60, 3))
    links = link([*tracklets, other], at_once=4)
    assert {links[tracklet.key].global_id for tracklet in tracklets} == {1}
    assert links[other.key].global_id == 2


@pytest.mark.parametrize(
    ("distance", "factor", "together"),
    [
        pytest.param(0.3, 1.0, True, id="within .35"),
        # The limit of a comparison is the mean of both sides: (.35 + .6 x .35) / 2 = .28.
        pytest.param(0.29, 0.6, False, id="above .28"),
        pytest.param(0.27, 0.6, True, id="within .28"),
        pytest.param(0.0, 0.0, False, id="switched off"),
    ],
)
def test_tracklets_of_partial_crops_are_held_to_a_lower_limit(
    distance: float, factor: float, together: bool
) -> None:
    whole = make_tracklet("a", 1, 0, 5, PERSON[0])
    part = replace(make_tracklet("b", 1, 9, 12, at_distance(distance)), partial=True)
    assert (len(groups(link([whole, part], partial_crops_factor=factor))) == 1) is together


def test_an_unlinked_track_of_partial_crops_is_a_fragment() -> None:
    whole = make_tracklet("a", 1, 0, 5, PERSON[0])
    part = replace(make_tracklet("b", 1, 9, 12, at_distance(0.9)), partial=True)
    links = link([whole, part], partial_crops_factor=0.8)
    assert (links["b", 1].global_id, links["b", 1].confidence) == (2, 0.0)
