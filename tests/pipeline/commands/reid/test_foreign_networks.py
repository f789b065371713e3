"""`reid calibrate`, `adapt` and `evaluate` with a network of others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.assembly import build_embedder, match_limits
from pipeline.commands.reid.app import app
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter
from reid.embedding_model import embedding_hash
from reid.site.site import load_site
from tests.helpers.factories import make_tracklet
from tests.helpers.foreign_networks import write_onnx
from tests.helpers.tiny_training import draw_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("people"))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "a.onnx")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_a_stale_card_stops_a_run_that_needs_it_and_no_other(people: Path, network: Path) -> None:
    run("calibrate", "--data", people, "--checkpoint", network, "--input", "half")
    write_onnx(network, only_one=True)
    model_hash = embedding_hash(network, INPUT_PRESETS["half"])
    embedder = {"weights": str(network), "input": "half"}
    with pytest.raises(InputError, match=rf"mtmc reid calibrate --data CROPS --checkpoint {network} --input half"):
        match_limits(load_config(None, {"embedder": embedder}), model_hash)
    fixed = {"max_cosine_distance": 0.3, "max_centred_cosine_distance": None}
    limits = {"tracker": {"max_cosine_distance": 0.3}, "linker": fixed, "second_pass": fixed}
    assert match_limits(load_config(None, {"embedder": embedder, **limits}), model_hash).linker.cosine == 0.3
    run("calibrate", "--data", people, "--checkpoint", network, "--input", "half")
    assert match_limits(load_config(None, {"embedder": embedder}), model_hash).linker.centred_cosine


def test_tracks_of_a_site_calibrate_a_network(network: Path, tmp_path: Path) -> None:
    half = INPUT_PRESETS["half"]
    for name, model_hash in (("own", embedding_hash(network, half)), ("other", "another network")):
        (tmp_path / name).mkdir()
        info = TrackletFileInfo(("c1",), {0: "person"}, model_hash)
        rng = np.random.default_rng(0)
        with TrackletWriter(tmp_path / name / "tracklets.arrow", info) as file:
            for number in range(24):
                views = rng.normal(size=24) + 0.2 * rng.normal(size=(4, 24))
                unit = (views / np.linalg.norm(views, axis=1, keepdims=True)).astype(np.float32)
                file.write(make_tracklet(camera_id="c1", track_id=number + 1, embeddings=unit))
    store = ("--checkpoint", network, "--input", "half")
    with pytest.raises(InputError, match="its embeddings are of the model another network"):
        run("calibrate", "--tracklets", tmp_path / "other", *store)
    run("calibrate", "--tracklets", tmp_path / "own", *store)
    card = json.loads((tmp_path / "a.onnx.calibration.json").read_text())
    assert card["card"]["calibration"]["measured_on"].startswith("tracks of 1 cameras")
    assert card["input"] == half.model_dump(exclude_none=True)


def test_means_alone_are_learned(
    people: Path, network: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site_file = tmp_path / "site.safetensors"
    learn = ("adapt", "--crops", people, "--checkpoint", network, "--input", "half", "--output", site_file)
    assert "only the camera means are stored" in run(*learn)
    site = load_site(site_file)
    assert (site.camera_names, site.rows.shape) == (("c1", "c2"), (2, 0))
    assert site.means is not None
    for option in ("--norms", "--no-means"):
        with pytest.raises(InputError, match="means alone can be learned: leave out --norms and --no-means"):
            run(*learn, option)
    measure = ("evaluate", "--data", people, "--checkpoint", network, "--input", "half")
    run(*measure, "--json", tmp_path / "plain.json")
    run(*measure, "--site", site_file, "--json", tmp_path / "centred.json")
    plain, centred = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("plain", "centred"))
    assert plain["computation"]["precision"] == "fp32"
    assert (plain["model_hash"], centred["model_hash"]) == (site.model_hash, site.embedding_hash)
    assert centred["all"]["mAP"] > plain["all"]["mAP"]
    for option in ("--rows", "mean"), ("--attention", tmp_path / "a.png"):
        with pytest.raises(InputError, match=rf"{option[0]} .*needs the \.safetensors checkpoint"):
            run(*measure, *option)

    cameras = [{"name": name, "source": name} for name in ("c1", "yard")]
    embedder: dict[str, object] = {"weights": str(network), "input": "half", "site": str(site_file)}
    embedder["classes"] = ["car"]
    built = build_embedder(load_config(None, {"cameras": cameras, "embedder": embedder}))
    assert built is not None
    assert list(built.classes) == ["car"]
    assert built.model_hash == site.embedding_hash
    assert not built.unknown_cameras
    assert "has no mean for yard: their embeddings are not centred" in caplog.text
    embedder["input"] = "imagenet"
    with pytest.raises(
        InputError, match=r"the site file was learned for the model .*: adapt again with this network"
    ):
        build_embedder(load_config(None, {"cameras": cameras, "embedder": embedder}))


def test_a_camera_has_no_row_in_a_network_of_others(network: Path) -> None:
    cameras = [{"name": "hall", "source": "hall.mp4", "reid_camera": "c1"}]
    with pytest.raises(InputError, match="the model has no camera table; leave it out"):
        build_embedder(
            load_config(None, {"cameras": cameras, "embedder": {"weights": str(network), "input": "half"}})
        )
