"""Searches among the people whom a live site knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.live.output.gallery_file import GALLERY_NAME
from pipeline.live.output.segments import segments
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from pipeline.search.find import find
from pipeline.search.live_site import newest_visits
from pipeline.search.meaning import Meaning
from tests.helpers.factories import at_distance, one_hot
from tests.helpers.live.examples import NOW_S, make_row
from tests.helpers.searched_runs import bright_detector, colour_embedder, write_picture, write_site


def twice(vector: np.ndarray) -> np.ndarray:
    return np.stack([vector, vector])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Person 1 was in the hall, then in the yard, where the first rows had the provisional id 9. Person 2 is similar,
    and person 3 is not."""
    rows = [
        make_row(1, "hall", 1, NOW_S),
        make_row(1, "hall", 1, NOW_S + 2),
        make_row(2, "hall", 2, NOW_S + 3),
        make_row(9, "yard", 1, NOW_S + 10),
        make_row(1, "yard", 1, NOW_S + 11),
        make_row(1, "hall", 4, NOW_S + 20),
        make_row(1, "hall", 4, NOW_S + 25),
        make_row(3, "yard", 2, NOW_S + 30),
    ]
    people = {
        1: {"hall": twice(one_hot(0)[0]), "yard": twice(at_distance(0.05))},
        2: {"hall": twice(at_distance(0.3))},
        3: {"yard": twice(one_hot(4)[0])},
    }
    return write_site(tmp_path / "site", people, rows)


def test_people_are_compared_once_for_each_camera_with_their_newest_visit(site: Path) -> None:
    found = find(site, person=2, all_tracks=True)
    assert [(m.global_id, m.camera_id, m.track_id, m.meaning) for m in found.matches] == [
        (1, "yard", 1, Meaning.SAME),
        (1, "hall", 4, Meaning.SAME),
        (3, "yard", 2, Meaning.NO),
    ]
    yard, hall, _ = found.matches
    assert (hall.start_s, hall.end_s) == (NOW_S + 20, NOW_S + 25)
    # The visit began before the person was known.
    assert (yard.start_s, yard.end_s) == (NOW_S + 10, NOW_S + 11)
    assert hall.start_utc is not None
    assert hall.start_utc.timestamp() == NOW_S + 20
    assert (found.tracks, found.people) == (3, 2)


def test_a_picture_finds_a_known_person(site: Path, tmp_path: Path) -> None:
    crop = write_picture(tmp_path / "crop.png", (60, 150), [((2, 2, 58, 148), (200, 0, 0))])
    found = find(site, images=[crop], detector=bright_detector(), embedder=colour_embedder())
    assert (found.matches[0].global_id, found.matches[0].camera_id, found.matches[0].more_tracks) == (1, "hall", 1)


def test_after_a_purge_the_person_is_not_found_any_more(site: Path) -> None:
    purge_person(RunFolder(site), 1, delete_shared=False)
    assert {m.global_id for m in find(site, person=2, all_tracks=True).matches} == {3}


def test_a_person_without_rows_is_shown_with_the_time_in_the_gallery(site: Path) -> None:
    for path in site.glob("traj-*"):
        path.unlink()
    found = find(site, person=2)
    assert found.matches[0].track_id is None
    assert found.matches[0].end_s == NOW_S + 11


def test_what_is_no_site_is_refused(site: Path) -> None:
    with pytest.raises(InputError, match="is a live site, which keeps no embeddings of tracks: give --id"):
        find(site, track="hall:1")
    with pytest.raises(InputError, match="site has no embeddings of this person"):
        find(site, person=7)
    data = (site / GALLERY_NAME).read_bytes()
    (site / GALLERY_NAME).write_bytes(data[:-50])
    with pytest.raises(InputError, match=r"gallery\.npz is damaged"):
        find(site, person=2)
    assert (site / GALLERY_NAME).read_bytes() == data[:-50]  # a search changes nothing
    (site / GALLERY_NAME).unlink()
    with pytest.raises(InputError, match=r"has no gallery\.npz: no run of `mtmc live` has known anybody"):
        find(site, person=2)


def test_a_site_without_a_readable_manifest_is_refused(site: Path) -> None:
    (manifest,) = site.glob("manifest-*.json")
    manifest.write_text("{")
    with pytest.raises(InputError, match="is damaged, so the model of the run is unknown: give --config"):
        find(site, person=2)


def test_visits_are_followed_into_older_segments(site: Path) -> None:
    text = (site / "traj-20260501T100000Z-bb-0001.csv").read_text().splitlines(keepends=True)
    (site / "traj-20260501T100000Z-bb-0001.csv").write_text("".join(text[:7]))
    (site / "traj-20260501T100000Z-bb-0002.csv").write_text("".join([text[0], *text[7:]]))
    visits = newest_visits(segments(site), [("hall", 1), ("yard", 1), ("cellar", 1)])
    assert {key: (one.track_id, one.start_s - NOW_S, one.end_s - NOW_S) for key, one in visits.items()} == {
        ("hall", 1): (4, 20, 25),
        ("yard", 1): (1, 10, 11),
    }
