"""Runs with several classes: what is counted, what is embedded, what is linked, and what is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import main
from pipeline.config.config import load_config
from pipeline.core.datatypes import Detections, Frame
from pipeline.core.fake_models import FakeDetector, FakeEmbedder
from pipeline.core.models import PEOPLE, named_in
from pipeline.recorded.run_summary import ClassCounts, RunSummary
from pipeline.recorded.track import track
from tests.helpers.factories import make_detections
from tests.helpers.media import write_video
from tests.helpers.simulated_run import ONLINE, SimulatedRun, csv_rows, person_of

WORLD = SimulatedWorld(cameras=3, people=6)
FRAMES = 600
NAMES = {0: "person", 2: "car"}


def detector() -> FakeDetector:
    """Finds everybody of the world; every second one is a car."""

    def boxes_of(frame: Frame) -> Detections:
        present = WORLD.people_in(frame.camera_id, frame.time_s)
        return make_detections(
            [xyxy for _, xyxy in present], class_id=[2 if person % 2 == 0 else 0 for person, _ in present]
        )

    return FakeDetector(boxes_of, NAMES)


def embedder(*classes: str) -> FakeEmbedder:
    made = WORLD.embedder()
    made.classes = classes
    return made


def said(summary: RunSummary) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(summary.tables())
    return captured.get()


def ids_of_cars(folder: Path) -> dict[int, set[str]]:
    """Car -> its global ids."""
    ids: dict[int, set[str]] = {}
    for row in csv_rows(folder):
        if row["class_name"] == "car":
            ids.setdefault(person_of(WORLD, row), set()).add(row["global_id"])
    return ids


def test_a_class_without_a_model_is_counted_apart_and_not_linked_by_appearance(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    summary = SimulatedRun(WORLD, FRAMES, detector=detector()).into(tmp_path)
    people, cars = summary.classes["person"], summary.classes["car"]
    # Eleven enter in 60 s: six people, each with one id in all cameras, and five cars with a new id in each camera.
    assert people.global_ids == 6
    assert cars.global_ids == cars.tracks == sum(len(ids) for ids in ids_of_cars(tmp_path).values()) > 5
    assert summary.global_ids == people.global_ids + cars.global_ids
    assert people.boxes + cars.boxes == sum(counts.boxes for counts in summary.cameras.values())
    assert people.tracks + cars.tracks == sum(counts.tracks for counts in summary.cameras.values())
    assert summary.unembedded_classes == ["car"]
    text = said(summary)
    # Nothing links a car: there are no floor positions.
    assert cars.fragments == cars.tracks
    assert people.fragments == 0
    words = f"6 objects (car 0, person 6) and {cars.tracks} fragments over all cameras"
    assert f"{words} ({summary.global_ids} global ids)" in text
    assert "Linked by floor positions and time alone, without embeddings: car" in text
    assert "the re-identification model is not for car" in caplog.text
    note = json.loads((tmp_path / "run.json").read_text())
    assert note["classes"]["car"] == {
        "boxes": cars.boxes,
        "tracks": cars.tracks,
        "global_ids": cars.global_ids,
        "fragments": cars.fragments,
    }
    assert note["unembedded_classes"] == ["car"]


def test_an_embedder_for_both_classes_links_both(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    both = embedder("person", "car")
    summary = SimulatedRun(WORLD, FRAMES, detector=detector(), embedder=both).into(tmp_path)
    assert {name: counts.global_ids for name, counts in summary.classes.items()} == {"person": 6, "car": 5}
    assert {len(ids) for ids in ids_of_cars(tmp_path).values()} == {1}
    assert "without embeddings" not in said(summary)
    assert caplog.text == ""


def test_an_embedder_for_cars_only_leaves_people_to_floor_and_time(tmp_path: Path) -> None:
    summary = SimulatedRun(WORLD, FRAMES, detector=detector(), embedder=embedder("car")).into(tmp_path)
    assert summary.classes["car"].global_ids == 5
    assert summary.classes["person"].global_ids == summary.classes["person"].tracks > 6
    assert summary.unembedded_classes == ["person"]


def test_online_ids_are_counted_by_class_too(tmp_path: Path) -> None:
    summary = SimulatedRun(WORLD, 300, detector=detector(), settings=ONLINE).into(tmp_path)
    by_class: dict[str, set[str]] = {}
    for row in csv_rows(tmp_path):
        by_class.setdefault(row["class_name"], set()).add(row["global_id"])
    assert {name: counts.global_ids for name, counts in summary.classes.items()} == {
        name: len(ids) for name, ids in by_class.items()
    }


def test_an_embedder_that_names_no_classes_is_for_people(tmp_path: Path) -> None:
    class Old:
        """As written before embedders named classes."""

        def __init__(self) -> None:
            made = WORLD.embedder()
            self.embed, self.dim, self.model_hash = made.embed, made.dim, made.model_hash
            self.computation, self.rejected_crops, self.unknown_cameras = None, 0, {}

    old = Old()
    summary = SimulatedRun(WORLD, 300, detector=detector(), embedder=old).into(tmp_path)  # type: ignore[arg-type]
    assert summary.unembedded_classes == ["car"]
    assert summary.classes["person"].global_ids < summary.classes["person"].tracks


@pytest.mark.parametrize(
    ("detector", "classes", "embedded"),
    [
        (["Pedestrian", "car"], PEOPLE, {"Pedestrian"}),
        (["person", "van"], ["Van"], {"van"}),
        (["head"], PEOPLE, set()),
    ],
)
def test_classes_are_found_by_name(detector: list[str], classes: list[str], embedded: set[str]) -> None:
    assert named_in(detector, classes) == embedded


def test_a_text_instead_of_a_list_of_classes_is_refused(tmp_path: Path) -> None:
    made = WORLD.embedder()
    made.classes = "person"
    with pytest.raises(ValueError, match=r"classes must be a list of names, but are the text 'person'"):
        SimulatedRun(WORLD, 10, embedder=made).into(tmp_path)


def test_saved_embeddings_are_those_of_the_embedders_classes(tmp_path: Path) -> None:
    seen: set[tuple[int, bool]] = set()

    def note(tick: object) -> None:
        for _, found in tick:  # type: ignore[attr-defined]
            if found.embedded is not None:
                seen.update(zip(found.class_id.tolist(), found.embedded.tolist(), strict=True))

    settings = {"output": {"save_detections": True, "save_embeddings": True}}
    saving = SimulatedRun(WORLD, 200, detector=detector(), settings=settings).into(tmp_path / "a", save_tick=note)
    plain = SimulatedRun(WORLD, 200, detector=detector()).into(tmp_path / "b")
    assert seen == {(0, True), (2, False)}
    assert csv_rows(tmp_path / "a") == csv_rows(tmp_path / "b")
    assert saving.classes == plain.classes


def test_embeddings_of_other_classes_in_files_are_not_used(tmp_path: Path) -> None:
    made = WORLD.embedder()

    def with_embeddings(frame: Frame) -> Detections:
        found = detector().detect([frame])[0]
        (crops,) = made.embed([frame], [found.xyxy])
        return replace(found, embeddings=crops.embeddings, embedded=crops.valid)

    run = SimulatedRun(WORLD, FRAMES, detector=FakeDetector(with_embeddings, NAMES), embedder=None)
    run.models = replace(run.models, replayed_hash="fake")
    summary = run.into(tmp_path)
    assert summary.classes["person"].global_ids == 6
    assert summary.classes["car"].global_ids == summary.classes["car"].tracks
    assert summary.unembedded_classes == ["car"]


def test_link_counts_the_classes_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = SimulatedRun(WORLD, 300, detector=detector(), embedder=embedder("person", "car")).into(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["link", str(tmp_path), "--overwrite", "--set", "second_pass.max_cosine_distance=0.0001"])
    assert not stop.value.code
    counted = json.loads((tmp_path / "run.json").read_text())["classes"]
    assert {name: counts["tracks"] for name, counts in counted.items()} == {
        name: counts.tracks for name, counts in summary.classes.items()
    }
    # With such a limit, nothing is joined.
    assert all(counts["global_ids"] == counts["tracks"] for counts in counted.values())
    car, person = counted["car"]["global_ids"], counted["person"]["global_ids"]
    assert f"are {car + person} objects (car {car}, person {person});" in " ".join(capsys.readouterr().out.split())


def test_people_alone_are_people() -> None:
    summary = RunSummary(classes={"person": ClassCounts(boxes=9, tracks=2)})
    summary.set_global_ids({"person": 2})
    assert "2 people over all cameras (2 global ids)" in said(summary)
    assert "Classes" not in said(summary)


@pytest.mark.parametrize("names", [{0: "person"}, {0: "person", 2: "car"}])
def test_the_video_names_the_classes_if_there_are_several(tmp_path: Path, names: dict[int, str]) -> None:
    """The label of the person is longer then; the box of the car is far away from it."""
    write_video(tmp_path / "a.mp4", [np.zeros((360, 640, 3), np.uint8)] * 10, frame_rate=10)
    boxes, ids = [(100, 100, 160, 300), (500, 100, 600, 200)], [0, 2]
    found = make_detections(boxes[: len(names)], class_id=ids[: len(names)])
    config = load_config(
        None,
        {
            "cameras": [{"name": "a", "source": str(tmp_path / "a.mp4")}],
            "output": {"video": True},
            "embedder": {"weights": None},
        },
    )
    track(config, tmp_path / "out", detector=FakeDetector(lambda frame: found, names))
    with av.open(str(tmp_path / "out" / "trajectories.mp4")) as video:
        picture = next(video.decode(video=0)).to_ndarray(format="bgr24")
    bar = picture.shape[0] - 360
    label = picture[bar + 80 : bar + 97, 98:300].max(axis=(0, 2)) > 60
    # "1" or "person 1": the label is wider than the box.
    assert (label.nonzero()[0].max() > 60) == (len(names) > 1)
