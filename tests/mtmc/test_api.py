"""What `import mtmc` gives: tracking, rows frame by frame, models of one's own."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

import mtmc
from pipeline.benchmark.simulation import SimulatedWorld
from tests.architecture.import_graph import ROOT
from tests.helpers.media import write_video

LIMITS = {
    "tracker": {"max_cosine_distance": 0.3},
    "linker": {"max_cosine_distance": 0.3, "max_centred_cosine_distance": None},
    "second_pass": {"max_cosine_distance": 0.3, "max_centred_cosine_distance": None},
}


class BrightDetector(mtmc.Detector):
    """A model of one's own, as short as it can be: the one bright rectangle of a picture is a person."""

    def detect(self, frames: Sequence[mtmc.Frame]) -> list[mtmc.Detections]:
        found = []
        for frame in frames:
            assert frame.image is not None
            rows, columns = np.nonzero(frame.image.max(axis=2) > 100)
            corners = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]] if len(rows) else []
            boxes = np.array(corners, np.float32).reshape(-1, 4)
            count = len(boxes)
            found.append(mtmc.Detections(boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int64)))
        return found


class ColourEmbedder(mtmc.Embedder):
    """The mean colour of the box."""

    dim = 3

    def embed(self, frames: Sequence[mtmc.Frame], xyxy: Sequence[np.ndarray]) -> list[mtmc.EmbeddedCrops]:
        results = []
        for frame, boxes in zip(frames, xyxy, strict=True):
            assert frame.image is not None
            vectors = np.zeros((len(boxes), 3), np.float32)
            for vector, (x1, y1, x2, y2) in zip(vectors, boxes.astype(int), strict=True):
                vector[:] = frame.image[y1:y2, x1:x2].reshape(-1, 3).mean(axis=0)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            results.append(mtmc.EmbeddedCrops(vectors / lengths, np.ones(len(boxes), np.bool_)))
        return results


def picture(colour: tuple[int, int, int] | None, step: int) -> np.ndarray:
    """320x240; somebody walks to the right, 6 px a step, and looks a little greener at each: views of one side alone
    do not decide online."""
    image = np.full((240, 320, 3), 20, np.uint8)
    if colour is not None:
        blue, _, red = colour
        cv2.rectangle(image, (20 + 6 * step, 80), (60 + 6 * step, 200), (blue, 4 * step, red), -1)
    return image


RED, BLUE = (0, 0, 220), (220, 0, 0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody in red in camera a, then in b; somebody in blue in b afterwards. Ten frames a second."""
    folder = tmp_path_factory.mktemp("videos")
    nobody = [picture(None, 0)] * 10
    red, blue = ([picture(colour, step) for step in range(30)] for colour in (RED, BLUE))
    write_video(folder / "a.mp4", [*red, *nobody, *nobody, *nobody, *nobody, *nobody, *nobody, *nobody, *nobody])
    write_video(folder / "b.mp4", [*nobody, *nobody, *nobody, *nobody, *red, *nobody, *blue])
    return folder


def config_of(folder: Path) -> mtmc.Config:
    cameras = mtmc.named_sources([f"a={folder / 'a.mp4'}", f"b={folder / 'b.mp4'}"])
    return mtmc.load_config(overrides={"cameras": cameras, **LIMITS})


def test_models_of_ones_own_track_people_across_cameras(videos: Path, tmp_path: Path) -> None:
    summary = mtmc.track(
        config_of(videos), str(tmp_path / "out"), detector=BrightDetector(), embedder=ColourEmbedder()
    )
    assert isinstance(summary, mtmc.RunSummary)
    assert summary.global_ids == 2
    assert summary.hashes == {
        "detector": "tests.mtmc.test_api.BrightDetector",
        "embedder": "tests.mtmc.test_api.ColourEmbedder",
    }
    cameras = defaultdict(set)
    for linked in mtmc.read_trajectories(str(tmp_path / "out" / "trajectories.csv")):
        assert linked.row.class_name == "person"
        cameras[linked.link.global_id].add(linked.row.camera_id)
    assert sorted(map(sorted, cameras.values())) == [["a", "b"], ["b"]]


def test_saved_detections_and_a_detector_exclude_each_other(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(mtmc.InputError, match="`detections` or `detector`, not both"):
        mtmc.track(
            config_of(videos), tmp_path, detector=BrightDetector(), detections={"a": tmp_path / "a.parquet"}
        )


def test_rows_frame_by_frame_are_those_of_the_recordings(videos: Path) -> None:
    models = {"detector": BrightDetector(), "embedder": ColourEmbedder()}
    of_recordings = [row for rows in mtmc.track_rows(config_of(videos), **models) for row in rows]
    # The first rows of a track may carry an id of its own.
    last = {(one.row.camera_id, one.row.track_id): one.link.global_id for one in of_recordings}
    assert sorted(last) == [("a", 1), ("b", 1), ("b", 2)]
    assert last["a", 1] == last["b", 1] != last["b", 2]
    ticks = []
    captures = {name: cv2.VideoCapture(str(videos / f"{name}.mp4")) for name in "ab"}
    for index in range(110):
        tick = []
        for name, capture in captures.items():
            more, image = capture.read()
            if more:
                tick.append(mtmc.Frame(name, index, index / 10, (320, 240), np.asarray(image, np.uint8)))
        ticks.append(tick)
    by_hand = [row for rows in mtmc.track_rows(config_of(videos), ticks, **models) for row in rows]
    assert [(x.row.camera_id, x.row.frame_index, x.link.global_id) for x in by_hand] == [
        (x.row.camera_id, x.row.frame_index, x.link.global_id) for x in of_recordings
    ]


def test_a_frame_of_a_camera_that_is_not_configured_is_refused(videos: Path) -> None:
    frame = mtmc.Frame("c", 0, 0.0, (320, 240), picture(RED, 0))
    with pytest.raises(
        mtmc.InputError, match="a frame is of the camera 'c', but those of the configuration are a, b"
    ):
        list(mtmc.track_rows(config_of(videos), [[frame]], detector=BrightDetector(), embedder=ColourEmbedder()))


def test_pictures_of_people_are_embedded(tmp_path: Path) -> None:
    files = []
    for number, colour in enumerate((RED, RED, BLUE)):
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), picture(colour, number)[60:220])
    embeddings = mtmc.embed_images(files)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    assert embeddings[0] @ embeddings[1] > embeddings[0] @ embeddings[2]
    assert mtmc.embed_images([]).shape == (0, embeddings.shape[1])
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(mtmc.InputError, match=r"text\.png is not a picture"):
        mtmc.embed_images([tmp_path / "text.png"])
    with pytest.raises(mtmc.InputError, match=r"none\.png: cannot be read"):
        mtmc.embed_images([tmp_path / "none.png"])


def test_a_detector_without_settings_has_those_of_the_default_configuration() -> None:
    settings = mtmc.load_config().detector
    detector = mtmc.YoloDetector(settings.weights)
    assert detector._arguments["conf"] == settings.confidence_min
    assert detector._arguments["iou"] == settings.nms_iou
    assert detector._arguments["max_det"] == settings.max_detections
    assert detector._arguments["imgsz"] == settings.image_size_px
    assert detector._batch == settings.max_batch
    assert list(detector.class_names.values()) == settings.classes


def test_the_worlds_models_fulfil_the_protocols() -> None:
    world = SimulatedWorld(cameras=1)
    detector: mtmc.Detector = world.detector()
    embedder: mtmc.Embedder = world.embedder()
    assert (detector.model_hash, embedder.model_hash) == ("fake", "fake")


def test_every_name_is_there_and_the_import_itself_loads_nothing() -> None:
    assert [name for name in mtmc.__all__ if not hasattr(mtmc, name)] == []
    assert dir(mtmc) == mtmc.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mtmc.nothing  # noqa: B018 - reading it is the test
    code = "import mtmc, sys; print([name for name in ('torch', 'numpy', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_packages_of_others_with_the_same_names(tmp_path: Path) -> None:
    """The command goes on; a program is told."""
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    front = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; "
    command = front + "sys.argv = ['mtmc', '--version']; from mtmc.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout[:5]) == (0, "mtmc "), done.stderr
    done = subprocess.run(
        [sys.executable, "-c", front + "import mtmc; mtmc.track"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "another package named 'detectors'" in done.stderr.splitlines()[-1]
    assert "uninstall it" in done.stderr.splitlines()[-1]
