"""Reading re-identification data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError
from reid.datasets import camera_indices, hold_out_identities, read_dataset, read_rgb
from reid.datasets.base import Crop, CropSet, natural_order


def write_crops(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros((8, 4, 3), np.uint8)).save(folder / name)
    return folder


def labels(crops: CropSet) -> list[tuple[str, int, str]]:
    return [(crop.path.name, crop.person_id, crop.camera) for crop in crops.crops]


def test_plain_folder_is_sorted_and_every_part_is_the_whole(tmp_path: Path) -> None:
    write_crops(tmp_path, "0007_c10_00.jpg", "0002_c2_01.png", "0002_c1_00.jpg")
    (tmp_path / "README.txt").write_text("no image")
    dataset = read_dataset(tmp_path)
    assert labels(dataset.train) == [
        ("0002_c1_00.jpg", 2, "c1"),
        ("0002_c2_01.png", 2, "c2"),
        ("0007_c10_00.jpg", 7, "c10"),
    ]
    assert dataset.query is dataset.train
    assert dataset.gallery is dataset.train
    assert dataset.train.person_ids == (2, 7)
    assert dataset.train.cameras == ("c1", "c2", "c10")


def test_market1501_drops_junk_and_keeps_distractors(tmp_path: Path) -> None:
    write_crops(tmp_path / "bounding_box_train", "0002_c1s1_000451_03.jpg", "0007_c3s3_077419_03.jpg")
    write_crops(tmp_path / "query", "0001_c1s1_001051_00.jpg")
    write_crops(
        tmp_path / "bounding_box_test",
        "-1_c1s1_000401_03.jpg",
        "0000_c1s1_000151_01.jpg",
        "0001_c2s1_000301_00.jpg",
    )
    dataset = read_dataset(tmp_path)
    assert dataset.train.person_ids == (2, 7)
    assert dataset.train.cameras == ("c1", "c3")
    assert labels(dataset.query) == [("0001_c1s1_001051_00.jpg", 1, "c1")]
    assert labels(dataset.gallery) == [
        ("0000_c1s1_000151_01.jpg", 0, "c1"),
        ("0001_c2s1_000301_00.jpg", 1, "c2"),
    ]


@pytest.mark.parametrize(
    ("made", "expected_words"),
    [
        pytest.param((), ["PLACE", "0001_c2_03.jpg", "no image"], id="empty folder"),
        pytest.param(("plain/frame_1.jpg",), ["0001_c2_03.jpg", "frame_1.jpg"], id="other names"),
        pytest.param(
            ("bounding_box_train/0002_c1s1_000451_03.jpg",),
            ["query and bounding_box_test is missing"],
            id="half of Market-1501",
        ),
        pytest.param(
            ("bounding_box_train/x.jpg", "query/x.jpg", "bounding_box_test/x.jpg"),
            ["bounding_box_train", "0002_c1s1_000451_03.jpg", "x.jpg"],
            id="other names in Market-1501",
        ),
    ],
)
def test_wrong_folder_says_what_was_expected_and_found(
    tmp_path: Path, made: tuple[str, ...], expected_words: list[str]
) -> None:
    for name in made:
        path = tmp_path / name
        write_crops(path.parent, path.name)
    root = tmp_path / "plain" if any(name.startswith("plain") for name in made) else tmp_path
    with pytest.raises(InputError) as caught:
        read_dataset(root)
    for word in expected_words:
        assert word.replace("PLACE", str(root)) in str(caught.value)


def test_missing_folder_and_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"'veri'.*plain, market1501"):
        read_dataset(tmp_path, layout="veri")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_corrupt_image_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"0001_c1_00{suffix}"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 32, 3), dtype=np.uint8)).save(path)
    assert read_rgb(path).size == (32, 64)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=path.name):
        read_rgb(path)
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=path.name):
        read_rgb(path)


def make_crops(*person_ids: int) -> CropSet:
    return CropSet.of(Crop(Path(f"{i:04}.jpg"), person_id, "c1") for i, person_id in enumerate(person_ids))


def test_held_out_identities_are_evenly_spaced_and_disjoint() -> None:
    rest, held_out = hold_out_identities(make_crops(*range(8), *range(8)), 2)
    assert held_out.person_ids == (2, 6)
    assert rest.person_ids == (0, 1, 3, 4, 5, 7)
    assert len(held_out) == 4
    assert len(rest) == 12
    with pytest.raises(ValueError, match="8 of 8"):
        hold_out_identities(make_crops(*range(8)), 8)


def test_cameras_are_found_by_name_and_unknown_ones_are_marked() -> None:
    crops = CropSet.of([Crop(Path("a"), 0, "c2"), Crop(Path("b"), 0, "c9"), Crop(Path("c"), 0, "c1")])
    assert camera_indices(crops, ["c1", "c2"]) == [1, -1, 0]


def test_natural_order() -> None:
    assert sorted(["c10", "c2", "hall", "c1b"], key=natural_order) == ["c1b", "c2", "c10", "hall"]
