"""A teacher's features: from an OpenVINO network or a checkpoint made here."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file

from pipeline.core.errors import InputError
from pipeline.core.network_input import INPUT_PRESETS
from reid.checkpoints import INPUT_MEAN, save_checkpoint
from reid.datasets import CropSet, read_dataset, read_rgb
from reid.models.transreid import TransReID, TransReIDConfig
from reid.training.losses import similarity_matching_loss
from reid.training.teacher import Teacher, parse_teacher, refuse_other_teachers, teacher_features, teacher_states
from reid.training.train import train
from reid.training.transforms import EvaluationTransform
from tests.helpers.tiny_training import draw_people, tiny_config


@pytest.mark.parametrize(
    ("title", "features", "teacher", "expected"),
    [
        ("same angles, other lengths", [[2.0, 0.0], [0.0, 5.0]], [[0.0, 1.0], [1.0, 0.0]], 0.0),
        ("student sees one, teacher two", [[1.0, 0.0], [3.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], 1.0),
        ("opposite and alike", [[1.0, 0.0], [-1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], 4.0),
    ],
)
def test_similarity_matching_is_the_mean_squared_difference_of_cosines(
    title: str, features: list[list[float]], teacher: list[list[float]], expected: float
) -> None:
    loss = similarity_matching_loss(torch.tensor(features), torch.tensor(teacher))
    assert loss.item() == pytest.approx(expected, abs=1e-6), title


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Two people in two cameras: one red, one blue."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for person, colour in ((1, (200, 0, 0)), (2, (0, 0, 100))):
        for camera in (1, 2):
            Image.new("RGB", (20, 40), colour).save(folder / f"{person:04d}_c{camera}_00.jpg", quality=100)
    return folder


@pytest.fixture
def colour_network(tmp_path: Path) -> Path:
    """A network that returns the mean of each channel of its (1, 3, 8, 4) BGR input."""
    openvino = pytest.importorskip("openvino", reason="needs the package openvino")
    from openvino import opset13 as ops

    image = ops.parameter([1, 3, 8, 4], np.float32, name="data")
    mean = ops.reduce_mean(image, ops.constant(np.array([2, 3])), keep_dims=True)
    path = tmp_path / "colours.xml"
    openvino.save_model(openvino.Model([mean], [image], "colours"), str(path))
    return path


def test_features_are_those_of_the_network_in_the_order_of_the_crops(
    crops: Path, colour_network: Path, tmp_path: Path
) -> None:
    dataset = read_dataset(crops).train
    features = teacher_features(Teacher(colour_network), dataset, tmp_path)
    # Blue, green, red: person 1 is red, person 2 blue.
    expected = [[0, 0, 1] if crop.person_id == 1 else [1, 0, 0] for crop in dataset.crops]
    np.testing.assert_allclose(features, expected, atol=0.02)


def test_a_checkpoint_of_this_project_is_a_teacher(crops: Path, tmp_path: Path) -> None:
    """Its crops have the rows of their own cameras: c1 and c2 by name."""
    torch.manual_seed(0)
    config = TransReIDConfig(width=32, depth=2, heads=2, image_size=(32, 16), cameras=2, unknown_row=True)
    model = TransReID(config).eval()
    path = tmp_path / "own.safetensors"
    save_checkpoint(path, model, camera_names=("c2", "c1"), input_std=(0.25, 0.25, 0.25))
    dataset = read_dataset(crops).train
    features = teacher_features(Teacher(path), dataset, tmp_path)
    transform = EvaluationTransform((32, 16), INPUT_MEAN, (0.25, 0.25, 0.25))
    for row, crop in zip(features, dataset.crops, strict=True):
        camera = torch.tensor([{"c2": 0, "c1": 1}[crop.camera]])
        with torch.inference_mode():
            expected = model(transform(read_rgb(crop.path))[None], camera)[0]
        np.testing.assert_allclose(row, expected / expected.norm(), atol=1e-5)


def test_a_file_of_tensors_that_is_no_checkpoint_is_refused(crops: Path, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "backbone.safetensors")
    with pytest.raises(InputError, match=r"backbone\.safetensors"):
        teacher_features(Teacher(tmp_path / "backbone.safetensors"), read_dataset(crops).train, tmp_path)


def test_an_export_beside_a_checkpoint_makes_it_no_other_teacher(tmp_path: Path) -> None:
    model = tmp_path / "own.safetensors"
    model.write_bytes(b"weights")
    before = teacher_states([Teacher(model)])
    (tmp_path / "own.bin").write_bytes(b"of own.xml")
    assert teacher_states([Teacher(model)]) == before


def test_features_are_computed_once_for_a_network_and_its_crops(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many other crops, or another network under the same name, are embedded anew."""
    embedded: list[str] = []

    def embed(model: Path, crops: CropSet, pixels: str, *, description: str) -> NDArray[np.float32]:
        embedded.append(model.with_suffix(".bin").read_text())
        return np.full((len(crops), 2), len(embedded), np.float32)

    monkeypatch.setattr("reid.training.teacher.network_features", embed)
    network, weights = tmp_path / "net.xml", tmp_path / "net.bin"
    network.write_text("<net/>")
    weights.write_text("one")
    dataset = read_dataset(crops).train
    assert (teacher_features(Teacher(network), dataset, tmp_path) == 1).all()
    assert (teacher_features(Teacher(network), dataset, tmp_path) == 1).all()
    weights.write_text("two")
    assert (teacher_features(Teacher(network), dataset, tmp_path) == 2).all()
    (crops / "0001_c1_00.jpg").rename(crops / "0001_c1_01.jpg")
    assert (teacher_features(Teacher(network), read_dataset(crops).train, tmp_path) == 3).all()
    assert (
        teacher_features(Teacher(network, INPUT_PRESETS["imagenet"]), read_dataset(crops).train, tmp_path) == 4
    ).all()
    assert embedded == ["one", "two", "two", "two"]


def test_other_identities_or_other_data_sets_beside_a_set_need_no_new_features(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainings that leave out one place each embed every data set once."""
    calls: list[int] = []

    def embed(model: Path, crops: CropSet, pixels: str, *, description: str) -> NDArray[np.float32]:
        calls.append(len(crops))
        return np.ones((len(crops), 2), np.float32)

    monkeypatch.setattr("reid.training.teacher.network_features", embed)
    network = tmp_path / "net.xml"
    network.write_text("<net/>")
    dataset = read_dataset(crops).train
    teacher_features(Teacher(network), dataset, tmp_path)
    renumbered = CropSet(tuple(replace(crop, person_id=crop.person_id + 100) for crop in dataset.crops))
    teacher_features(Teacher(network), renumbered, tmp_path)
    assert calls == [len(dataset)]
    other_cameras = CropSet(tuple(replace(crop, camera=f"shop/{crop.camera}") for crop in dataset.crops))
    teacher_features(Teacher(network), other_cameras, tmp_path)
    assert calls == [len(dataset), len(dataset)]


@pytest.mark.parametrize(
    ("began", "resumed", "words"),
    [
        pytest.param("a.xml", "a.xml", None, id="the same"),
        pytest.param("a.xml", "moved/a2.xml", None, id="the same elsewhere"),
        pytest.param(None, None, None, id="none"),
        pytest.param(
            "a.xml", None, r"the teacher a\.xml .* now there is no teacher; .*--teacher a\.xml", id="lost"
        ),
        pytest.param("a.xml", "b.xml", r"the teacher a\.xml .* the teacher b\.xml", id="another"),
        pytest.param(None, "b.xml", "with no teacher, .* resume without --teacher", id="a new one"),
        pytest.param("a.xml", "none.xml", r"none\.xml cannot be read: No such file", id="missing"),
    ],
)
def test_a_run_goes_on_with_its_own_teacher(
    tmp_path: Path, began: str | None, resumed: str | None, words: str | None
) -> None:
    (tmp_path / "moved").mkdir()
    for name in ("a.xml", "moved/a2.xml", "b.xml"):
        (tmp_path / name).write_text(f"<net{'b' if name == 'b.xml' else ''}/>")
    first, then = ([] if name is None else [Teacher(tmp_path / name)] for name in (began, resumed))
    with nullcontext() if words is None else pytest.raises(InputError, match=words):
        refuse_other_teachers({"teachers": teacher_states(first)}, then, tmp_path / "last.pt")


def test_the_order_of_teachers_is_part_of_a_run(tmp_path: Path) -> None:
    """Each has a layer of its own that finds its features."""
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text(f"<{name}/>")
    a, b = (Teacher(tmp_path / name) for name in ("a.xml", "b.xml"))
    refuse_other_teachers({"teachers": teacher_states([a, b])}, [a, b], tmp_path)
    with pytest.raises(InputError, match=r"a\.xml .* and the teacher b\.xml .*--teacher a\.xml --teacher b\.xml"):
        refuse_other_teachers({"teachers": teacher_states([a, b])}, [b, a], tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net.xml", Teacher(Path("net.xml"))),
        ("net.onnx,imagenet", Teacher(Path("net.onnx"), INPUT_PRESETS["imagenet"])),
    ],
)
def test_a_teacher_states_its_input_unless_it_is_bgr255(text: str, expected: Teacher) -> None:
    assert parse_teacher(text) == expected
    assert Teacher(Path("net.xml")).input == INPUT_PRESETS["bgr255"]


def test_resuming_without_the_teacher_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tmp_path / "net.xml"
    network.write_text("<net/>")
    monkeypatch.setattr(
        "reid.training.teacher.network_features", lambda model, crops, *_, **__: np.eye(len(crops), 8, dtype="f4")
    )

    def start(*, teacher: Path | None, resume: bool) -> None:
        train(
            tiny_config(schedule={"epochs": 1}),
            data={"": people},
            folder=tmp_path / "run",
            teachers=[] if teacher is None else [Teacher(teacher)],
            resume=resume,
            device=torch.device("cpu"),
            console=Console(quiet=True),
        )

    people = draw_people(tmp_path / "people", 16)
    start(teacher=network, resume=False)
    with pytest.raises(InputError, match=r"belongs to a run with the teacher net\.xml"):
        start(teacher=None, resume=True)
    start(teacher=network, resume=True)


def test_a_file_that_is_no_network_is_refused(crops: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs the package openvino")
    (tmp_path / "no.xml").write_text("<a/>")
    (tmp_path / "no.bin").touch()
    with pytest.raises(InputError, match=r"no\.xml is not a readable OpenVINO network"):
        teacher_features(Teacher(tmp_path / "no.xml"), read_dataset(crops).train, tmp_path)
