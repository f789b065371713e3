"""Searches in runs with chosen embeddings: distances by hand, filters, groups, and what is refused."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.core.errors import InputError
from pipeline.privacy.purge import purge_person
from pipeline.privacy.run_folder import RunFolder
from pipeline.search.find import find
from pipeline.search.meaning import Meaning
from tests.helpers.factories import at_distance, make_tracklet, one_hot
from tests.helpers.searched_runs import bright_detector, colour_embedder, write_picture, write_run

EPOCH = datetime(2026, 5, 1, 10, tzinfo=UTC)
BLUE = (200, 0, 0)


def twice(vector: np.ndarray) -> np.ndarray:
    """Two equal embeddings: with a single one, the limit is lower."""
    return np.stack([vector, vector])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The hall has track 1 of person 1. The yard has tracks at known distances from it."""
    tracklets = [
        make_tracklet("hall", 1, 0.0, 5.0, twice(one_hot(0)[0])),
        make_tracklet("yard", 1, 10.0, 12.0, twice(at_distance(0.1))),
        make_tracklet("yard", 2, 20.0, 22.0, twice(at_distance(0.44))),
        make_tracklet("yard", 3, 30.0, 32.0, at_distance(0.36)),
        make_tracklet("yard", 4, 40.0, 42.0, twice(at_distance(0.6))),
        make_tracklet("yard", 5, 50.0, 52.0, twice(at_distance(0.8))),
        make_tracklet("yard", 6, 60.0, 62.0),
        make_tracklet("yard", 7, 70.0, 72.0, twice(at_distance(0.2))),
    ]
    people = {("hall", 1): 1, ("yard", 1): 1, ("yard", 2): 2, ("yard", 3): 3, ("yard", 4): 4, ("yard", 5): 2}
    return write_run(tmp_path / "shop", tracklets, {**people, ("yard", 6): 5}, epoch_utc=EPOCH)


def test_distances_costs_and_words_are_as_computed_by_hand(run: Path) -> None:
    found = find(run, track="hall:1")
    rows = [(m.camera_id, m.track_id, m.global_id, m.meaning, m.more_tracks) for m in found.matches]
    assert rows == [
        ("yard", 1, 1, Meaning.SAME, 0),
        ("yard", 3, 3, Meaning.PERHAPS, 0),  # a single crop: the limit is .85 of .4
        ("yard", 2, 2, Meaning.PERHAPS, 1),
        ("yard", 4, 4, Meaning.NO, 0),
    ]
    # half precision on disk
    np.testing.assert_allclose([m.distance for m in found.matches], [0.1, 0.36, 0.44, 0.6], atol=2e-3)
    np.testing.assert_allclose([m.cost for m in found.matches], [0.25, 0.36 / 0.34, 1.1, 1.5], atol=6e-3)
    assert [m.rank for m in found.matches] == [1, 2, 3, 4]
    assert (found.tracks, found.people) == (5, 4)
    # Track 6 has no crop. Track 7 has no rows, as after a purge that was interrupted.
    assert found.left_out == {
        "without a good crop": 1,
        "without rows, for example because their person was deleted": 1,
    }
    first = found.matches[0]
    assert (first.start_s, first.end_s, first.run, first.final) == (10.0, 12.0, "shop", True)
    assert first.start_utc == datetime(2026, 5, 1, 10, 0, 10, tzinfo=UTC)


def test_all_tracks_of_everybody_are_shown_on_request(run: Path) -> None:
    found = find(run, track="hall:1", all_tracks=True)
    assert [m.track_id for m in found.matches] == [1, 3, 2, 4, 5]
    assert [m.track_id for m in find(run, track="hall:1", all_tracks=True, top=2).matches] == [1, 3]


def test_a_person_of_the_run_is_the_mean_of_all_its_tracks_which_are_left_out(run: Path) -> None:
    found = find(run, person=2, top=1)
    # The mean of two unit vectors in a plane is the direction of half the angle between them.
    angle = (np.arccos(0.56) + np.arccos(0.2)) / 2
    assert found.matches[0].global_id == 4
    assert found.matches[0].distance == pytest.approx(1 - np.cos(angle - np.arccos(0.4)), abs=2e-3)
    assert found.tracks == 4


def test_a_picture_is_compared_by_the_embedding_of_its_crop(run: Path, tmp_path: Path) -> None:
    crop = write_picture(tmp_path / "crop.png", (60, 150), [((2, 2, 58, 148), BLUE)])
    models = {"detector": bright_detector(), "embedder": colour_embedder()}
    found = find(run, images=[crop], all_tracks=True, **models)
    assert found.matches[0].track_id == 1
    assert found.matches[0].camera_id == "hall"
    assert found.matches[0].distance == pytest.approx(0.0, abs=2e-2)
    # One crop: the limit is lower, as in the linker.
    assert found.matches[1].cost == pytest.approx(found.matches[1].distance / 0.34, rel=1e-3)
    two = find(run, images=[crop, crop], all_tracks=True, **models)
    assert two.matches[1].cost == pytest.approx(two.matches[1].distance / 0.4, rel=1e-3)
    assert [crop.shape for crop in found.query_crops] == [(150, 60, 3)]


@pytest.mark.parametrize(
    ("filters", "tracks"),
    [
        ({"cameras": ["hall"]}, []),
        ({"cameras": ["yard"]}, [1, 3, 2, 4, 5]),
        ({"begin": 21.0, "end": 31.0}, [3, 2]),
        ({"begin": 22.0, "end": 30.0}, [3, 2]),
        ({"begin": 22.1, "end": 29.9}, []),
        ({"end": datetime(2026, 5, 1, 10, 0, 20, tzinfo=UTC)}, [1, 2]),
        ({"begin": datetime(2026, 5, 1, 10, 0, 33, tzinfo=UTC)}, [4, 5]),
        ({"begin": datetime(2026, 5, 1, 10, 0, 33)}, [4, 5]),
    ],
)
def test_filters_choose_tracks(run: Path, filters: dict[str, object], tracks: list[int]) -> None:
    if not tracks:
        with pytest.raises(InputError, match="there is no track to compare with in shop"):
            find(run, track="hall:1", **filters)  # type: ignore[arg-type]
        return
    found = find(run, track="hall:1", all_tracks=True, **filters)  # type: ignore[arg-type]
    assert [m.track_id for m in found.matches] == tracks


def test_several_runs_are_ranked_together_and_named_by_their_folders(run: Path, tmp_path: Path) -> None:
    other = write_run(
        tmp_path / "more" / "shop",
        [make_tracklet("door", 1, 0.0, 1.0, twice(at_distance(0.05)))],
        {("door", 1): 1},
    )
    found = find([run, other], track="hall:1", top=2)
    name = f"{tmp_path.name}/shop"
    assert [(m.run, m.camera_id) for m in found.matches] == [("more/shop", "door"), (name, "yard")]
    assert [m.start_utc is None for m in found.matches] == [True, False]
    # Person 1 of the other run is another person.
    assert found.people == 5
    assert {m.run for m in find([run, other], track="hall:1", places=[name], top=9).matches} == {name}
    with pytest.raises(InputError, match="--place 'cellar': no run has this name; the runs are"):
        find([run, other], track="hall:1", places=["cellar"])


def test_a_folder_of_runs_stands_for_its_runs(run: Path) -> None:
    shutil.copytree(run, run.parent / "copy")
    assert {m.run for m in find(run.parent, track="hall:1", top=20).matches} == {"shop", "copy"}


def test_after_a_purge_the_person_is_not_found_any_more(run: Path) -> None:
    assert find(run, track="hall:1").matches[0].global_id == 1
    purge_person(RunFolder(run), 1, delete_shared=False)
    found = find(run, track="yard:2", top=20, all_tracks=True)
    assert 1 not in {m.global_id for m in found.matches}
    with pytest.raises(InputError, match=r"no track of a camera 'hall'"):
        find(run, track="hall:1")


def test_camera_means_are_subtracted_as_the_online_linker_does(tmp_path: Path) -> None:
    # All people of a camera share its colour cast, value 5; who they are is in values 0 and 1.
    def in_camera(person: int, camera: int) -> np.ndarray:
        vector = np.zeros(8, np.float32)
        vector[person], vector[4 + camera] = 0.6, 0.8
        return twice(vector)

    tracklets = [make_tracklet("a", 1 + p, p, p + 1, in_camera(p, 0)) for p in range(4)]
    tracklets += [make_tracklet("b", 1 + p, p, p + 1, in_camera(p, 1)) for p in range(4)]
    people = {t.key: t.track_id for t in tracklets}
    centred = {"max_cosine_distance": 0.4, "max_centred_cosine_distance": 0.6}
    plain = write_run(tmp_path / "plain", tracklets, people)
    with_means = write_run(tmp_path / "centred", tracklets, people, linker=centred)
    far, near = (find(folder, track="a:1", cameras=["b"]).matches[0] for folder in (plain, with_means))
    assert far.distance == pytest.approx(1 - 0.36, abs=2e-3)
    # own share 4 / (4 + 10) of the camera mean, and of the mean of all 8 tracks 8 / (8 + 10) of the rest
    own, rest = 4 / 14, 8 / 18 * 10 / 14
    mean_a = np.array([0.15] * 4 + [0.8, 0, 0, 0])
    mean_b = np.array([0.15] * 4 + [0, 0.8, 0, 0])
    both = (mean_a + mean_b) / 2
    one = in_camera(0, 0)[0] - own * mean_a - rest * both
    other = in_camera(0, 1)[0] - own * mean_b - rest * both
    expected = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert near.distance == pytest.approx(expected, abs=3e-3)
    weight = own + rest
    limit = (1 - weight) * 0.4 + weight * 0.6
    assert near.cost == pytest.approx(near.distance / limit, rel=1e-3)


BAD = {
    "no folder": (lambda run: shutil.rmtree(run), "is not a folder: name the output folder"),
    "another folder": (
        lambda run: [path.unlink() for path in run.rglob("*") if path.is_file()],
        "holds no results of `mtmc track` or `mtmc live`, and no folder in it does",
    ),
    "no tracklets": (lambda run: (run / "tracklets.arrow").unlink(), r"holds no results of `mtmc track` \(traj"),
    "no rows": (lambda run: (run / "trajectories.csv").unlink(), r"holds no results of `mtmc track` \(traj"),
    "corrupt tracklets": (
        lambda run: (run / "tracklets.arrow").write_bytes(b"no arrow at all"),
        "is not a file of saved tracklets",
    ),
    "corrupt rows": (lambda run: (run / "trajectories.csv").write_text("a,b\n1,2\n"), "the header has no column"),
    "corrupt note": (lambda run: (run / "run.json").write_text("{"), "run.json is missing or damaged"),
    "a note without settings": (
        lambda run: (run / "run.json").write_text('{"state": "complete", "epoch_utc": null}'),
        "holds no configuration, so the model of the run is unknown: give --config",
    ),
    "settings of another version": (
        lambda run: (run / "run.json").write_text((run / "run.json").read_text().replace('"margin"', '"margins"')),
        r"holds a configuration that this version cannot use .*margins.*: give --config",
    ),
    "tracklets of another version": (
        lambda run: (run / "tracklets.arrow").write_bytes(
            (run / "tracklets.arrow").read_bytes().replace(b'"schema_version": 2', b'"schema_version": 9')
        ),
        "has schema version 9; this program reads versions 1 and 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_run_is_refused_in_one_line(run: Path, case: str) -> None:
    spoil, message = BAD[case]
    spoil(run)
    with pytest.raises(InputError, match=message) as error:
        find(run, track="hall:1")
    assert "\n" not in str(error.value)


def test_a_run_without_embeddings_or_without_tracks_is_refused(tmp_path: Path) -> None:
    blind = write_run(tmp_path / "blind", [make_tracklet("a", 1)], {("a", 1): 1}, model="")
    with pytest.raises(InputError, match="was tracked without an embedder, so nobody in it can be found"):
        find(blind, person=1)
    empty = write_run(tmp_path / "empty", [], {("a", 1): 1})
    crop = write_picture(tmp_path / "crop.png", (60, 150), [((2, 2, 58, 148), BLUE)])
    with pytest.raises(InputError, match="there is no track to compare with in empty: it has none"):
        find(empty, images=[crop], detector=bright_detector(), embedder=colour_embedder())


def test_embeddings_of_two_models_are_not_compared(run: Path, tmp_path: Path) -> None:
    other = write_run(
        tmp_path / "other", [make_tracklet("a", 1, embeddings=one_hot(0))], {("a", 1): 1}, model="new+site"
    )
    with pytest.raises(InputError, match=r"has embeddings of the model fake, but .*other of new\+site"):
        find([run, other], track="hall:1")
    crop = write_picture(tmp_path / "crop.png", (60, 150), [((2, 2, 58, 148), BLUE)])
    with pytest.raises(InputError, match=r"of other are of the model new\+site, but the embedder is fake"):
        find(other, images=[crop], detector=bright_detector(), embedder=colour_embedder())


def test_a_run_that_has_not_ended_is_searched_and_said(tmp_path: Path) -> None:
    tracklets = [make_tracklet("a", n, embeddings=twice(at_distance(0.1 * n))) for n in (1, 2)]
    people = {("a", 1): 1, ("a", 2): 2}
    run = write_run(tmp_path / "run", tracklets, people, state="running", final=False)
    found = find(run, track="a:1")
    assert "has not ended, or was killed" in found.notes[0]
    assert not found.matches[0].final


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of --image, --track and --id"),
        ({"track": "hall:1", "person": 1}, "give one of --image, --track and --id"),
        ({"track": "hall"}, "expected CAMERA:TRACK, such as hall:3"),
        ({"track": "attic:1"}, "has no track of a camera 'attic'; its cameras are hall, yard"),
        ({"track": "hall:7"}, "camera 'hall' has no track 7; it has 1"),
        ({"track": "yard:6"}, "this track has no good crop"),
        ({"person": 9}, "nobody in shop has this id; the ids are 1, 2, 3, 4, 5"),
        ({"person": 5}, "no track of this person has a good crop"),
        ({"track": "hall:1", "top": 0}, "--top 0: must be at least 1"),
        ({"track": "hall:1", "cameras": ["attic"]}, "--cameras 'attic': the cameras are hall, yard"),
    ],
)
def test_wrong_arguments_are_refused(run: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find(run, **arguments)  # type: ignore[arg-type]


def test_dates_need_a_run_with_dates(tmp_path: Path) -> None:
    tracklets = [make_tracklet("a", n, embeddings=twice(at_distance(0.1 * n))) for n in (1, 2)]
    run = write_run(tmp_path / "run", tracklets, {("a", 1): 1, ("a", 2): 2})
    with pytest.raises(InputError, match="the dates of run are not known"):
        find(run, track="a:1", begin=EPOCH)


def test_damaged_tracklets_are_left_out_with_a_warning(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = run / "tracklets.arrow"
    data = bytearray(path.read_bytes())
    place = data.find(at_distance(0.6).astype(np.float16).tobytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    found = find(run, track="hall:1")
    assert 4 not in {m.global_id for m in found.matches}
    assert "1 tracklets are damaged and left out" in caplog.text


# -- the command -------------------------------------------------------------------------------------------------


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["find", *arguments])
    return int(stop.value.code or 0)


def test_the_table_and_the_json_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "found.json"
    assert command(str(run), "--track", "hall:1", "--json", str(target)) == 0
    text = capsys.readouterr().out
    assert "Looking like track 1 of camera hall in shop (person 1): 5 tracks of 4 people were compared." in text
    assert "same person" in text
    assert "Not compared: 1 tracks without a good crop." in text
    assert "seen on 2026-05-01 (UTC)" in text
    assert "10:00:10 to 10:00:12" in text
    content = json.loads(target.read_text())
    assert [m["meaning"] for m in content["matches"]] == ["same person", "perhaps", "perhaps", "no"]
    assert content["matches"][0]["start_utc"] == "2026-05-01T10:00:10+00:00"
    assert target.stat().st_mode & 0o777 == 0o600
    assert command(str(run), "--track", "hall:1", "--json", "-") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["tracks"] == 5
    assert "Looking like" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--track", "hall:1", "--from", "noon"],
            "--from 'noon': expected seconds on the clock of the run, or a date",
        ),
        (["--track", "hall:1", "--sheet", "sheet.jpg"], "must be a .png"),
        (["--image", "run.json"], "run.json is not a picture, or is cut off"),
        (["--image", "nowhere.png"], "nowhere.png: cannot be read"),
    ],
)
def test_bad_input_ends_with_one_line(
    run: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(run)
    if "--image" in arguments:
        monkeypatch.setattr(
            "pipeline.search.pictures.build_embedder", lambda config: colour_embedder(), raising=True
        )
        monkeypatch.setattr("pipeline.search.pictures.build_detector", lambda config: bright_detector())
    assert command(str(run), *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_files_about_people_are_not_written_into_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(str(run), "--id", "1", "--json", str(run / "found.json")) == 2
    assert "where `mtmc person purge` would not delete it" in capsys.readouterr().err
