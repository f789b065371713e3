"""`reid evaluate` on people drawn here, with a tiny model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pipeline.commands.reid.app import app
from pipeline.core.errors import InputError
from reid.checkpoints import load_checkpoint, save_checkpoint
from reid.export.to_onnx import write_onnx
from reid.export.to_openvino import write_openvino
from reid.models.transreid import TransReID, TransReIDConfig
from reid.site.site import Site, save_site
from tests.helpers.tiny_training import draw_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 people with 4 crops in each of c1 and c2."""
    return draw_people(tmp_path_factory.mktemp("people"), people=6)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = TransReIDConfig(
        width=32, depth=2, heads=2, image_size=(32, 16), cameras=3, unknown_row=True, jpm=True, shift=1, parts=2,
        patch=8, stride=6,
    )  # fmt: skip
    model = TransReID(config).eval()
    model.base.sie_embed.data *= 50  # so that rows matter
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, model, camera_names=("c1", "c2", "c3"), inference_only=True)
    return path


def evaluate(folder: Path, checkpoint: Path, tmp_path: Path, *options: str) -> dict[str, Any]:
    target = tmp_path / "figures.json"
    arguments = ["evaluate", "--data", str(folder), "--checkpoint", str(checkpoint), "--json", str(target)]
    result = CliRunner().invoke(app, [*arguments, "--device", "cpu", *options])
    if result.exception is not None:
        raise result.exception
    figures: dict[str, Any] = json.loads(target.read_text())
    return figures | {"output": result.output}


def words(figures: dict[str, Any]) -> str:
    """What the command printed, on one line."""
    return " ".join(figures["output"].split())


def test_figures_are_those_of_all_crops_of_directions_and_of_pairs(
    people: Path, checkpoint: Path, tmp_path: Path
) -> None:
    figures = evaluate(people, checkpoint, tmp_path)
    assert (figures["crops"], figures["people"], figures["cameras"]) == (48, 6, ["c1", "c2"])
    assert figures["all"]["queries"] == 48
    there, back = figures["directions"]["c1 -> c2"], figures["directions"]["c2 -> c1"]
    assert there["queries"] == back["queries"] == 24
    assert figures["camera_pairs"]["c1 - c2"]["mAP"] == pytest.approx((there["mAP"] + back["mAP"]) / 2)
    assert f"{100 * figures['all']['mAP']:.1f}" in figures["output"]
    assert f"{100 * there['rank1']:.1f} / {100 * there['mAP']:.1f}" in figures["output"]


def test_distractors_are_no_people(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Market-1501's layout: 6 people, 4 crops of distractors and 2 of somebody whom no query shows."""
    root = tmp_path / "market"
    for folder, camera in (("bounding_box_train", "c1"), ("query", "c1"), ("bounding_box_test", "c2")):
        (root / folder).mkdir(parents=True)
        for path in people.glob(f"*_{camera}_*"):
            person, _, number = path.stem.split("_")
            shutil.copy(path, root / folder / f"{int(person) + 1:04}_{camera}s1_{int(number):06}_00.png")
    gallery = root / "bounding_box_test"
    some = sorted(gallery.iterdir())[:6]
    for number, path in enumerate(some):
        person = "0000" if number < 4 else "0099"
        shutil.copy(path, gallery / f"{person}_c2s1_{900 + number:06}_00.png")
    figures = evaluate(root, checkpoint, tmp_path)
    assert (figures["people"], figures["distractors"], figures["crops"]) == (6, 6, 54)
    assert "48 crops of 6 people and 6 of distractors" in words(figures)


def test_options_change_the_figures(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    plain = evaluate(people, checkpoint, tmp_path)
    seen = {json.dumps(plain["all"])}
    for options in (["--rows", "unknown"], ["--rows", "mean"], ["--rows", "wrong"], ["--rows", "none"]):
        figures = evaluate(people, checkpoint, tmp_path, *options)
        assert figures["rows"] == options[1]
        seen.add(json.dumps(figures["all"]))
    assert len(seen) > 3
    # the cameras of this untrained model differ more than people do, so centring helps a lot
    centred = evaluate(people, checkpoint, tmp_path, "--centre-cameras")
    assert centred["all"]["mAP"] > plain["all"]["mAP"] + 0.1
    reranked = evaluate(people, checkpoint, tmp_path, "--centre-cameras", "--rerank", "--k1", "6", "--k2", "2")
    assert reranked["all"] == centred["all"]
    assert reranked["reranked"]["all"]["mAP"] > centred["all"]["mAP"]
    assert "re-ranked" in reranked["output"]


def test_some_cameras_only_and_those_without_a_row(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in people.iterdir():
        for old, new in (("_c1_", "_c1_"), ("_c2_", "_c8_"), ("_c1_", "_c9_")):
            if old in path.name:
                (folder / path.name.replace(old, new)).write_bytes(path.read_bytes())
    figures = evaluate(folder, checkpoint, tmp_path, "--cameras", "c9,c8")
    assert (figures["cameras"], figures["crops"]) == (["c8", "c9"], 48)
    assert list(figures["camera_pairs"]) == ["c8 - c9"]
    assert "No row for c8, c9" in words(figures)
    assert "Trained rows" not in words(figures)
    mixed = words(evaluate(folder, checkpoint, tmp_path, "--cameras", "c1,c8"))
    assert "Trained rows, by name: c1. The same name does not mean the same camera" in mixed
    assert "--rows unknown" in mixed
    assert "No row for c8:" in mixed
    assert "row for" not in words(evaluate(folder, checkpoint, tmp_path, "--rows", "unknown"))
    with pytest.raises(InputError, match=r"--cameras c1,c2.*no camera 'c2'; it has c1, c8, c9"):
        evaluate(folder, checkpoint, tmp_path, "--cameras", "c1,c2")
    with pytest.raises(InputError, match="no query has a true match"):
        evaluate(folder, checkpoint, tmp_path, "--cameras", "c1")


def test_a_site_file_gives_rows_and_means(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    rows = loaded.model.base.sie_embed.detach()[:2, 0].numpy()
    site = tmp_path / "site.safetensors"
    save_site(site, Site(loaded.model_hash, ("c1", "c2"), rows))
    own = evaluate(people, checkpoint, tmp_path)
    with_site = evaluate(people, checkpoint, tmp_path, "--site", str(site))
    assert with_site["all"] == pytest.approx(own["all"])
    assert "Rows of the site file: c1, c2." in words(with_site)
    assert "Trained rows" not in words(with_site)
    means = np.random.default_rng(0).standard_normal((2, loaded.model.config.feature_dim)).astype(np.float32)
    save_site(site, Site(loaded.model_hash, ("c1", "c2"), rows, means))
    assert evaluate(people, checkpoint, tmp_path, "--site", str(site))["all"]["mAP"] < own["all"]["mAP"]
    with pytest.raises(InputError, match="leave out --rows mean"):
        evaluate(people, checkpoint, tmp_path, "--site", str(site), "--rows", "mean")


@pytest.mark.parametrize("suffix", [".xml", ".onnx"])
def test_an_export_has_the_figures_of_its_checkpoint(
    suffix: str, people: Path, checkpoint: Path, tmp_path: Path
) -> None:
    for package in ("openvino",) if suffix == ".xml" else ("onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    loaded = load_checkpoint(checkpoint)
    path = tmp_path / f"export{suffix}"
    (write_openvino if suffix == ".xml" else write_onnx)(loaded, path)
    own, exported = evaluate(people, checkpoint, tmp_path), evaluate(people, path, tmp_path, "--batch", "7")
    assert exported["all"] == pytest.approx(own["all"], abs=1e-3)
    assert (exported["checkpoint"], exported["model_hash"]) == (path.name, loaded.model_hash)
    folder = tmp_path / "folder"
    folder.mkdir()
    for crop in people.iterdir():
        (folder / crop.name.replace("_c2_", "_c8_")).write_bytes(crop.read_bytes())
    noted = evaluate(folder, path, tmp_path)["output"]
    assert "The network has no row for c8: their crops get the row for unknown cameras." in " ".join(noted.split())
    for options in (["--rows", "mean"], ["--site", str(path)], ["--attention", str(tmp_path / "a.png")]):
        with pytest.raises(InputError, match=rf"{options[0]}.* needs the \.safetensors checkpoint.*is an export"):
            evaluate(people, path, tmp_path, *options)


def test_pictures(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    ranked, attention = tmp_path / "ranked.png", tmp_path / "attention.png"
    options = [
        "--centre-cameras",
        "--ranked-lists",
        str(ranked),
        "--ranked-count",
        "3",
        "--attention",
        str(attention),
    ]
    evaluate(people, checkpoint, tmp_path, *options, "--attention-count", "2")
    with Image.open(ranked) as sheet:
        assert sheet.size == (11 * 78 + 18, 3 * 155 + 6)
        colours = {colour for _, colour in sheet.getcolors(maxcolors=2**24) or ()}
    assert {(26, 150, 65), (215, 48, 39)} <= colours
    with Image.open(attention) as sheet:
        assert sheet.size == (64 + 2 * 102, 3 * 198 + 6)


def test_a_peer_is_measured_on_the_same_crops(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the package openvino")
    from openvino import opset13 as ops

    image = ops.parameter([1, 3, 8, 4], np.float32, name="data")
    halves = ops.reshape(
        ops.reduce_mean(image, ops.constant(np.array([3]))), np.array([-1, 24]), special_zero=False
    )
    path = tmp_path / "colours.xml"
    openvino.save_model(openvino.Model([halves], [image], "colours"), str(path))
    figures = evaluate(people, checkpoint, tmp_path, "--peer", f"colours={path},imagenet", "--rerank")
    peer = figures["peers"]["colours"]
    assert peer["all"]["queries"] == 48
    assert set(peer) == {"all", "camera_pairs", "directions", "reranked"}
    assert peer["all"]["mAP"] != figures["all"]["mAP"]
    assert "colours" in figures["output"]
    with pytest.raises(InputError, match="every model needs a name of its own, but they are tiny, tiny"):
        evaluate(people, checkpoint, tmp_path, "--peer", f"tiny={path},imagenet")


def test_files_that_cannot_be_written_are_named(people: Path, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/found\.png cannot be written: "):
        evaluate(people, checkpoint, tmp_path, "--ranked-lists", str(tmp_path / "file" / "found.png"))
    with pytest.raises(InputError, match=r"found\.abc cannot be written: its name must end in \.png"):
        evaluate(people, checkpoint, tmp_path, "--ranked-lists", str(tmp_path / "found.abc"))


def test_without_a_checkpoint_it_is_the_one_that_comes_with_the_program(people: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("0000_c1_00", "0000_c2_00", "0001_c1_00", "0001_c2_00"):
        (few / f"{name}.png").write_bytes((people / f"{name}.png").read_bytes())
    target = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["evaluate", "--data", str(few), "--json", str(target), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert json.loads(target.read_text())["checkpoint"] == "transreid_open.safetensors"
