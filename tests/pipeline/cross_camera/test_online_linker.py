from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from pipeline.cross_camera.online_linker import ObservedTracks
from pipeline.cross_camera.settings import LinkerSettings, TransitWindow
from pipeline.cross_camera.track_record import TrackRecord
from pipeline.single_camera.tracker import TrackedFrame
from tests.helpers.factories import at_distance, linker_settings, make_detections, make_linker, one_hot

CAMERAS = ("a", "b", "c")
PERSON = one_hot(0)[0]


class Scene:
    """Feeds a linker with tracks by hand, at 10 frames per second; every crop is good.

    The same vector twice would count as one crop, so those of a track are varied in a dimension that nobody uses.
    """

    def __init__(self, **settings: Any) -> None:
        # Two crops in two frames decide, unless a test is about waiting.
        self.linker = make_linker(CAMERAS, scene_settings(**{"feature_max_similarity": 0.9999, **settings}))
        self._index = 0

    def observe(
        self,
        camera_id: str,
        time_s: float,
        tracks: dict[int, ArrayLike | None],
        *,
        ended: Sequence[int] = (),
        floor: dict[int, tuple[float, float]] | None = None,
        class_id: int = 0,
        partial: bool = False,
        still: Sequence[int] = (),
    ) -> ObservedTracks:
        """One frame: track id -> its embedding, or None.

        Args:
            partial: whether all crops are partial ones.
            still: tracks that have never moved.
        """
        ids = sorted(tracks)
        embeddings = [PERSON if tracks[i] is None else self._varied(np.array(tracks[i])) for i in ids]
        tracked = TrackedFrame(
            camera_id=camera_id,
            frame_index=round(time_s * 10),
            time_s=time_s,
            track_ids=np.array(ids, np.int64),
            detections=make_detections(
                [(100 * i, 0, 100 * i + 40, 100) for i in ids],
                class_id=class_id,
                embeddings=embeddings or None,
                embedded=[tracks[i] is not None for i in ids] if ids else None,
            ),
            good_crop=np.full(len(ids), not partial),
            partial_crop=np.full(len(ids), partial),
            still=np.array([i in still for i in ids], np.bool_),
            weak=np.zeros(len(ids), np.bool_),
            earlier={},
            ended=tuple(ended),
        )
        floor_xy_m = None if floor is None else np.array([floor[i] for i in ids], np.float64).reshape(-1, 2)
        return self.linker.observe([(tracked, floor_xy_m)])[camera_id]

    def track(
        self, camera_id: str, track_id: int, start_s: float, end_s: float, embedding: ArrayLike | None, **more: Any
    ) -> TrackRecord:
        """A track seen in every frame from `start_s` to `end_s`, which then ends."""
        for time_s in np.arange(start_s, end_s + 0.01, 0.1):
            (record,) = self.observe(camera_id, float(time_s), {track_id: embedding}, **more).seen
        self.observe(camera_id, end_s + 0.1, {}, ended=[track_id])
        return record

    def id_of(self, record: TrackRecord) -> int:
        return self.linker.link_of(record).global_id

    def _varied(self, embedding: NDArray[Any]) -> NDArray[Any]:
        self._index += 1
        varied = embedding.astype(np.float64)
        varied[-1] += 0.02 * (self._index % 5)
        return varied


def scene_settings(**changes: Any) -> LinkerSettings:
    two_crops = {"linkable_crops": 2, "few_crops_factor": 0.0, "partial_crops_factor": 0.0}
    return linker_settings(
        **{"max_cosine_distance": 0.35, "margin": 0.05, "max_wait_s": 3.0, **two_crops, **changes}
    )


def window(from_camera: str, to_camera: str, min_s: float, max_s: float, one_way: bool = False) -> TransitWindow:
    return TransitWindow(from_camera=from_camera, to_camera=to_camera, min_s=min_s, max_s=max_s, one_way=one_way)


# -- appearance ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "same"), [(0.0, True), (0.3, True), (0.4, False), (1.0, False)], ids=lambda value: str(value)
)
def test_tracks_of_two_cameras_are_one_person_if_they_look_alike(distance: float, same: bool) -> None:
    scene = Scene()
    first = scene.track("a", 1, 0, 2, PERSON)
    second = scene.track("b", 1, 5, 7, at_distance(distance))
    assert scene.id_of(first) == 1
    assert scene.id_of(second) == (1 if same else 2)
    assert scene.linker.people == (1 if same else 2)


@pytest.mark.parametrize(
    ("others", "class_id", "same"),
    [
        pytest.param(0, 0, True, id="one"),
        pytest.param(9, 0, True, id="ten"),
        pytest.param(99, 0, False, id="a hundred"),
        pytest.param(99, 1, True, id="of another class, who cannot be meant"),
    ],
)
def test_the_more_people_are_known_the_more_alike_somebody_must_look(
    others: int, class_id: int, same: bool
) -> None:
    """Among a hundred people the limit of .35 is smaller by the 36 % of `crowd_tightening`."""
    scene = Scene()
    first = scene.track("a", 1, 0, 1, at_distance(0.0, dim=128))
    for number in range(others):
        scene.track("c", number, 2 + number, 2.5 + number, one_hot(2 + number, dim=128)[0], class_id=class_id)
    second = scene.track("b", 1, 200, 201, at_distance(0.3, dim=128))
    assert (scene.id_of(second) == scene.id_of(first)) == same


def test_people_who_are_seen_elsewhere_are_not_among_those_to_choose_from() -> None:
    """A hundred others stand 70 m away in camera c, in view at the same time as the track that is to be linked."""
    scene = Scene(max_wait_s=1.0)
    first = scene.track("a", 1, 0, 1, at_distance(0.0, dim=128), floor={1: (0.0, 0.0)})
    looks = {number: one_hot(2 + number, dim=128)[0] for number in range(100)}
    places = {number: (70.0, 3.0 * number) for number in looks}
    for time_s in np.arange(100, 102.01, 0.1):
        scene.observe("c", time_s, looks, floor=places)
        (second,) = scene.observe("b", time_s, {1: at_distance(0.3, dim=128)}, floor={1: (0.0, 0.0)}).seen
    assert scene.id_of(second) == scene.id_of(first)


def test_people_are_known_again_in_a_camera_that_was_just_added() -> None:
    """All people look alike but for a part of their own; the mean of those seen so far leaves that part."""
    rng = np.random.default_rng(0)
    people = [4 * one_hot(0, dim=64)[0] + rng.normal(size=64) / 4 for _ in range(60)]
    scene = Scene(max_cosine_distance=0.01, max_centred_cosine_distance=0.4)
    records = [
        scene.track("a", number, 3.0 * number, 3.0 * number + 1, person / np.linalg.norm(person))
        for number, person in enumerate(people, start=1)
    ]
    assert len({scene.id_of(record) for record in records}) > 50
    scene.linker.set_cameras([*CAMERAS, "new"], [])
    again = people[40] + rng.normal(size=64) / 12
    record = scene.track("new", 1, 200, 201, again / np.linalg.norm(again))
    assert scene.id_of(record) == scene.id_of(records[40])


def test_two_linkers_count_from_1_each() -> None:
    assert [scene.id_of(scene.track("a", 1, 0, 1, PERSON)) for scene in (Scene(), Scene())] == [1, 1]


def test_overlapping_cameras_show_one_person_at_the_same_time() -> None:
    scene = Scene()
    for time_s in np.arange(0, 2, 0.1):
        (first,) = scene.observe("a", time_s, {1: PERSON}).seen
        (second,) = scene.observe("b", time_s, {1: PERSON}).seen
    assert scene.id_of(first) == scene.id_of(second) == 1


def test_a_class_is_never_linked_to_another() -> None:
    scene = Scene()
    person = scene.track("a", 1, 0, 2, PERSON)
    bag = scene.track("b", 1, 5, 7, PERSON, class_id=1)
    assert (scene.id_of(person), scene.id_of(bag)) == (1, 2)


def test_two_people_who_enter_together_get_the_best_assignment() -> None:
    scene = Scene(margin=0.0)
    scene.track("a", 1, 0, 2, one_hot(0)[0])
    scene.track("a", 2, 3, 5, one_hot(1)[0])
    # Both look most like person 1, but the second one much more.
    one, two = 0.8 * one_hot(0)[0] + 0.55 * one_hot(1)[0], one_hot(0)[0]
    for time_s in (8.0, 8.1, 8.2, 8.3):
        seen = scene.observe("b", time_s, {1: one, 2: two}).seen
    assert scene.id_of(seen[1]) == 1
    assert scene.id_of(seen[0]) != 1


def test_a_bad_crop_is_no_description() -> None:
    scene = Scene()
    scene.track("a", 1, 0, 2, PERSON)
    record = scene.track("b", 1, 5, 6, None)
    assert len(record.bank) == 0
    # It ended undecided, so it is somebody new, with no confidence and nothing that others could be compared with.
    assert scene.linker.link_of(record).confidence == 0
    assert scene.linker.people == 2
    assert scene.linker.known_identities == 1


# -- one identity once per camera at a time --------------------------------------------------------------------


def test_an_identity_in_the_view_is_not_given_to_another_track_of_that_camera() -> None:
    scene = Scene()
    for time_s in np.arange(0, 5, 0.1):
        seen = scene.observe("a", time_s, {1: PERSON, **({2: PERSON} if time_s > 1 else {})}).seen
    assert [scene.id_of(record) for record in seen] == [1, 2]


@pytest.mark.parametrize("max_wait_s", [0.3, 3.0], ids=["out of patience", "patient"])
def test_an_identity_whose_track_is_lost_is_kept_for_it_until_that_ends(max_wait_s: float) -> None:
    scene = Scene(max_wait_s=max_wait_s)
    for time_s in np.arange(0, 1, 0.1):
        (lost,) = scene.observe("a", time_s, {1: PERSON}).seen
    # Track 1 is lost from 1 s on; track 2 looks the same. Track 1 comes back at 2 s.
    for time_s in np.arange(1.2, 2, 0.1):
        (other,) = scene.observe("a", time_s, {2: PERSON}).seen
        assert scene.id_of(other) != scene.id_of(lost)
    for time_s in np.arange(2, 6, 0.1):
        seen = scene.observe("a", time_s, {1: PERSON, 2: PERSON}).seen
        assert len({scene.id_of(record) for record in seen}) == 2


def test_a_track_that_was_in_view_beside_another_is_not_that_person() -> None:
    scene = Scene()
    for time_s in np.arange(0, 2, 0.1):
        seen = scene.observe("a", time_s, {1: PERSON, **({2: None} if time_s > 1 else {})}).seen
    # Track 1 has ended when track 2 shows itself for the first time.
    scene.observe("a", 2.0, {2: None}, ended=[1])
    for time_s in np.arange(2.1, 6, 0.1):
        (second,) = scene.observe("a", time_s, {2: PERSON}).seen
    assert scene.id_of(seen[0]) == 1
    assert scene.id_of(second) != 1


def test_a_track_that_follows_a_lost_one_waits_for_its_end_and_takes_the_identity() -> None:
    scene = Scene()
    for time_s in np.arange(0, 1, 0.1):
        (lost,) = scene.observe("a", time_s, {1: PERSON}).seen
    for time_s in np.arange(1.2, 4, 0.1):
        ended = [1] if 2.95 < time_s < 3.05 else []
        (other,) = scene.observe("a", time_s, {2: PERSON}, ended=ended).seen
        assert (other.link is None) == (time_s < 3.05)
    assert scene.id_of(other) == scene.id_of(lost) == 1
    assert scene.linker.people == 1


def test_a_person_who_leaves_and_comes_back_to_a_camera_keeps_the_id() -> None:
    scene = Scene()
    records = [scene.track("a", number, 10 * number, 10 * number + 2, PERSON) for number in (1, 2, 3)]
    assert [scene.id_of(record) for record in records] == [1, 1, 1]


# -- transit times ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("windows", "gap_s", "same"),
    [
        pytest.param([], 1, True, id="no window"),
        pytest.param([window("a", "b", 5, 20)], 10, True, id="inside"),
        pytest.param([window("a", "b", 5, 20)], 3, False, id="too fast"),
        pytest.param([window("a", "b", 5, 20)], 30, False, id="too slow"),
        pytest.param([window("b", "a", 5, 20)], 3, False, id="too fast, the window holds both ways"),
        pytest.param([window("b", "a", 5, 20, one_way=True)], 3, True, id="one way, the other one"),
        pytest.param([window("a", "c", 5, 20)], 3, True, id="a window of other cameras"),
    ],
)
def test_transit_windows(windows: list[TransitWindow], gap_s: float, same: bool) -> None:
    scene = Scene(transit_windows=windows)
    first = scene.track("a", 1, 0, 2, PERSON)
    second = scene.track("b", 1, 2 + gap_s, 4 + gap_s, PERSON)
    assert (scene.id_of(first) == scene.id_of(second)) == same


@pytest.mark.parametrize(("min_s", "same"), [(-30, True), (0, False)])
def test_a_negative_minimum_is_for_cameras_that_overlap(min_s: float, same: bool) -> None:
    scene = Scene(transit_windows=[window("a", "b", min_s, 60)])
    for time_s in np.arange(0, 6, 0.1):
        (first,) = scene.observe("a", time_s, {1: PERSON}).seen
        if time_s > 1:
            (second,) = scene.observe("b", time_s, {1: PERSON}).seen
    assert (scene.id_of(first) == scene.id_of(second)) == same


def test_the_shortest_time_holds_from_every_camera_that_saw_a_person() -> None:
    scene = Scene(transit_windows=[window("a", "c", 5, 60)])
    first = scene.track("a", 1, 0, 2, PERSON)
    assert scene.id_of(scene.track("b", 1, 1.0, 2.2, PERSON)) == scene.id_of(first)
    # Last seen in b, from where everything is allowed; but a was left only 1 s ago.
    assert scene.id_of(scene.track("c", 1, 3.0, 5.0, PERSON)) != scene.id_of(first)


# -- the floor -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apart_m", "distance", "same"),
    [
        pytest.param(0.0, 1.0, True, id="at one place, unlike: 0.3 x 1 / 0.35 is below 1"),
        pytest.param(0.0, 1.5, False, id="at one place, but as unlike as can be: 0.3 x 1.5 / 0.35"),
        pytest.param(2.0, 0.0, False, id="2 m apart, alike"),
        pytest.param(1.0, 0.1, True, id="1 m apart, alike"),
    ],
)
def test_people_seen_at_the_same_time_are_compared_on_the_floor(
    apart_m: float, distance: float, same: bool
) -> None:
    scene = Scene(max_floor_distance_m=1.5, floor_weight=0.7)
    for time_s in np.arange(0, 4, 0.1):
        (first,) = scene.observe("a", time_s, {1: PERSON}, floor={1: (time_s, 0.0)}).seen
        floor = {1: (time_s, apart_m)}
        (second,) = scene.observe("b", time_s, {1: at_distance(distance)}, floor=floor).seen
    assert (scene.id_of(first) == scene.id_of(second)) == same


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_looks_do_not_decide_before_places_can_be_compared(order: str) -> None:
    scene = Scene()
    records = {}
    for time_s in np.arange(0, 4, 0.1):
        for camera_id in order:
            # The one in b enters 2 s later; both look the same and stand 5 m apart.
            if camera_id == "a" or time_s > 2:
                floor = {1: (0.0, 0.0 if camera_id == "a" else 5.0)}
                (records[camera_id],) = scene.observe(camera_id, time_s, {1: PERSON}, floor=floor).seen
    assert scene.id_of(records["a"]) != scene.id_of(records["b"])


def test_floor_positions_alone_link_tracks_without_crops() -> None:
    scene = Scene()
    for time_s in np.arange(0, 4, 0.1):
        (first,) = scene.observe("a", time_s, {1: None}, floor={1: (time_s, 0.0)}).seen
        (second,) = scene.observe("b", time_s, {1: None}, floor={1: (time_s, 0.5)}).seen
        (third,) = scene.observe("c", time_s, {1: None}, floor={1: (time_s, 5.0)}).seen
    assert scene.id_of(first) == scene.id_of(second) != scene.id_of(third)


@pytest.mark.parametrize(("distance_m", "same"), [(9.0, True), (11.0, False)])
def test_nobody_walks_faster_than_the_limit(distance_m: float, same: bool) -> None:
    # From 2.0 to 4.0 s at 4 m/s, and 1.5 m for inaccuracy: 9.5 m. Slots of 0.25 s make that a little vague.
    scene = Scene(max_speed_m_s=4.0, max_floor_distance_m=1.5)
    first = scene.track("a", 1, 0, 2, PERSON, floor={1: (0.0, 0.0)})
    second = scene.track("b", 1, 4, 6, PERSON, floor={1: (distance_m, 0.0)})
    assert (scene.id_of(first) == scene.id_of(second)) == same


@pytest.mark.parametrize("start_s", [1.8, 2.0, 2.1], ids=["before", "with", "after"])
@pytest.mark.parametrize(("distance_m", "same"), [(2.0, True), (20.0, False)])
def test_nobody_jumps_from_camera_to_camera_either(start_s: float, distance_m: float, same: bool) -> None:
    """The second track begins when the first one ends: too few shared slots to compare, and no time to walk."""
    scene = Scene(max_speed_m_s=4.0, max_floor_distance_m=1.5)
    seen = {}
    for number in range(41):
        time_s = number / 10
        for camera_id, begin_s, end_s, x_m in (("a", 0.0, 2.0, 0.0), ("b", start_s, 4.0, distance_m)):
            if begin_s <= time_s <= end_s:
                (seen[camera_id],) = scene.observe(camera_id, time_s, {1: PERSON}, floor={1: (x_m, 0.0)}).seen
    assert (scene.id_of(seen["a"]) == scene.id_of(seen["b"])) == same


def test_positions_above_the_horizon_are_no_positions() -> None:
    scene = Scene()
    first = scene.track("a", 1, 0, 2, PERSON, floor={1: (np.nan, np.nan)})
    second = scene.track("b", 1, 2.2, 4, PERSON, floor={1: (500.0, 0.0)})
    assert len(first.floor) == 0
    assert scene.id_of(first) == scene.id_of(second)


# -- waiting ---------------------------------------------------------------------------------------------------


def test_a_track_between_two_look_alikes_waits_and_decides_at_max_wait_s() -> None:
    scene = Scene()
    scene.track("a", 1, 0, 2, one_hot(0)[0])
    scene.track("a", 2, 3, 5, one_hot(1)[0])
    # At 0.72 from either: 0.28 away from both, which is below the limit of 0.35.
    between = one_hot(0)[0] + 1.03 * one_hot(1)[0]
    decided_s = None
    for time_s in np.arange(10, 15, 0.1):
        (record,) = scene.observe("b", time_s, {1: between}).seen
        if record.link is not None and decided_s is None:
            decided_s = time_s
    assert decided_s == pytest.approx(13.0, abs=0.11)
    assert scene.id_of(record) == 2
    assert scene.linker.link_of(record).confidence < 0.5
    assert scene.linker.people == 2


def test_a_clear_case_is_decided_with_the_second_crop() -> None:
    scene = Scene()
    scene.track("a", 1, 0, 2, PERSON)
    assert scene.observe("b", 10.0, {1: PERSON}).seen[0].link is None
    assert scene.observe("b", 10.1, {1: None}).seen[0].link is None
    (record,) = scene.observe("b", 10.2, {1: PERSON}).seen
    assert record.link is not None
    assert record.link.global_id == 1
    assert record.link.confidence > 0.9
    assert not record.link.final


@pytest.mark.parametrize(
    ("camera", "distance", "linked"),
    [
        pytest.param("b", 0.25, True, id="another camera saw the person last"),
        pytest.param("b", 0.32, False, id="above .85 of the limit of .35"),
        pytest.param("a", 0.0, False, id="the same camera saw the person last"),
    ],
)
def test_one_crop_links_to_a_person_of_another_camera(camera: str, distance: float, linked: bool) -> None:
    scene = Scene(few_crops_factor=0.85)
    scene.track("a", 1, 0, 2, PERSON)
    (record,) = scene.observe(camera, 10.0, {2: at_distance(distance)}).seen
    assert (record.link is not None) is linked
    (record,) = scene.observe(camera, 10.1, {2: at_distance(distance)}).seen
    assert record.link is not None
    assert record.link.global_id == 1
    assert scene.linker.people == 1


def test_one_crop_makes_nobody_new() -> None:
    scene = Scene(few_crops_factor=0.85)
    scene.track("a", 1, 0, 2, PERSON)
    assert scene.observe("b", 10.0, {1: at_distance(1.0)}).seen[0].link is None
    (record,) = scene.observe("b", 10.1, {1: at_distance(1.0)}).seen
    assert record.link is not None
    assert scene.linker.people == 2


def test_crops_that_look_all_the_same_count() -> None:
    """Somebody who stands still gives one embedding to keep, but many good crops."""
    scene = Scene(feature_max_similarity=0.5)
    scene.track("a", 1, 0, 2, PERSON)
    scene.observe("b", 10.0, {1: PERSON})
    (record,) = scene.observe("b", 10.1, {1: PERSON}).seen
    assert (len(record.bank), record.good_crops) == (1, 2)
    assert record.link is not None
    assert record.link.global_id == 1


def test_nobody_alike_is_new_at_once() -> None:
    scene = Scene()
    scene.track("a", 1, 0, 2, PERSON)
    for time_s in (10.0, 10.1):
        (record,) = scene.observe("b", time_s, {1: one_hot(3)[0]}).seen
    assert record.link is not None
    assert record.link.global_id == 2
    assert record.link.confidence > 0.9


def test_an_undecided_track_has_an_id_of_its_own_and_keeps_it_if_it_is_new() -> None:
    scene = Scene()
    (record,) = scene.observe("a", 0.0, {1: PERSON}).seen
    assert scene.linker.link_of(record).confidence == 0
    assert [scene.id_of(record) for _ in range(3)] == [1, 1, 1]
    scene.observe("a", 0.1, {1: PERSON})
    assert record.link is not None
    assert record.link.global_id == 1


def test_the_id_of_an_undecided_track_is_used_for_nobody_else() -> None:
    scene = Scene()
    first = scene.track("a", 1, 0, 2, PERSON)
    (second,) = scene.observe("b", 10.0, {1: PERSON}).seen
    reserved = scene.id_of(second)
    scene.observe("b", 10.1, {1: PERSON})
    assert scene.id_of(second) == scene.id_of(first) == 1
    third = scene.track("c", 1, 20, 22, one_hot(5)[0])
    assert len({1, reserved, scene.id_of(third)}) == 3
    # Ids that were only reserved are no people.
    assert scene.linker.people == 2


# -- memory ----------------------------------------------------------------------------------------------------


def test_identities_are_forgotten_after_identity_memory_s() -> None:
    scene = Scene(identity_memory_s=60.0)
    scene.track("a", 1, 0, 2, PERSON)
    assert scene.id_of(scene.track("b", 1, 50, 52, PERSON)) == 1
    scene.track("c", 1, 115, 117, one_hot(4)[0])
    assert scene.linker.known_identities == 1
    assert scene.id_of(scene.track("b", 2, 120, 122, PERSON)) == 3


def test_max_identities_bounds_the_table() -> None:
    scene = Scene(max_identities=5)
    largest = 0
    for number in range(40):
        scene.track("a", number + 1, 5.0 * number, 5.0 * number + 2, np.random.default_rng(number).normal(size=64))
        largest = max(largest, scene.linker.known_identities)
    assert scene.linker.people == 40
    assert 5 <= largest <= 6
    assert scene.linker.forgotten.unseen == 0
    assert scene.linker.forgotten.surplus == 40 - scene.linker.known_identities


def test_too_many_people_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(max_identities=2)
    for number in range(8):
        scene.track("a", number + 1, 5.0 * number, 5.0 * number + 2, np.random.default_rng(number).normal(size=64))
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "the linker knows 2 people, as many linker.max_identities allows" in warning
    assert "600 s (linker.identity_memory_s)" in warning
    assert "set it to auto" in warning


def test_as_many_people_are_known_as_fit_into_the_memory() -> None:
    """16 features of 64 float32 with 17 bytes beside each, a mean, one camera time for each of three cameras, 40 floor
    slots of 24 bytes, and 400 bytes: 6,008 bytes; a MB holds 174 of them."""
    scene = Scene(max_identities="auto", identity_memory_mb=1.0, features_per_identity=16)
    scene.track("a", 1, 0, 2, np.random.default_rng(0).normal(size=64))
    assert scene.linker.max_identities == 2**20 // (16 * (64 * 4 + 17) + 64 * 4 + 3 * 8 + 40 * 24 + 400) == 174


def test_an_identity_in_view_is_never_forgotten() -> None:
    scene = Scene(identity_memory_s=5.0, max_identities=1)
    for time_s in np.arange(0, 30, 0.5):
        (stays,) = scene.observe("a", time_s, {1: PERSON}).seen
        if time_s % 3 == 2:
            scene.track("b", round(time_s), time_s + 0.1, time_s + 0.3, one_hot(3)[0])
    assert scene.id_of(stays) == 1
    assert scene.linker.people > 1
    assert scene.id_of(scene.track("c", 1, 31, 33, PERSON)) == 1


def test_records_of_ended_tracks_sum_the_track_up() -> None:
    scene = Scene()
    record = scene.track("a", 3, 1.0, 3.0, PERSON, floor={3: (1.0, 2.0)})
    tracklet = record.summary()
    assert tracklet.key == ("a", 3)
    assert (tracklet.start_s, tracklet.end_s) == pytest.approx((1.0, 3.0))
    assert tracklet.observations == 21
    assert tracklet.floor_xy_m.tolist() == [[1.0, 2.0]] * len(tracklet.floor_time_s)
    # The middles of the slots of 0.25 s that the track touched.
    assert tracklet.floor_time_s == pytest.approx(np.arange(1.125, 3.2, 0.25))


def test_finish_settles_everybody() -> None:
    scene = Scene()
    seen = scene.observe("a", 0.0, {1: PERSON, 2: None}).seen + scene.observe("b", 0.0, {1: None}).seen
    ended = scene.linker.finish()
    assert {record.summary().key for record in ended} == {("a", 1), ("a", 2), ("b", 1)}
    assert sorted(scene.id_of(record) for record in seen) == [1, 2, 3]
    assert scene.linker.finish() == []


# -- partial crops ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "factor", "same"),
    [
        pytest.param(0.0, 0.8, True, id="alike"),
        pytest.param(0.25, 0.8, True, id="within .8 x .35"),
        pytest.param(0.3, 0.8, False, id="within .35 only"),
        pytest.param(0.0, 0.0, False, id="switched off"),
    ],
)
def test_a_track_without_a_good_crop_joins_by_its_partial_ones(distance: float, factor: float, same: bool) -> None:
    scene = Scene(partial_crops_factor=factor)
    first = scene.track("a", 1, 0, 2, PERSON)
    second = scene.track("b", 1, 5, 7, at_distance(distance), partial=True)
    assert (scene.id_of(second) == scene.id_of(first)) is same
    assert second.summary().partial


def test_partial_crops_do_not_link_to_a_person_whom_the_same_camera_saw_last() -> None:
    scene = Scene(partial_crops_factor=0.8)
    first = scene.track("a", 1, 0, 2, PERSON)
    second = scene.track("a", 2, 5, 7, PERSON, partial=True)
    assert scene.id_of(second) != scene.id_of(first)


def test_partial_crops_do_not_describe_the_person_they_joined() -> None:
    scene = Scene(partial_crops_factor=0.8)
    scene.track("a", 1, 0, 2, PERSON)
    before = scene.linker.features_per_identity
    scene.track("b", 1, 5, 7, at_distance(0.2), partial=True)
    assert scene.linker.features_per_identity == before


def test_the_first_good_crop_replaces_partial_ones() -> None:
    scene = Scene(partial_crops_factor=0.8)
    scene.track("a", 1, 0, 2, PERSON)
    scene.observe("b", 5.0, {1: at_distance(1.0)}, partial=True)
    (record,) = scene.observe("b", 5.1, {1: PERSON}).seen
    assert not record.summary().partial
    assert len(record.summary().embeddings) == 1


def test_a_track_that_nothing_describes_waits_for_its_first_crops_and_then_joins() -> None:
    scene = Scene()
    first = scene.track("a", 1, 0, 2, PERSON)
    for time_s in np.arange(5.0, 9.9, 0.1):
        (record,) = scene.observe("b", float(time_s), {1: None}).seen
    assert record.link is None  # after more than max_wait_s
    own = scene.id_of(record)
    for time_s in (10.0, 10.1):
        scene.observe("b", time_s, {1: PERSON})
    assert scene.id_of(record) == scene.id_of(first) != own
