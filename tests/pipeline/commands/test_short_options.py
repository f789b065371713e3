"""Options that users of other trackers know."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from detectors.coco import COCO_CLASSES
from pipeline.assembly import open_sources
from pipeline.benchmark.simulation import SimulatedWorld
from pipeline.cli import app
from pipeline.commands.short_options import with_short_options
from pipeline.config import load_config
from pipeline.config.config import named_sources
from pipeline.core.errors import InputError
from pipeline.recorded.save_detections import DetectionSaver
from pipeline.recorded.track import track
from tests.helpers.media import grey_picture, write_pictures, write_video
from tests.helpers.simulated_run import SimulatedRun
from tests.pipeline.commands.test_cli import BLIND, exit_code, rows_of, write_boxes


def test_each_is_a_setting_and_set_wins() -> None:
    overrides = with_short_options(
        {"detector": {"confidence_min": 0.3}},
        conf=0.2,
        imgsz=320,
        device="cpu",
        classes="person, bicycle",
        half=False,
        start=1.0,
        end=2.0,
        stride=3,
    )
    config = load_config(None, overrides)
    assert config.detector.confidence_min == 0.3
    assert config.detector.image_size_px == 320
    assert (config.detector.device, config.embedder.device) == ("cpu", "cpu")
    assert config.detector.classes == ["person", "bicycle"]
    assert (config.detector.half, config.embedder.half) == (False, False)
    assert config.recording.model_dump() == {"start_s": 1.0, "end_s": 2.0, "stride": 3}
    assert with_short_options({}) == {}


@pytest.mark.parametrize("classes", ["", "person,,car", "0,"])
def test_a_class_without_a_name_is_refused(classes: str) -> None:
    with pytest.raises(InputError, match="expected names or numbers with commas"):
        with_short_options({}, classes=classes)


def test_classes_may_be_numbers_of_coco() -> None:
    assert with_short_options({}, classes="0,2")["detector"]["classes"] == ["person", "car"]
    with pytest.raises(InputError, match="numbers 0 to 79, but not 80"):
        with_short_options({}, classes="0,80")


def test_the_classes_of_coco_are_those_of_the_library() -> None:
    # Not imported: later tests need that the program does it first.
    library = find_spec("ultralytics")
    assert library is not None
    assert library.origin is not None
    names = yaml.safe_load((Path(library.origin).parent / "cfg/datasets/coco.yaml").read_text())["names"]
    assert list(COCO_CLASSES) == [names[number] for number in sorted(names)]


def test_a_window_must_not_be_empty() -> None:
    with pytest.raises(InputError, match=r"end_s 1\.0 is not after start_s 2\.0"):
        load_config(None, {"recording": {"start_s": 2.0, "end_s": 1.0}})


def test_a_part_of_recordings_is_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """24 frames at ten a second; from .5 s until 2 s every second one."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", [grey_picture(i % 8, (160, 120)) for i in range(24)])
        write_boxes(tmp_path / f"{name}.txt", frames=24)
    boxes = ["-d", "a=a.txt", "-d", "b=b.txt", *BLIND, "-o", "out"]
    part = ["--start", "0.5", "--end", "2", "--stride", "2"]
    assert exit_code("track", "a=a.mp4", "--source", "b=b.mp4", *boxes, *part) == 0
    frames = {camera: [] for camera in "ab"}
    for row in rows_of(Path("out") / "trajectories.csv"):
        frames[row["camera_id"]].append(int(row["frame_index"]))
    assert frames == {"a": list(range(6, 20, 2)), "b": list(range(6, 20, 2))}
    assert json.loads((tmp_path / "out" / "run.json").read_text())["config"]["recording"]["stride"] == 2
    # Frames that were not processed are not filled in, neither now nor when the cameras are linked again.
    fill = ["--set", "output.interpolate=true"]
    assert exit_code("track", "a=a.mp4", "b=b.mp4", *boxes, *part, *fill, "--overwrite") == 0
    assert len(rows_of(Path("out") / "trajectories.csv")) == 14
    assert exit_code("link", "out", "-o", "again") == 0
    assert len(rows_of(Path("again") / "trajectories.csv")) == 14


def test_a_part_is_scored_on_the_frames_that_were_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", [grey_picture(i % 8, (160, 120)) for i in range(24)])
    write_boxes(tmp_path / "a.txt", frames=24)
    (tmp_path / "truth.txt").write_text("".join(f"{i + 1},1,{10 + 3 * i},20,40,80,1\n" for i in range(24)))
    boxes = ["-d", "a=a.txt", *BLIND, "-o", "out"]
    score = ["evaluate", "-t", "out/trajectories.csv", "-g", "a=truth.txt", "--json", "scores.json"]
    assert exit_code("track", "a=a.mp4", *boxes, "--stride", "2") == 0
    assert exit_code(*score) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["all_cameras"]["idf1"] == 1.0
    assert "1 frame in 2" in capsys.readouterr().out
    assert exit_code("track", "a=a.mp4", *boxes, "--end", "1.2", "--overwrite") == 0
    assert exit_code(*score) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["all_cameras"]["idf1"] < 0.8
    said = " ".join(capsys.readouterr().out.split())
    assert "a part of its recordings, from the beginning to 1.2 s: people of the ground truth outside it" in said


def test_a_part_begins_at_the_beginning_unless_said_otherwise(tmp_path: Path) -> None:
    """Also of a camera whose recording began before second 0."""
    write_video(tmp_path / "a.mp4", [grey_picture(i % 8, (160, 120)) for i in range(24)])
    cameras = [{"name": "a", "source": str(tmp_path / "a.mp4"), "start_s": -1.0}]
    sources, _ = open_sources(load_config(None, {"cameras": cameras, "recording": {"stride": 2}}))
    assert [frame.frame_index for frame in sources[0]] == list(range(0, 24, 2))


def test_saved_detections_are_tracked_in_part_too(tmp_path: Path) -> None:
    world = SimulatedWorld(cameras=1)
    simulated = SimulatedRun(world, 60, settings={"output": {"save_embeddings": True}})
    with DetectionSaver(
        tmp_path, simulated.sources, simulated.models.detector, simulated.models.embedder
    ) as saver:
        simulated.into(tmp_path, save_tick=saver.save)
    limits = {"max_cosine_distance": 0.3, "max_centred_cosine_distance": None}
    config = load_config(
        None,
        {
            "recording": {"end_s": 2.0, "stride": 3},
            "tracker": {"max_cosine_distance": 0.3},
            "linker": limits,
            "second_pass": limits,
        },
    )
    summary = track(config, tmp_path / "out", detections={"cam1": tmp_path / "detections" / "cam1.parquet"})
    assert summary.frames == 7


def test_a_folder_of_videos_is_a_camera_for_each(tmp_path: Path) -> None:
    pictures = [np.zeros((32, 32, 3), np.uint8)] * 2
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("hall", "entrance"):
        write_video(videos / f"{name}.mp4", pictures)
    (videos / "notes.txt").touch()
    assert named_sources([str(videos)]) == [
        {"name": "entrance", "source": str(videos / "entrance.mp4")},
        {"name": "hall", "source": str(videos / "hall.mp4")},
    ]
    # With a name it is one camera, as it stands.
    assert named_sources([f"gate={videos}"]) == [{"name": "gate", "source": str(videos)}]
    write_pictures(tmp_path / "pictures", pictures)
    assert named_sources([str(tmp_path / "pictures")])[0]["source"] == str(tmp_path / "pictures")
    write_pictures(videos, pictures)
    with pytest.raises(InputError, match="holds images and videos"):
        named_sources([str(videos)])


def test_live_needs_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("live") == 2
    assert "there is no camera: give the address of each as SOURCE, or --config" in capsys.readouterr().err
    # Both are read before a model is loaded, and so is what is wrong with them.
    assert exit_code("live", "rtsp://u:secret@h/x", "--source", "rtsp://h/x", "-o", str(tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert "is named twice" in said
    assert "secret" not in said


def test_the_help_shows_them_together() -> None:
    for command in ("track", "live"):
        shown = CliRunner().invoke(app, [command, "--help"], prog_name="mtmc")
        assert "Short ways to settings" in shown.output
        assert "--imgsz" in shown.output
