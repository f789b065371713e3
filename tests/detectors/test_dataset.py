from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from detectors.dataset import add_sequence
from detectors.yolo_dataset import Split, YoloDataset, halve_split, read_split
from pipeline.core.errors import InputError, RunError
from pipeline.sources.images import read_image
from tests.helpers.media import grey_picture, index_of, write_video

SIZE_WH = (64, 48)


def sequence(folder: Path, ground_truth: str, frames: int = 20) -> Path:
    """A MOTChallenge sequence with a video in place of the pictures."""
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(ground_truth)
    (folder / "seqinfo.ini").write_text("[Sequence]\nframeRate=10\n")
    write_video(folder / "a.mp4", [grey_picture(i, SIZE_WH) for i in range(frames)])
    return folder


def label(output: Path, split: str, stem: str) -> list[list[float]]:
    text = (output / "labels" / split / f"{stem}.txt").read_text()
    return [[float(field) for field in line.split()] for line in text.splitlines()]


def test_the_first_part_trains_and_every_kth_frame_is_taken(tmp_path: Path) -> None:
    seq = sequence(tmp_path / "S", "1,1,16,12,32,24,1,-1,-1,-1\n14,1,16,12,32,24,1,-1,-1,-1\n")
    added = add_sequence(seq, tmp_path / "data", every=4, train_share=0.65)
    assert added == {"train": Split(images=4, boxes=1), "val": Split(images=2, boxes=1)}
    pictures = sorted((tmp_path / "data" / "images").rglob("*.jpg"))
    assert [(p.parent.name, p.stem) for p in pictures] == [
        *(("train", f"S_{number:06d}") for number in (1, 5, 9, 13)),
        *(("val", f"S_{number:06d}") for number in (14, 18)),
    ]
    for picture in pictures:
        image = read_image(picture)
        assert image is not None
        assert index_of(image) == int(picture.stem[-6:]) - 1, "the picture is that frame"
    # left 16, top 12, 32 x 24 in 64 x 48: the centre half of the picture.
    assert label(tmp_path / "data", "train", "S_000001") == [[0, 0.5, 0.5, 0.5, 0.5]]
    assert label(tmp_path / "data", "val", "S_000014") == [[0, 0.5, 0.5, 0.5, 0.5]]
    assert label(tmp_path / "data", "val", "S_000018") == []


def test_frames_without_ground_truth_are_no_empty_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "".join(f"{frame},1,16,12,32,24,1,1,1\n" for frame in range(1, 21, 5))
    added = add_sequence(sequence(tmp_path / "S", text), tmp_path / "data", every=1, train_share=1.0)
    assert added["train"] == Split(images=4, boxes=4)
    assert "only every 5th frame has ground truth" in caplog.text


def test_validation_begins_between_frames_with_ground_truth(tmp_path: Path) -> None:
    text = "".join(f"{frame},1,16,12,32,24,1,1,1\n" for frame in range(1, 29, 3))
    seq = sequence(tmp_path / "S", text, frames=28)
    added = add_sequence(seq, tmp_path / "data", every=6, train_share=0.5)
    assert added == {"train": Split(images=3, boxes=3), "val": Split(images=3, boxes=3)}
    pictures = sorted((tmp_path / "data" / "images" / "val").glob("*.jpg"))
    assert [p.stem[-2:] for p in pictures] == ["16", "22", "28"]


def test_data_yaml_can_be_moved(tmp_path: Path) -> None:
    add_sequence(sequence(tmp_path / "S", ""), tmp_path / "data", class_name="person")
    data = yaml.safe_load((tmp_path / "data" / "data.yaml").read_text())
    assert data == {"train": "images/train", "val": "images/val", "names": {0: "person"}}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("1,1,16,12,32,24,1,1,1.0", [[0, 0.5, 0.5, 0.5, 0.5]]),
        ("1,1,16,12,32,24,0,1,1.0", []),
        ("1,1,16,12,32,24,1,3,1.0", []),
        ("1,1,16,12,32,24,1,1,0.2", []),
        ("1,1,-32,12,48,24,1,1,1.0", [[0, 0.125, 0.5, 0.25, 0.5]]),
        ("1,1,-32,12,32,24,1,1,1.0", []),
    ],
    ids=["person", "flag 0", "a car", "hidden", "cut at the border", "outside"],
)
def test_which_rows_become_labels(tmp_path: Path, row: str, expected: list[list[float]]) -> None:
    # The other row shows that flag and class are filled in.
    text = f"{row}\n4,2,0,0,9,9,1,1,1.0\n"
    add_sequence(sequence(tmp_path / "S", text, frames=4), tmp_path / "data")
    assert label(tmp_path / "data", "train", "S_000001") == expected


def test_sequences_add_up_but_not_twice(tmp_path: Path) -> None:
    add_sequence(sequence(tmp_path / "S", ""), tmp_path / "data", every=10)
    add_sequence(sequence(tmp_path / "T", ""), tmp_path / "data", every=10, train_share=1.0)
    names = sorted(p.stem for p in (tmp_path / "data" / "images" / "train").iterdir())
    assert names == ["S_000001", "T_000001", "T_000011"]
    with pytest.raises(InputError, match="holds frames of T already"):
        add_sequence(tmp_path / "T", tmp_path / "data", every=10, train_share=0.0)


def test_sequences_whose_names_begin_alike_are_others(tmp_path: Path) -> None:
    for name in ("day_2", "day", "cam[1]"):
        add_sequence(sequence(tmp_path / name, ""), tmp_path / "data", every=20)
        with pytest.raises(InputError, match=r"holds frames of .* already"):
            add_sequence(tmp_path / name, tmp_path / "data", every=20)
    names = sorted(p.stem for p in (tmp_path / "data" / "images" / "train").iterdir())
    assert names == ["cam[1]_000001", "day_000001", "day_2_000001"]


def test_a_data_set_keeps_its_class(tmp_path: Path) -> None:
    output = tmp_path / "data"
    YoloDataset(output, class_name="car")
    before = (output / "data.yaml").read_text()
    YoloDataset(output, class_name="car")
    with pytest.raises(InputError, match=r"has the classes \{0: 'car'\}, but \{0: 'person'\} are to be added"):
        add_sequence(sequence(tmp_path / "S", ""), output)
    assert (output / "data.yaml").read_text() == before
    (output / "data.yaml").write_text("train: images/train\nval: photos/val\nnames: [car]\n")
    with pytest.raises(InputError, match=r"names .*photos/val as 'val', not images/val beside it"):
        YoloDataset(output, class_name="car")


@pytest.mark.parametrize("which", ["images/train/S_000001.jpg", "labels/train/S_000001.txt"])
def test_on_a_full_disk_neither_picture_nor_label_remains(tmp_path: Path, which: str) -> None:
    dataset = YoloDataset(tmp_path)
    (tmp_path / which).symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"S_000001\.jpg and its label cannot be written: No space left on device"):
        dataset.add("train", "S_000001", grey_picture(1, SIZE_WH), np.array([[1.0, 1, 9, 9]]))
    assert not [path for path in tmp_path.rglob("S_*") if path.suffix in (".jpg", ".txt")]
    assert dataset.added["train"] == Split(images=0, boxes=0)


def test_frames_are_counted_where_the_recording_does_not_say_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.video.VideoSource._frame_count", lambda _: None)
    added = add_sequence(sequence(tmp_path / "S", ""), tmp_path / "data", every=5, train_share=0.5)
    assert added == {"train": Split(images=2, boxes=0), "val": Split(images=2, boxes=0)}


def test_what_comes_after_until_is_in_neither_part(tmp_path: Path) -> None:
    seq = sequence(tmp_path / "S", "")
    added = add_sequence(seq, tmp_path / "data", every=2, train_share=0.3, until=0.5)
    assert added == {"train": Split(images=3, boxes=0), "val": Split(images=2, boxes=0)}
    numbers = sorted(int(p.stem[-6:]) for p in (tmp_path / "data" / "images").rglob("*.jpg"))
    assert numbers == [1, 3, 5, 7, 9], "frames 11 to 20 are left for the final test"


def test_halves_of_a_part_have_every_second_picture(tmp_path: Path) -> None:
    seq = sequence(tmp_path / "images" / "S", "3,1,16,12,32,24,1,-1,-1,-1\n", frames=5)
    output = tmp_path / "images" / "data"
    add_sequence(seq, output, every=1, train_share=0)
    halves = halve_split(output / "data.yaml", "val", tmp_path / "halves")
    numbers = [sorted(int(p.stem[-6:]) for p in (half.parent / "images").iterdir()) for half in halves]
    assert numbers == [[1, 3, 5], [2, 4]]
    boxes = [[len(picture.xyxy) for picture in read_split(half, "val")] for half in halves]
    assert boxes == [[0, 1, 0], [0, 0]], "labels come along, also from below another folder called images"
    (tmp_path / "one" / "images").mkdir(parents=True)
    (tmp_path / "one" / "images" / "a.png").touch()
    (tmp_path / "one" / "data.yaml").write_text("val: images\n")
    with pytest.raises(InputError, match="only 1 picture as 'val', but at least 2"):
        halve_split(tmp_path / "one" / "data.yaml", "val", tmp_path / "other")


def test_a_video_with_its_ground_truth_beside_it(tmp_path: Path) -> None:
    write_video(tmp_path / "cam1.mp4", [grey_picture(i, SIZE_WH) for i in range(4)])
    (tmp_path / "cam1_gt.txt").write_text("3,7,16,12,32,24,1,1,1.00\n")
    added = add_sequence(tmp_path / "cam1.mp4", tmp_path / "data", every=2, train_share=0.0)
    assert added["val"] == Split(images=2, boxes=1)
    assert label(tmp_path / "data", "val", "cam1_000003") == [[0, 0.5, 0.5, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("every", "train_share", "until"), [(0, 0.5, 1), (1, 1.5, 1), (1, np.nan, 1), (1, 0.5, 0.4), (1, 0.5, 1.1)]
)
def test_bad_arguments(tmp_path: Path, every: int, train_share: float, until: float) -> None:
    with pytest.raises(InputError, match="every must be at least 1"):
        add_sequence(tmp_path / "S", tmp_path / "data", every=every, train_share=train_share, until=until)
