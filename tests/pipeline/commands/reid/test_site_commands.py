"""`mtmc reid adapt` and `calibrate` on a tiny model, and how the pipeline takes what they store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from pipeline.assembly import match_limits
from pipeline.commands.reid.app import app
from pipeline.config.calibration import Calibration
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Confirm
from reid.checkpoints import load_checkpoint, rewrite_card, save_checkpoint
from reid.datasets import hold_out_identities, identities_digest, read_dataset
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.site import load_site
from reid.site.with_site import unknown_camera_row
from reid.training.start import IDENTITIES_KEY, IDENTITIES_OF_SETS_KEY
from reid.training.train import train
from tests.helpers.factories import make_tracklet
from tests.helpers.stored_runs import recorded_run, row
from tests.helpers.tiny_training import draw_people, tiny_config

TINY = TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), cameras=2, unknown_row=True)
CALIBRATED = {name: {"max_cosine_distance": "calibrated"} for name in ("tracker", "linker", "second_pass")}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("people"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, TransReID(TINY), camera_names=["c1", "c2"], card={"data": "none"})
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_site_is_learned_from_crops(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    site_file = tmp_path / "site.safetensors"
    learn = ("adapt", "--crops", people, "--checkpoint", checkpoint, "--output", site_file)
    output = run(*learn, "--rounds", 2)
    assert "256 crops of 64 tracks in 2 cameras (c1, c2)" in output
    site = load_site(site_file)
    assert site.model_hash == load_checkpoint(checkpoint).model_hash
    assert site.camera_names == ("c1", "c2")
    assert not np.array_equal(site.rows[0], site.rows[1])
    assert site.means is not None
    assert not site.norms
    run(*learn, "--rounds", 1, "--norms")
    assert load_site(site_file).norms
    figures = tmp_path / "figures.json"
    measure = ("evaluate", "--data", people, "--checkpoint", checkpoint, "--json", figures)
    run(*measure, "--site", site_file)
    assert json.loads(figures.read_text())["all"]["mAP"] > 0


def test_labelled_crops_calibrate_the_checkpoint(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The pipeline then takes the limits from there; embeddings of another model do not get them."""
    before = load_checkpoint(checkpoint)
    figures, plot = tmp_path / "figures.json", tmp_path / "distances.png"
    run("calibrate", "--data", people, "--checkpoint", checkpoint, "--plot", plot, "--json", figures)
    after = load_checkpoint(checkpoint)
    assert after.model_hash == before.model_hash
    assert after.card["data"] == "none"
    calibration = Calibration.from_card(after.card)
    assert calibration is not None
    assert calibration.to_dict() == json.loads(figures.read_text())
    # 32 people in two cameras; all pairs of two of the 64 tracks of different people.
    assert calibration.track.genuine_pairs == 32
    assert calibration.track.impostor_pairs == 64 * 63 // 2 - 32
    # Of these 1984, a rate of .001 lets one in, and one of .003 five.
    assert round(calibration.track.false_match_rate * 1984, 6) in (0, 1)
    assert calibration.crop.false_match_rate <= 0.001
    assert calibration.centred_track is not None
    assert calibration.centred_crop is not None
    assert round(calibration.centred_track.false_match_rate * 1984, 6) in range(6)
    assert calibration.centred_crop.false_match_rate <= 0.001
    with Image.open(plot) as picture:
        assert picture.width > picture.height > 300

    config = load_config(None, {"embedder": {"weights": str(checkpoint)}, **CALIBRATED})
    filled = match_limits(config, before.model_hash)
    assert filled.tracker == calibration.crop.max_cosine_distance
    assert filled.linker.cosine == filled.second_pass.cosine == calibration.track.max_cosine_distance
    assert filled.linker.centred_cosine == calibration.centred_track.max_cosine_distance
    assert match_limits(config, "another model").linker.cosine != calibration.track.max_cosine_distance
    assert match_limits(config, "another model").linker.centred_cosine is None


@pytest.mark.parametrize("means", [True, False])
def test_stored_means_need_the_limits_of_centred_embeddings(
    people: Path, checkpoint: Path, tmp_path: Path, means: bool
) -> None:
    run("calibrate", "--data", people, "--checkpoint", checkpoint)
    site_file = tmp_path / "site.safetensors"
    learned = () if means else ("--rounds", 1, "--no-means")
    run("adapt", "--crops", people, "--checkpoint", checkpoint, *learned, "--output", site_file)
    of_model = Calibration.from_card(load_checkpoint(checkpoint).card)
    assert of_model is not None
    expected = of_model.of_centred_embeddings() if means else of_model
    embedder = {"weights": str(checkpoint), "site": str(site_file)}
    filled = match_limits(
        load_config(None, {"embedder": embedder, **CALIBRATED}), load_site(site_file).embedding_hash
    )
    assert filled.tracker == expected.crop.max_cosine_distance
    assert filled.linker.cosine == expected.track.max_cosine_distance
    assert of_model.of_centred_embeddings().track != of_model.track


def test_means_alone_are_learned_unless_rounds_are_stated(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    """All cameras keep the row of unknown cameras, and an option that would do nothing is refused."""
    site_file = tmp_path / "site.safetensors"
    learn = ("adapt", "--crops", people, "--checkpoint", checkpoint, "--output", site_file)
    run(*learn)
    site = load_site(site_file)
    unknown = unknown_camera_row(load_checkpoint(checkpoint).model).numpy()
    np.testing.assert_array_equal(site.rows, np.stack([unknown, unknown]))
    assert site.means is not None
    np.testing.assert_array_less(0.1, np.linalg.norm(site.means[0] - site.means[1]))
    for option in ("--norms", "--no-means"):
        with pytest.raises(InputError, match=f"{option} .* add --rounds 3"):
            run(*learn, option)


def test_tracks_of_a_site_calibrate_its_file(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Twelve people beside each other in one camera: 66 pairs of two people, and the halves of each track."""
    site_file = tmp_path / "site.safetensors"
    run("adapt", "--crops", people, "--checkpoint", checkpoint, "--output", site_file)
    model_hash = load_site(site_file).embedding_hash
    rng = np.random.default_rng(0)
    runs = []
    for folder in (tmp_path / "monday", tmp_path / "tuesday"):
        folder.mkdir()
        with TrackletWriter(
            folder / "tracklets.arrow", TrackletFileInfo(("c1",), {0: "person"}, model_hash)
        ) as file:
            for number in range(12):
                direction = rng.normal(size=32)
                views = direction + 0.2 * rng.normal(size=(4, 32))
                embeddings = (views / np.linalg.norm(views, axis=1, keepdims=True)).astype(np.float32)
                file.write(make_tracklet(camera_id="c1", track_id=number + 1, embeddings=embeddings))
        runs.append(folder)
    arguments = [text for folder in runs for text in ("--tracklets", folder)]
    with pytest.raises(InputError, match="embeddings are of the model"):
        run("calibrate", *arguments, "--checkpoint", checkpoint)
    before = site_file.read_bytes()
    said = run("calibrate", *arguments)
    assert "Not stored" in said
    assert "Pairs of one person: the halves of each of 24 tracks" in " ".join(said.split())
    assert "132 pairs of two people are too few to measure a rate of 0.001" in " ".join(said.split())
    assert site_file.read_bytes() == before
    run("calibrate", *arguments, "--site", site_file)
    site = load_site(site_file)
    assert site.embedding_hash == model_hash
    calibration = Calibration.from_card(site.card)
    assert calibration is not None
    assert (calibration.track.genuine_pairs, calibration.track.impostor_pairs) == (24, 132)
    assert calibration.track.equal_error_rate < 0.05

    embedder = {"weights": str(checkpoint), "site": str(site_file)}
    filled = match_limits(load_config(None, {"embedder": embedder, **CALIBRATED}), model_hash)
    assert filled.linker.cosine == calibration.track.max_cosine_distance


def test_confirmed_people_are_pairs_instead_of_halves_and_neighbours(tmp_path: Path) -> None:
    """21 people, one after the other, each in two cameras: 21 pairs of one person, and no halves."""
    people = range(1, 22)
    tracks = [(camera, person) for person in people for camera in ("c1", "c2")]
    folder = recorded_run(
        tmp_path / "run",
        [row(person, camera, person, 20 * person + step) for camera, person in tracks for step in range(3)],
    )
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(len(people), 32))
    info = TrackletFileInfo(("c1", "c2"), {0: "person"}, "model")
    with TrackletWriter(folder / "tracklets.arrow", info) as file:
        for camera, person in tracks:
            views = directions[person - 1] + 0.2 * rng.normal(size=(4, 32))
            embeddings = views / np.linalg.norm(views, axis=1, keepdims=True)
            file.write(make_tracklet(camera, person, 2.0 * person, 2.0 * person + 0.2, embeddings))
    with pytest.raises(InputError, match="only 0 pairs of two people"):
        run("calibrate", "--tracklets", folder)
    with ReviewedRun(folder) as review:
        for person in people:
            review.do(lambda _, person=person: Confirm(person))  # type: ignore[misc]
    figures = tmp_path / "figures.json"
    said = " ".join(run("calibrate", "--tracklets", folder, "--json", figures).split())
    assert "Confirmed people: 21" in said
    assert "Pairs of one person: 21 of confirmed people, 21 of them between two cameras Pairs" in said
    assert "Pairs of two people: 840 of two confirmed people, 0 of others" in said
    measured = json.loads(figures.read_text())
    # 42 tracks, less the 21 pairs of one person; crops are compared with the 20 other people of their camera
    assert (measured["track"]["genuine_pairs"], measured["track"]["impostor_pairs"]) == (21, 42 * 41 // 2 - 21)
    assert (measured["crop"]["genuine_pairs"], measured["crop"]["impostor_pairs"]) == (42 * 4, 42 * 20 * 4)
    assert measured["measured_on"].startswith("tracks of 2 cameras with 21 confirmed people")


def test_an_uncalibrated_model_says_so(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(None, {"embedder": {"weights": str(checkpoint)}, **CALIBRATED})
    filled = match_limits(config, load_checkpoint(checkpoint).model_hash)
    assert filled.linker.cosine == 0.35
    assert "never calibrated" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "give either --data", id="nothing to measure on"),
        pytest.param(["--tracklets", "{tmp}"], "holds no tracklets.arrow", id="no run"),
        pytest.param(
            ["--data", "{tmp}", "--site", "x"], "tracks of the site alone", id="a site by labelled crops"
        ),
    ],
)
def test_bad_input_of_calibrate(checkpoint: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    texts = [argument.format(tmp=tmp_path) for argument in arguments]
    with pytest.raises(InputError, match=words):
        CliRunner().invoke(app, ["calibrate", "--checkpoint", str(checkpoint), *texts], catch_exceptions=False)


def test_more_held_out_people_than_there_are(checkpoint: Path, people: Path) -> None:
    arguments = ["calibrate", "--data", str(people), "--checkpoint", str(checkpoint), "--development-ids", "32"]
    with pytest.raises(InputError, match=r"--development-ids 32: the training part of .* has only 32 identities"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_too_few_pairs_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    crops = draw_people(tmp_path / "few", people=3)
    with pytest.raises(InputError, match="only 3 pairs of one person"):
        CliRunner().invoke(
            app, ["calibrate", "--data", str(crops), "--checkpoint", str(checkpoint)], catch_exceptions=False
        )


def test_a_camera_that_the_crops_do_not_have(people: Path, checkpoint: Path) -> None:
    arguments = [
        "adapt",
        "--crops",
        str(people),
        "--cameras",
        "c9",
        "--checkpoint",
        str(checkpoint),
        "--output",
        "x",
    ]
    with pytest.raises(InputError, match="no camera 'c9'"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ("cameras", "held_out", "fits"),
    [
        pytest.param("c1,c2", 8, True, id="as in the training"),
        pytest.param("c1,c2", 7, False, id="another number: some of them were learned"),
        pytest.param(None, 8, False, id="another camera more: other people are spaced evenly"),
    ],
)
def test_nobody_whom_the_model_learned_is_held_out(
    people: Path, checkpoint: Path, tmp_path: Path, cameras: str | None, held_out: int, fits: bool
) -> None:
    crops = tmp_path / "crops"
    crops.mkdir()
    for path in people.iterdir():
        (crops / path.name).symlink_to(path)
    for number, person in enumerate(range(40, 60)):
        (crops / f"{person:04}_c3_00.png").symlink_to(sorted(people.iterdir())[number])
    learned, _ = hold_out_identities(read_dataset(crops).train.of_cameras(["c1", "c2"]), 8)
    rewrite_card(checkpoint, {IDENTITIES_KEY: identities_digest(learned.person_ids)})
    arguments = ["--data", crops, "--checkpoint", checkpoint, "--development-ids", held_out]
    arguments += ["--cameras", cameras] if cameras else []
    if fits:
        with pytest.raises(InputError, match="only 8 pairs of one person"):
            run("calibrate", *arguments)
    else:
        with pytest.raises(InputError, match="the checkpoint learned other people"):
            run("calibrate", *arguments)


def test_an_average_of_different_trainings_has_held_out_nobody(people: Path, checkpoint: Path) -> None:
    rewrite_card(checkpoint, {IDENTITIES_OF_SETS_KEY: {"": ["a1", "b2"]}})
    with pytest.raises(
        InputError, match=r"--development-ids 8: the model is the average of trainings on 2 different"
    ):
        run("calibrate", "--data", people, "--checkpoint", checkpoint, "--development-ids", 8)


def test_layouts_that_a_folder_does_not_tell_are_named(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    for half in ("detected", "labeled"):
        for part in ("bounding_box_train", "query", "bounding_box_test"):
            (tmp_path / "np" / half / part).mkdir(parents=True)
    for person in range(3):
        for camera, part in ((1, "query"), (2, "bounding_box_test"), (1, "bounding_box_train")):
            target = tmp_path / "np" / "labeled" / part / f"{person + 1:04}_c{camera}_00.png"
            target.symlink_to(people / f"{person:04}_c{camera}_00.png")
    measure = ("evaluate", "--data", tmp_path / "np", "--checkpoint", checkpoint)
    with pytest.raises(InputError, match=r"name the layout \(--layout, .*cuhk03_detected or cuhk03_labeled"):
        run(*measure)
    said = run(*measure, "--layout", "cuhk03_labeled")
    assert "6 crops of 3 people" in " ".join(said.split())


def test_several_places_calibrate_together(checkpoint: Path, people: Path, tmp_path: Path) -> None:
    other = draw_people(tmp_path / "other", 24)
    figures = tmp_path / "figures.json"
    data = ("--data", f"shop={people}", "--data", f"street={other}")
    said = run("calibrate", *data, "--checkpoint", checkpoint, "--json", figures, "--false-match-rate", 0.01)
    assert "False matches at each place" in said
    calibration = Calibration.from_card(load_checkpoint(checkpoint).card)
    assert calibration is not None
    assert calibration.to_dict() == json.loads(figures.read_text())
    assert "shop, street" in calibration.measured_on
    # 32 and 24 people in two cameras; nobody is compared with the people of the other place
    assert calibration.track.genuine_pairs == 32 + 24
    assert calibration.track.impostor_pairs == (64 * 63 // 2 - 32) + (48 * 47 // 2 - 24)
    rates = calibration.track.of_places
    assert list(rates) == ["shop", "street"]
    assert calibration.track.false_match_rate == pytest.approx(sum(rates.values()) / 2)
    assert 0 < calibration.track.false_match_rate <= 0.01
    judged = run(
        "calibrate", "--data", f"shop={people}", "--left-out", f"street={other}", "--checkpoint", checkpoint
    )
    assert "street, left out" in judged
    alone = Calibration.from_card(load_checkpoint(checkpoint).card)
    assert alone is not None
    assert list(alone.track.of_left_out) == ["street"]
    assert alone.track.impostor_pairs == 64 * 63 // 2 - 32
    with pytest.raises(InputError, match="--data and --left-out are both named 'shop'"):
        run("calibrate", *data, "--left-out", f"shop={other}", "--checkpoint", checkpoint)
    with pytest.raises(InputError, match="--left-out goes with --data"):
        run("calibrate", "--tracklets", tmp_path, "--left-out", f"street={other}")
    with pytest.raises(InputError, match="--cameras shoe=c1: --data has shop, street"):
        run("calibrate", *data, "--cameras", "shoe=c1", "--checkpoint", checkpoint)
    with pytest.raises(InputError, match="--development-ids many: expected a number"):
        run("calibrate", *data, "--development-ids", "street=many", "--checkpoint", checkpoint)


def test_people_that_a_run_on_several_places_learned_are_refused(people: Path, tmp_path: Path) -> None:
    """Of each place the checkpoint knows whom it learned; a place that it does not name took no part."""
    sets = {"shop": {"share": 0.5, "development_ids": 24}, "street": {"share": 0.5}}
    config = tiny_config(data={"development_ids": 0, "sets": sets}, schedule={"epochs": 1})
    street = draw_people(tmp_path / "street", 24)
    train(
        config,
        data={"shop": people, "street": street},
        folder=tmp_path / "run",
        device=torch.device("cpu"),
        console=Console(quiet=True),
    )
    checkpoint = tmp_path / "run" / "model.safetensors"
    data = ("--data", f"shop={people}", "--data", f"elsewhere={street}", "--checkpoint", checkpoint)
    run("calibrate", *data, "--development-ids", "shop=24")
    with pytest.raises(InputError, match="--development-ids 23: the checkpoint learned other people"):
        run("calibrate", *data, "--development-ids", "shop=23")
