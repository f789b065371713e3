"""A CAMPUS sequence made up: two cameras whose focal lengths and directions are not quite what the metadata says."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.benchmark.campus import fit_cameras, read_views
from pipeline.benchmark.campus_cameras import PERSON_HEIGHT_M, CameraPose, projection
from pipeline.cli import main
from pipeline.core.errors import InputError
from pipeline.floor.fit_homography import apply_homography

SIZE_WH = (1920, 1080)
FRAMES, PEOPLE = 300, 6
# What is told of a camera, its true pose, and its true focal length in px.
CAMERAS = {
    "view-A": (CameraPose((0, 0, 2.5), 0, -10), CameraPose((0, 0, 2.5), 3, -8), 1300.0),
    "view-B": (CameraPose((10, 8, 3.0), 90, -10), CameraPose((10, 8, 3.0), 86, -13), 1100.0),
}


def positions_m(frame: int) -> NDArray[np.float64]:
    """(PEOPLE, 2): everybody walks on a circle of their own in what both cameras see."""
    phase = np.arange(PEOPLE) + frame / 40
    centre = np.array([[-1.5, 7], [0.5, 9], [1.5, 7.5], [-0.5, 10.5], [0, 6.5], [1, 11]])
    return centre + 0.8 * np.stack([np.cos(phase), np.sin(phase)], axis=1)


def boxes_px(camera: NDArray[np.float64], frame: int) -> NDArray[np.float64]:
    """(PEOPLE, 4) xyxy."""
    floor = positions_m(frame)
    ends = []
    for height in (0.0, PERSON_HEIGHT_M):
        world = np.column_stack([floor, np.full(PEOPLE, height), np.ones(PEOPLE)])
        ends.append((world @ camera.T)[:, :2] / (world @ camera.T)[:, 2:])
    feet, head = ends
    half = (feet[:, 1] - head[:, 1]) / 6
    return np.column_stack([feet[:, 0] - half, head[:, 1], feet[:, 0] + half, feet[:, 1]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campus")
    told = []
    for name, (claimed, true, focal_px) in CAMERAS.items():
        x, y, z = claimed.position_m
        told.append(
            f"<{name}><SensorPosition><CartesianMetricPoint><x>{x}</x><y>{y}</y><z>{z}</z></CartesianMetricPoint>"
            f"</SensorPosition><SensorOrientation><Azimuth>{claimed.azimuth_deg}</Azimuth>"
            f"<Elevation>{claimed.elevation_deg}</Elevation></SensorOrientation></{name}>"
        )
        camera = projection(true, focal_px, (SIZE_WH[0] / 2, SIZE_WH[1] / 2))
        truth, frames = [], []
        for frame in range(FRAMES):
            found = []
            for person, (x1, y1, x2, y2) in enumerate(boxes_px(camera, frame).tolist()):
                truth.append(f'{person} {x1:.0f} {y1:.0f} {x2:.0f} {y2:.0f} {frame} 0 0 0 "PERSON"\n')
                shares = {"left": x1 / 1920, "top": y1 / 1080, "right": x2 / 1920, "bottom": y2 / 1080}
                found.append({"bbox": shares, "confidence": 0.9, "class_name": "person"})
            truth.append(f'{PEOPLE} 0 0 9 9 {frame} 1 0 0 "PERSON"\n')  # not in the picture
            frames.append({"frame_number": frame, "detections": found})
        content = {
            "video_info": {"width": 1920, "height": 1080, "fps": 20.0, "total_frames": FRAMES},
            "frames": frames,
        }
        (folder / f"{name}.txt.gz").write_bytes(gzip.compress("".join(truth).encode()))
        (folder / f"{name}-rendered.detections.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    (folder / "scene_metadata.xml").write_text(f"<Metadata>{''.join(told)}</Metadata>")
    return folder


def test_people_seen_by_two_views_calibrate_them(folder: Path) -> None:
    views = read_views(folder)
    assert [view.name for view in views] == list(CAMERAS)
    assert sorted(set(views[0].ids.tolist())) == list(range(PEOPLE))
    homographies, (overlap,) = fit_cameras(views, folder, until=100)
    assert overlap.views == ("view-A", "view-B")
    # Boxes are whole pixels, of which one is some centimetres on the floor.
    assert overlap.fitted_m < 0.1
    assert overlap.rest_m < 0.1
    for view in views:
        rows = view.frame_index == 200
        xyxy = view.xyxy[rows]
        feet = np.column_stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]])
        # Where a camera looks is only half known, so the whole floor may be turned by a little.
        assert (
            np.linalg.norm(apply_homography(homographies[view.name], feet) - positions_m(200), axis=1).max() < 0.5
        )


def test_floor_positions_link_the_views_of_a_prepared_set(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everybody is in both views all the time: not linked, at most half of the boxes have the right id."""
    for arguments in (
        ["benchmark", "campus", str(folder), "--output", str(tmp_path / "set")],
        [
            "benchmark",
            "trackers",
            str(tmp_path / "set" / "set.yaml"),
            "--no-peers",
            "--json",
            str(tmp_path / "x.json"),
        ],
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert not stop.value.code
    assert "in the rest" in capsys.readouterr().out
    online, offline = json.loads((tmp_path / "x.json").read_text())["set"]
    assert online["scores"]["not_linked"]["idf1"] < 0.55
    assert online["scores"]["all_cameras"]["idf1"] > 0.8
    assert offline["scores"]["all_cameras"]["idf1"] > 0.95
    # The second time the folder is not written over.
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", "campus", str(folder), "--output", str(tmp_path / "set")])
    assert stop.value.code == 2


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the files of a CAMPUS sequence"):
        read_views(tmp_path)
    (tmp_path / "view-A.txt.gz").write_bytes(gzip.compress(b"1 2 3"))
    with pytest.raises(InputError, match="view-A is not a view"):
        read_views(tmp_path)


@pytest.mark.parametrize("missing", ["width", "fps", "total_frames"])
def test_detections_that_do_not_say_what_they_are_of(folder: Path, tmp_path: Path, missing: str) -> None:
    name = "view-A-rendered.detections.json.gz"
    content = json.loads(gzip.decompress((folder / name).read_bytes()))
    del content["video_info"][missing]
    (tmp_path / name).write_bytes(gzip.compress(json.dumps(content).encode()))
    (tmp_path / "view-A.txt.gz").write_bytes((folder / "view-A.txt.gz").read_bytes())
    with pytest.raises(InputError, match=f"view-A is not a view .*{missing}"):
        read_views(tmp_path)


def test_a_view_in_which_nobody_is_annotated(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "all")
    (tmp_path / "all" / "view-A.txt.gz").write_bytes(gzip.compress(b""))
    views = read_views(tmp_path / "all")
    assert [len(view.ids) for view in views] == [0, FRAMES * PEOPLE]
    assert fit_cameras(views, tmp_path / "all", until=100) == ({}, [])


def test_a_camera_that_the_metadata_does_not_know(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "all")
    metadata = tmp_path / "all" / "scene_metadata.xml"
    metadata.write_text(metadata.read_text().replace("view-B", "view-C"))
    with pytest.raises(InputError, match=r"scene_metadata\.xml: has no position of view-B"):
        fit_cameras(read_views(folder), tmp_path / "all", until=100)
