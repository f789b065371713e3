"""Each format holds the boxes and ids of the run: hand-checkable numbers, and round trips of any rows."""

from __future__ import annotations

import ast
import json
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.conversion.convert import Converted, Format, convert
from pipeline.core.datatypes import LinkedRow
from pipeline.files.trajectory_boxes import read_predicted_boxes
from pipeline.stored.run import stored_run
from tests.helpers.stored_runs import recorded_run, row

Key = tuple[str, int, int, tuple[float, ...]]
LIKE_JSON = (Format.COCO, Format.DATUMARO, Format.FIFTYONE)

# Two people in hall; person 1 leaves for three frames, and goes on to the yard. Ten frames of 640x360.
ROWS = [
    row(1, "hall", 1, 0, (10.0, 20.0, 30.0, 60.0)),
    row(2, "hall", 2, 0, (100.0, 20.0, 130.0, 80.0), interpolated=True),
    row(1, "hall", 1, 1, (12.0, 20.0, 32.0, 60.0)),
    row(1, "hall", 1, 5, (20.0, 20.0, 40.0, 60.0), world_xy_m=(1.5, -2.0)),
    row(1, "yard", 1, 9, (0.5, 0.25, 640.0, 360.0), class_name="car"),
]


def converted(folder: Path, target: Format, rows: list[LinkedRow], **options: Any) -> tuple[Path, Converted]:
    run = stored_run(recorded_run(folder / "run", rows))
    output = folder / "out"
    return output, convert(run, target, output, **options)


def keys(rows: list[LinkedRow]) -> list[Key]:
    return sorted(
        (one.row.camera_id, one.row.frame_index, one.link.global_id, tuple(round(v, 2) for v in one.row.xyxy))
        for one in rows
    )


def read_coco(output: Path) -> list[Key]:
    content = json.loads((output / "all_cameras.json").read_text())
    videos = {one["id"]: one["name"] for one in content["videos"]}
    images = {one["id"]: (videos[one["video_id"]], one["frame_id"]) for one in content["images"]}
    return sorted(
        (*images[one["image_id"]], one["instance_id"], corners(one["bbox"])) for one in content["annotations"]
    )


def read_datumaro(output: Path) -> list[Key]:
    return sorted(
        (path.stem, item["attr"]["frame"], one["attributes"]["global_id"], corners(one["bbox"]))
        for path in (output / "annotations").glob("*.json")
        for item in json.loads(path.read_text())["items"]
        for one in item["annotations"]
    )


def read_cvat(output: Path) -> list[Key]:
    return sorted(
        (
            path.stem,
            int(box.get("frame", "")),
            int(box.findtext("attribute[@name='global_id']", "")),
            tuple(round(float(box.get(side, "")), 2) for side in ("xtl", "ytl", "xbr", "ybr")),
        )
        for path in output.glob("*.xml")
        for box in ET.parse(path).iter("box")
        if box.get("outside") == "0"
    )


def read_mot(output: Path) -> list[Key]:
    return sorted(
        (name, int(frame), int(one), tuple(round(float(v), 2) for v in xyxy))
        for name, camera in read_predicted_boxes([output]).items()
        for frame, one, xyxy in zip(camera.boxes.frame_index, camera.boxes.ids, camera.boxes.xyxy, strict=True)
    )


def read_parquet(output: Path) -> list[Key]:
    return sorted(
        (
            one["camera_id"],
            one["frame_index"],
            one["global_id"],
            tuple(one[side] for side in ("x1", "y1", "x2", "y2")),
        )
        for one in pq.read_table(output).to_pylist()
    )


def read_fiftyone(output: Path) -> list[Key]:
    content = json.loads((output / "fiftyone_data.json").read_text())
    return sorted(
        (name, int(frame), one["global_id"], tuple(one["xyxy_px"]))
        for name, camera in content["cameras"].items()
        for frame, boxes in camera["frames"].items()
        for one in boxes
    )


def corners(xywh: list[float]) -> tuple[float, ...]:
    x, y, width, height = xywh
    return tuple(round(value, 2) for value in (x, y, x + width, y + height))


READERS = {
    Format.COCO: read_coco,
    Format.DATUMARO: read_datumaro,
    Format.CVAT: read_cvat,
    Format.MOT: read_mot,
    Format.PARQUET: read_parquet,
    Format.FIFTYONE: read_fiftyone,
}
HUNDREDTHS = st.integers(0, 30_000).map(lambda hundredths: hundredths / 100)


@st.composite
def any_rows(draw: st.DrawFn) -> list[LinkedRow]:
    """Rows of a run: a track and an id at most once in a frame, boxes with an area."""
    places = st.tuples(st.sampled_from(["hall", "yard-2", "b.1"]), st.integers(0, 12), st.integers(1, 4))
    rows = []
    for camera_id, frame_index, track_id in sorted(draw(st.sets(places, min_size=1, max_size=25))):
        x1, y1 = draw(HUNDREDTHS), draw(HUNDREDTHS)
        width, height = draw(HUNDREDTHS) + 0.01, draw(HUNDREDTHS) + 0.01
        xyxy = (x1, y1, round(x1 + width, 2), round(y1 + height, 2))
        name = draw(st.sampled_from(["person", "car", 'a "b", <c> & \x01\u2028\ud7ff']))
        rows.append(row(track_id * 7, camera_id, track_id, frame_index, xyxy, class_name=name))
    return sorted(rows, key=lambda one: (one.row.frame_index, one.row.camera_id))


@pytest.mark.parametrize("target", list(Format))
@settings(max_examples=30, deadline=None)
@given(rows=any_rows())
def test_a_round_trip_gives_the_same_boxes_and_ids(
    tmp_path_factory: pytest.TempPathFactory, target: Format, rows: list[LinkedRow]
) -> None:
    output, done = converted(tmp_path_factory.mktemp("run"), target, rows)
    assert READERS[target](output) == keys(rows)
    assert (done.rows, done.told.left_out) == (len(rows), {})


def test_coco_of_two_cameras(tmp_path: Path) -> None:
    output, done = converted(tmp_path, Format.COCO, ROWS)
    content = json.loads((output / "all_cameras.json").read_text())
    assert [str(path.relative_to(output)) for path in done.files] == [
        "annotations/instances_hall.json",
        "annotations/instances_yard.json",
        "all_cameras.json",
    ]
    assert content["categories"] == [
        {"id": 1, "name": "person", "supercategory": ""},
        {"id": 2, "name": "car", "supercategory": ""},
    ]
    assert content["videos"][1] == {"id": 2, "name": "yard", "width": 640, "height": 360}
    assert len(content["images"]) == 20  # ten frames of each camera, most of them empty
    assert content["images"][11] == {
        "id": 12,
        "file_name": "yard/frame_000001.jpg",
        "width": 640,
        "height": 360,
        "video_id": 2,
        "frame_id": 1,
        "frame_index": 1,
        "video": "yard",
    }
    assert content["tracks"] == [
        {"id": 1, "category_id": 1, "video_id": 1},
        {"id": 2, "category_id": 1, "video_id": 1},
        {"id": 3, "category_id": 2, "video_id": 2},
    ]
    first, last = content["annotations"][0], content["annotations"][-1]
    assert (first["bbox"], first["area"], first["track_id"], first["instance_id"]) == ([10, 20, 20, 40], 800, 1, 1)
    assert (last["bbox"], last["image_id"], last["track_id"], last["instance_id"]) == (
        [0.5, 0.25, 639.5, 359.75],
        20,
        3,
        1,
    )
    yard = json.loads((output / "annotations" / "instances_yard.json").read_text())
    assert yard["images"][1]["file_name"] == "frame_000001.jpg"
    assert yard["annotations"] == content["annotations"][-1:]


def test_pycocotools_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    output, _ = converted(tmp_path, Format.COCO, ROWS)
    read = coco.COCO(str(output / "annotations" / "instances_hall.json"))
    assert sorted(len(read.imgToAnns[image]) for image in read.getImgIds()) == [0] * 7 + [1, 1, 2]
    assert read.loadAnns(read.getAnnIds(catIds=[1]))[0]["bbox"] == [10, 20, 20, 40]


def test_datumaro_reads_it(tmp_path: Path) -> None:
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed")
    output, _ = converted(tmp_path, Format.DATUMARO, ROWS)
    read = datumaro.Dataset.import_from(str(output), "datumaro")
    assert sorted(read.subsets()) == ["hall", "yard"]
    assert sum(len(item.annotations) for item in read) == 5


def test_datumaro_items(tmp_path: Path) -> None:
    output, _ = converted(tmp_path, Format.DATUMARO, ROWS)
    hall = json.loads((output / "annotations" / "hall.json").read_text())
    assert [one["name"] for one in hall["categories"]["label"]["labels"]] == ["person", "car"]
    item = hall["items"][5]
    assert (item["id"], item["attr"], item["image"]) == (
        "frame_000005",
        {"frame": 5},
        {"path": "frame_000005.jpg", "size": [360, 640]},
    )
    assert item["annotations"] == [
        {
            "id": 0,
            "type": "bbox",
            "attributes": {
                "track_id": 1,
                "keyframe": True,
                "outside": False,
                "occluded": False,
                "global_id": 1,
                "camera_track_id": 1,
                "time_s": 0.5,
                "confidence": 0.5,
                "link_confidence": 0.75,
                "link_state": "final",
                "interpolated": False,
                "world_x_m": 1.5,
                "world_y_m": -2.0,
            },
            "group": 1,
            "label_id": 0,
            "z_order": 0,
            "bbox": [20, 20, 20, 40],
        }
    ]


def cvat_frames(path: Path, track: int) -> list[tuple[int, str]]:
    boxes = ET.parse(path).findall(f"track[@id='{track}']/box")
    return [(int(box.get("frame", "")), box.get("outside", "")) for box in boxes]


def test_cvat_takes_a_box_off_the_picture_where_its_track_pauses_or_ends(tmp_path: Path) -> None:
    output, _ = converted(tmp_path, Format.CVAT, ROWS)
    assert cvat_frames(output / "hall.xml", 1) == [(0, "0"), (1, "0"), (2, "1"), (5, "0"), (6, "1")]
    assert cvat_frames(output / "hall.xml", 2) == [(0, "0"), (1, "1")]
    # Its last frame is that of the recording: CVAT refuses frames that do not exist.
    assert cvat_frames(output / "yard.xml", 3) == [(9, "0")]
    root = ET.parse(output / "hall.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/stop_frame") == "9"
    assert [one.attrib for one in root.iter("track")] == [
        {"id": "1", "label": "person", "source": "auto", "group_id": "1"},
        {"id": "2", "label": "person", "source": "auto", "group_id": "2"},
    ]
    box = next(root.iter("box"))
    assert {key: box.get(key) for key in ("xtl", "ytl", "xbr", "ybr", "keyframe", "occluded")} == {
        "xtl": "10.0",
        "ytl": "20.0",
        "xbr": "30.0",
        "ybr": "60.0",
        "keyframe": "1",
        "occluded": "0",
    }
    labels = json.loads((output / "labels.json").read_text())
    assert [label["name"] for label in labels] == ["person", "car"]
    assert [one["name"] for one in labels[0]["attributes"]] == ["global_id", "interpolated"]


def test_cvat_moves_a_box_over_frames_that_were_not_tracked(tmp_path: Path) -> None:
    """With recording.stride 2, frame 1 was not tracked: the box is moved there; frame 4 was, without the person."""
    rows = [row(1, "hall", 1, frame) for frame in (0, 2, 6)]
    run = stored_run(recorded_run(tmp_path / "run", rows, cameras={"hall": {"index_step": 2, "frames": 5}}))
    convert(run, Format.CVAT, tmp_path / "out")
    frames = cvat_frames(tmp_path / "out" / "hall.xml", 1)
    assert frames == [(0, "0"), (2, "0"), (4, "1"), (6, "0"), (8, "1")]


def test_cvat_without_a_note_takes_gaps_from_the_tracks(tmp_path: Path) -> None:
    """Every third frame was used, once the sixth: a gap is more than two steps."""
    run_folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, frame) for frame in (0, 3, 9, 12, 21)])
    (run_folder / "run.json").unlink()
    convert(stored_run(run_folder), Format.CVAT, tmp_path / "out")
    frames = cvat_frames(tmp_path / "out" / "hall.xml", 1)
    assert frames == [(0, "0"), (3, "0"), (9, "0"), (12, "0"), (13, "1"), (21, "0")]


def test_a_track_of_two_classes_has_one_in_cvat_and_it_is_said(tmp_path: Path) -> None:
    rows = [row(1, "hall", 1, frame, class_name="car" if frame == 1 else "person") for frame in range(3)]
    output, done = converted(tmp_path, Format.CVAT, rows)
    assert [one.get("label") for one in ET.parse(output / "hall.xml").iter("track")] == ["person"]
    assert "1 boxes have another class than most of their track, and now have the track's" in done.told.notes


def test_class_names_are_no_markup(tmp_path: Path) -> None:
    name = '<a href="x">&\x00'
    output, done = converted(tmp_path, Format.CVAT, [row(1, "hall", 1, 0, class_name=name)])
    root = ET.parse(output / "hall.xml").getroot()
    assert root.findtext("meta/task/labels/label/name") == '<a href="x">&\ufffd'
    assert root.find("a") is None
    assert any("1 class names hold characters that XML does not have" in note for note in done.told.notes)


def test_mot_text_keeps_the_surer_of_two_boxes_with_one_id(tmp_path: Path) -> None:
    rows = [row(1, "hall", 1, 3, (0, 0, 10, 10)), row(1, "hall", 2, 3, (5, 0, 10, 10))]
    rows[1] = rows[1]._replace(link=type(rows[1].link)(1, 0.9, True))
    output, done = converted(tmp_path, Format.MOT, rows)
    assert (output / "hall.txt").read_text() == "4,1,5.00,0.00,5.00,10.00,0.5000,-1,-1,-1\n"
    assert (done.rows, done.told.left_out) == (1, {"whose id another box of the frame has": 1})


def test_a_table_has_types(tmp_path: Path) -> None:
    run = stored_run(recorded_run(tmp_path / "run", ROWS, epoch_utc="2026-05-01T10:00:00+00:00"))
    convert(run, Format.PARQUET, tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    words = "dictionary<values=string, indices=int32, ordered=0>"
    assert types == {
        **dict.fromkeys(("global_id", "track_id", "frame_index"), "int64"),
        **dict.fromkeys(("camera_id", "class_name", "link_state", "name"), words),
        **dict.fromkeys(("time_s", "x1", "y1", "x2", "y2", "confidence", "link_confidence"), "double"),
        **dict.fromkeys(("world_x_m", "world_y_m"), "double"),
        "utc": "timestamp[ms, tz=UTC]",
        "interpolated": "bool",
    }
    first, second, *_ = table.to_pylist()
    assert (first["utc"].isoformat(), first["world_x_m"]) == ("2026-05-01T10:00:00+00:00", None)
    assert (second["interpolated"], second["link_state"], second["x2"]) == (True, "final", 130.0)
    assert table.to_pylist()[3]["world_y_m"] == -2.0


class FakeFiftyOne(types.ModuleType):
    """The few names of FiftyOne that the script uses; keeps the samples."""

    def __init__(self) -> None:
        super().__init__("fiftyone")
        self.samples: list[Any] = []
        fake = self

        class Dataset:
            def __init__(self, name: str, persistent: bool) -> None:
                self.name = name

            def add_group_field(self, name: str, default: str) -> None:
                fake.default = default

            def add_samples(self, samples: list[Any]) -> None:
                fake.samples += samples

        class Sample(dict[str, Any]):
            def __init__(self, **values: Any) -> None:
                super().__init__(values)
                self.frames: dict[int, Any] = {}

        class Group:
            def element(self, name: str) -> str:
                return name

        def frame(tracks: Any) -> Any:
            return tracks

        self.Dataset, self.Sample, self.Group, self.Frame = Dataset, Sample, Group, frame
        self.Detections = lambda detections: detections
        self.Detection = lambda **values: values


def run_script(path: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> FakeFiftyOne:
    fake = FakeFiftyOne()
    monkeypatch.setitem(sys.modules, "fiftyone", fake)
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    code = compile(ast.parse(path.read_text()), str(path), "exec")
    exec(code, {"__name__": "__main__", "__file__": str(path)})
    return fake


def test_the_script_of_fiftyone_groups_the_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _ = converted(tmp_path, Format.FIFTYONE, ROWS)
    (tmp_path / "clip.mp4").touch()
    fake = run_script(output / "build_fiftyone_dataset.py", "--videos", str(tmp_path), monkeypatch=monkeypatch)
    hall, yard = fake.samples
    assert (hall["camera_id"], hall["group"], yard["group"], fake.default) == ("hall", "hall", "yard", "hall")
    assert sorted(hall.frames) == [1, 2, 6]  # counted from 1
    first = hall.frames[1][0]
    assert first["bounding_box"] == [10 / 640, 20 / 360, 20 / 640, 40 / 360]
    assert (first["label"], first["index"], first["confidence"]) == ("person", 1, 0.5)
    assert hall.frames[6][0]["world_x_m"] == 1.5


@pytest.mark.parametrize("name", ['"; import os; os.abort() #', "'''", "\\", "{0}", "\n"])
def test_no_text_of_a_run_becomes_code(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _ = converted(tmp_path, Format.FIFTYONE, [row(1, "hall", 1, 0, class_name=f"a{name}")])
    (tmp_path / "clip.mp4").touch()
    fake = run_script(output / "build_fiftyone_dataset.py", "--videos", str(tmp_path), monkeypatch=monkeypatch)
    assert fake.samples[0].frames[1][0]["label"] == f"a{name}"


def test_the_script_says_which_recording_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _ = converted(tmp_path, Format.FIFTYONE, ROWS)
    with pytest.raises(SystemExit, match=r"camera hall: there is no recording .*clip.mp4; give --videos FOLDER"):
        run_script(output / "build_fiftyone_dataset.py", "--videos", str(tmp_path), monkeypatch=monkeypatch)
