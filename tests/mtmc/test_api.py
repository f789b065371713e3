"""What `import mtmc` gives: tracking, rows frame by frame, models of one's own."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import av
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
        mtmc.InputError, match="a frame belongs to camera 'c', but those of the configuration are a, b"
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
    parameters = inspect.signature(mtmc.YoloDetector).parameters
    for name in ("image_size_px", "confidence_min", "nms_iou", "max_batch", "max_detections", "device", "half"):
        assert parameters[name].default == getattr(settings, name), name
    detector = mtmc.YoloDetector(settings.weights)
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


def colour_embedder(change: Callable[[np.ndarray], np.ndarray]) -> ColourEmbedder:
    class Changed(ColourEmbedder):
        def embed(self, frames: Sequence[mtmc.Frame], xyxy: Sequence[np.ndarray]) -> list[mtmc.EmbeddedCrops]:
            return [mtmc.EmbeddedCrops(change(one.embeddings), one.valid) for one in super().embed(frames, xyxy)]

    return Changed()


class OfAnotherClass(BrightDetector):
    def detect(self, frames: Sequence[mtmc.Frame]) -> list[mtmc.Detections]:
        return [mtmc.Detections(one.xyxy, one.confidence, one.class_id + 2) for one in super().detect(frames)]


class OneTooFew(BrightDetector):
    def detect(self, frames: Sequence[mtmc.Frame]) -> list[mtmc.Detections]:
        return super().detect(frames)[1:]


@pytest.mark.parametrize(
    ("detector", "embedder", "message"),
    [
        pytest.param(
            BrightDetector(),
            colour_embedder(lambda v: v * np.float32(15)),
            r"a vector of length 15 for frame index \d+ of camera a",
            id="long vectors",
        ),
        pytest.param(
            BrightDetector(),
            colour_embedder(lambda v: v * np.float32(np.nan)),
            r"a vector of length nan",
            id="no numbers",
        ),
        pytest.param(
            OfAnotherClass(),
            ColourEmbedder(),
            r"class id 2 for frame index 0 of camera a, but its class_names are \{0: 'person'\}",
            id="unknown class",
        ),
        pytest.param(OneTooFew(), ColourEmbedder(), r"the detector returned 1 results for 2 frames", id="too few"),
    ],
)
def test_what_a_model_must_not_return_is_said_with_its_place(
    videos: Path, tmp_path: Path, detector: mtmc.Detector, embedder: mtmc.Embedder, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mtmc.track(config_of(videos), tmp_path / "out", detector=detector, embedder=embedder)


def test_members_may_be_set_in_the_constructor_and_those_that_lack_are_named() -> None:
    class Own(mtmc.Embedder):
        def __init__(self, dim: int) -> None:
            self.dim, self.model_hash = dim, f"own-{dim}"

        def embed(self, frames: Sequence[mtmc.Frame], xyxy: Sequence[np.ndarray]) -> list[mtmc.EmbeddedCrops]:
            return []

    own = Own(64)
    assert (own.dim, own.model_hash, own.rejected_crops, own.unknown_cameras) == (64, "own-64", 0, {})

    class NoDim(Own):
        def __init__(self) -> None:
            pass

    with pytest.raises(AttributeError, match="NoDim has no dim: set it to the length of an embedding"):
        NoDim().dim  # noqa: B018 - reading it is the test
    assert NoDim().model_hash.endswith("NoDim")

    class Nothing(mtmc.Detector):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing()  # type: ignore[abstract]


def test_limits_of_an_embedder_without_a_calibration_are_told(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cameras = mtmc.named_sources([f"a={videos / 'a.mp4'}"])
    config = mtmc.load_config(overrides={"cameras": cameras, "embedder": {"weights": str(tmp_path / "none")}})
    mtmc.track(config, tmp_path / "out", detector=BrightDetector(), embedder=ColourEmbedder())
    assert "the embedder has no calibration: two tracks up to the cosine distance 0.35" in caplog.text


def test_rows_of_a_recording_that_breaks_come_before_its_error(videos: Path, tmp_path: Path) -> None:
    with av.open(str(videos / "a.mp4")) as film:
        frames = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in film.decode(video=0)][:30]
    whole = write_video(tmp_path / "whole.avi", frames, codec="mpeg4").read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: int(len(whole) * 0.7)])
    cameras = mtmc.named_sources([f"a={cut}", f"b={videos / 'b.mp4'}"])
    config = mtmc.load_config(overrides={"cameras": cameras, **LIMITS})
    rows: list[mtmc.LinkedRow] = []
    tracked = mtmc.track_rows(config, detector=BrightDetector(), embedder=ColourEmbedder())
    with pytest.raises(mtmc.BrokenSource, match="camera a"):
        rows.extend(row for some in tracked for row in some)
    last = {camera: max(x.row.frame_index for x in rows if x.row.camera_id == camera) for camera in "ab"}
    assert last["a"] >= 10
    assert last["b"] == 109  # the other camera goes on to its end


def test_frames_of_another_size_begin_new_tracks() -> None:
    """The same view, later at half the size: the homography is of the first size."""
    camera = {"name": "a", "source": "a", "homography": [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]}
    config = mtmc.load_config(overrides={"cameras": [camera], **LIMITS})
    ticks = []
    for index in range(20):
        image = picture(RED, 0) if index < 10 else np.ascontiguousarray(picture(RED, 0)[::2, ::2])
        ticks.append([mtmc.Frame("a", index, index / 10, (image.shape[1], image.shape[0]), image)])
    tracked = mtmc.track_rows(config, ticks, detector=BrightDetector(), embedder=ColourEmbedder())
    rows = [row.row for some in tracked for row in some]
    assert {row.track_id for row in rows} == {1, 2}
    places = {row.track_id: row.world_xy_m for row in rows}
    assert places[1] == pytest.approx(places[2], abs=0.02)
    cropped = mtmc.load_config(overrides={"cameras": [{"name": "a", "source": "a", "crop_xyxy_px": [0, 0, 9, 9]}]})
    with pytest.raises(mtmc.InputError, match="crop_xyxy_px is for recordings"):
        list(mtmc.track_rows(cropped, ticks, detector=BrightDetector(), embedder=ColourEmbedder()))


def test_an_embedder_of_a_file() -> None:
    embedder = mtmc.NetworkEmbedder.from_file(mtmc.load_config().embedder.weights)  # type: ignore[arg-type]
    crops = embedder.embed_images([picture(RED, 0)[60:220]])
    assert crops.embeddings.shape == (1, embedder.dim)
