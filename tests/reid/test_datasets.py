"""Reading re-identification data sets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import InputError
from reid.datasets import (
    camera_indices,
    hold_out_identities,
    identities_digest,
    read_dataset,
    read_rgb,
    unreadable_images,
    view_indices,
)
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
    assert labels(dataset.people) == [("0001_c2s1_000301_00.jpg", 1, "c2")]


@pytest.mark.parametrize(
    ("made", "expected_words"),
    [
        pytest.param((), ["PLACE", "0001_c2_03.jpg", "no image"], id="empty folder"),
        pytest.param(("plain/frame_1.jpg",), ["0001_c2_03.jpg", "frame_1.jpg"], id="other names"),
        pytest.param(
            ("bounding_box_train/0002_c1s1_000451_03.jpg",),
            ["query and bounding_box_test are missing", "found bounding_box_train/"],
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
    with pytest.raises(InputError, match=r"'plain:3': only vehicleid takes a number"):
        read_dataset(tmp_path, layout="plain:3")


def write_market(root: Path, train: str, query: str, gallery: str) -> Path:
    write_crops(root / "bounding_box_train", train)
    write_crops(root / "query", query)
    write_crops(root / "bounding_box_test", gallery)
    return root


def write_msmt17(root: Path, train_folder: str, test_folder: str) -> Path:
    """Two identities to train on, of three crops and one, in three cameras; one query and two gallery crops."""
    names = {
        "list_train.txt": ["0000/0000_000_01_0303morning_0008_0.jpg 0", "0001/0001_000_10_0303noon_0002_0.jpg 1"],
        "list_val.txt": ["0000/0000_001_02_0303morning_0009_0.jpg 0", "0000/0000_002_01_0303noon_0001_1.jpg 0"],
        "list_query.txt": ["0005/0005_000_01_0113noon_0005_0.jpg 5"],
        "list_gallery.txt": ["0005/0005_001_03_0113noon_0007_0.jpg 5", "0006/0006_000_03_0113noon_0001_0.jpg 6"],
    }
    for list_name, rows in names.items():
        folder = train_folder if list_name in ("list_train.txt", "list_val.txt") else test_folder
        for row in rows:
            path = root / folder / row.split()[0]
            write_crops(path.parent, path.name)
        (root / list_name).write_text("\n".join(rows) + "\n")
    return root


def write_veri776(root: Path) -> Path:
    write_crops(root / "image_train", "0002_c001_00030600_0.jpg", "0002_c020_00030640_1.jpg", "0005_c001_0_0.jpg")
    write_crops(root / "image_query", "0001_c002_00030605_0.jpg")
    write_crops(root / "image_test", "0001_c003_00030610_0.jpg", "0001_c002_00030605_0.jpg")
    (root / "keypoint_train.txt").write_text(
        "image_train/0002_c001_00030600_0.jpg 55 -1 60 3\nimage_train/0002_c020_00030640_1.jpg 50 61 60 0\n"
    )
    (root / "keypoint_test.txt").write_text("image_test/0001_c003_00030610_0.jpg 7 8 7\n")
    return root


def write_vehicleid(root: Path) -> Path:
    rows = {
        "train_list.txt": ["0000001 00007", "0000002 00007", "0000003 00009"],
        "test_list_800.txt": ["0000004 00001", "0000005 00001", "0000006 00001", "0000007 00002", "0000008 00002"],
        "test_list_1600.txt": ["0000004 00001", "0000005 00001"],
    }
    (root / "train_test_split").mkdir(parents=True)
    for name, lines in rows.items():
        (root / "train_test_split" / name).write_text("\n".join(lines) + "\n")
    write_crops(root / "image", *(f"{number:07}.jpg" for number in range(1, 9)))
    return root


def make_layout(root: Path, name: str) -> Path:
    """A tiny data set; the folder to read."""
    if name == "market1501":
        return write_market(root, "0002_c1s1_000451_03.jpg", "0001_c1s1_001051_00.jpg", "0001_c2s1_000301_00.jpg")
    if name in ("dukemtmcreid", "occluded_duke"):
        return write_market(root, "0005_c2_f0046985.jpg", "0001_c1_f0044158.jpg", "0001_c8_f0044158.jpg")
    if name.startswith("cuhk03"):
        write_market(root / name.split("_")[1], "0003_c1_3.png", "0001_c1_1.png", "0001_c2_6.png")
        return root
    if name == "MSMT17 V1":
        return write_msmt17(root, "train", "test")
    if name == "MSMT17 V2":
        return write_msmt17(root, "mask_train_v2", "mask_test_v2")
    return {"veri776": write_veri776, "vehicleid": write_vehicleid}[name](root)


@pytest.mark.parametrize(
    ("name", "layout", "counts", "person_ids", "cameras"),
    [
        ("market1501", "market1501", (1, 1, 1), (2,), ("c1",)),
        ("dukemtmcreid", "dukemtmcreid", (1, 1, 1), (5,), ("c2",)),
        ("occluded_duke", "occluded_duke", (1, 1, 1), (5,), ("c2",)),
        ("cuhk03_detected", "cuhk03_detected", (1, 1, 1), (3,), ("c1",)),
        ("cuhk03_labeled", "cuhk03_labeled", (1, 1, 1), (3,), ("c1",)),
        ("MSMT17 V1", "msmt17", (4, 1, 2), (0, 1), ("c1", "c2", "c10")),
        ("MSMT17 V2", "msmt17", (4, 1, 2), (0, 1), ("c1", "c2", "c10")),
        ("veri776", "veri776", (3, 1, 2), (2, 5), ("c1", "c20")),
        ("vehicleid", "vehicleid", (3, 3, 2), (7, 9), ("c0",)),
        ("vehicleid", "vehicleid:1600", (3, 1, 1), (7, 9), ("c0",)),
    ],
)
def test_layouts(
    tmp_path: Path,
    name: str,
    layout: str,
    counts: tuple[int, int, int],
    person_ids: tuple[int, ...],
    cameras: tuple[str, ...],
) -> None:
    """Crops of train, query and gallery; identities and cameras of the training part."""
    root = make_layout(tmp_path / "data", name)
    for dataset in (read_dataset(root, layout), *([read_dataset(root)] if ":" not in layout else [])):
        assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == counts
        assert dataset.train.person_ids == person_ids
        assert dataset.train.cameras == cameras
        assert all(crop.path.is_file() for part in (dataset.train, dataset.gallery) for crop in part.crops)


def test_msmt17_trains_on_both_lists_and_says_its_version(tmp_path: Path) -> None:
    dataset = read_dataset(write_msmt17(tmp_path, "mask_train_v2", "mask_test_v2"))
    assert labels(dataset.train) == [
        ("0000_000_01_0303morning_0008_0.jpg", 0, "c1"),
        ("0000_001_02_0303morning_0009_0.jpg", 0, "c2"),
        ("0000_002_01_0303noon_0001_1.jpg", 0, "c1"),
        ("0001_000_10_0303noon_0002_0.jpg", 1, "c10"),
    ]
    assert "version 2" in dataset.notes[0]


def test_veri776_views_come_from_the_key_points_and_missing_ones_are_counted(tmp_path: Path) -> None:
    dataset = read_dataset(write_veri776(tmp_path))
    assert [crop.view for crop in dataset.train.crops] == ["v3", "v0", None]
    assert [crop.view for crop in dataset.gallery.crops] == [None, "v7"]
    assert dataset.train.views == ("v0", "v3")
    assert view_indices(dataset.train, dataset.train.views) == [1, 0, -1]
    assert dataset.notes == (
        "1 of 3 crops of image_train have no view",
        "1 of 1 crops of image_query have no view",
        "1 of 2 crops of image_test have no view",
    )
    (tmp_path / "keypoint_train.txt").unlink()
    without = read_dataset(tmp_path)
    assert without.train.views == ()
    assert without.notes[0] == "there is no keypoint_train.txt, so its crops have no view"


def test_vehicleid_draws_one_gallery_crop_of_every_vehicle(tmp_path: Path) -> None:
    dataset = read_dataset(write_vehicleid(tmp_path))
    assert len(dataset.draws) == 10
    assert dataset.draws[0] == (dataset.query, dataset.gallery)
    for query, gallery in dataset.draws:
        assert sorted(crop.person_id for crop in gallery.crops) == [1, 2]
        assert sorted(crop.person_id for crop in query.crops) == [1, 1, 2]
        assert not {crop.path for crop in query.crops} & {crop.path for crop in gallery.crops}
        assert (query.cameras, gallery.cameras) == (("query",), ("gallery",))
    assert len({gallery for _, gallery in dataset.draws}) > 1
    assert read_dataset(tmp_path).draws == dataset.draws


@pytest.mark.parametrize(
    ("name", "spoil", "expected"),
    [
        ("MSMT17 V1", "remove test", "expected train and test of MSMT17, but test is missing; found list_gallery"),
        ("MSMT17 V1", "remove train", r"either train and test .*V1.* or mask_train_v2.*found list_gallery\.txt"),
        ("MSMT17 V1", "remove list_val.txt", r"list_val\.txt is missing; found"),
        ("MSMT17 V1", "write list_val.txt x.jpg", r"list_val\.txt, line 1: .*found 'x\.jpg'"),
        ("MSMT17 V1", "write list_val.txt x.jpg 1", r"third field.*found 'x\.jpg 1'"),
        ("MSMT17 V1", "write list_val.txt 0/0_0_01.jpg 1", r"lists .*0_0_01\.jpg, but there is no such file"),
        ("veri776", "remove image_query", "image_query is missing"),
        ("veri776", "write image_query/car.jpg x", r"0001_c001_00016450_0\.jpg.*found car\.jpg"),
        ("veri776", "write keypoint_test.txt a.jpg front", "end in a view, found 'front'"),
        ("vehicleid", "remove test_list_800.txt", r"holds test_list_1600\.txt, train_list\.txt.*vehicleid:1600"),
        ("vehicleid", "remove image", "image is missing"),
        ("vehicleid", "write train_test_split/train_list.txt 0000001 x", "expected lines like '0000001 00001'"),
        ("vehicleid", "write train_test_split/train_list.txt 9 1", r"9\.jpg, but there is no such file"),
    ],
)
def test_spoiled_data_sets(tmp_path: Path, name: str, spoil: str, expected: str) -> None:
    root = make_layout(tmp_path / "data", name)
    word, target, *text = spoil.split(" ", 2)
    path = next((p for p in root.rglob(target)), root / target)
    if word == "write":
        path.write_text(*text)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(InputError, match=expected):
        read_dataset(root)


def test_a_folder_of_two_layouts_is_not_guessed(tmp_path: Path) -> None:
    make_layout(tmp_path, "cuhk03_detected")
    make_layout(tmp_path, "cuhk03_labeled")
    with pytest.raises(InputError, match=r"name the layout .*: cuhk03_detected or cuhk03_labeled"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path / "detected").train.crops[0].path.parts[-3] == "detected"
    assert read_dataset(tmp_path, "cuhk03_labeled").train.crops[0].path.parts[-3] == "labeled"


def test_unreadable_images_are_listed_in_order(tmp_path: Path) -> None:
    write_crops(tmp_path, "0001_c1_00.png", "0001_c1_01.png", "0001_c1_02.png")
    for name in ("0001_c1_02.png", "0001_c1_00.png"):
        (tmp_path / name).write_bytes(b"no picture")
    paths = [crop.path for crop in read_dataset(tmp_path).train.crops]
    found = unreadable_images(paths)
    assert [path.name for path, _ in found] == ["0001_c1_00.png", "0001_c1_02.png"]
    assert "0001_c1_02.png" in str(found[1][1])


def test_parts_of_a_set_of_crops() -> None:
    crops = CropSet.of([Crop(Path("a"), 0, "c1"), Crop(Path("b"), 1, "c2"), Crop(Path("c"), 1, "c1")])
    assert crops.of_cameras(["c1"]).crops == (crops.crops[0], crops.crops[2])
    assert crops.without([Path("b")]).crops == (crops.crops[0], crops.crops[2])
    assert crops.without([Path("z")]) is crops
    assert identities_digest((1, 23)) != identities_digest((12, 3))


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


@pytest.mark.parametrize(
    ("written_as", "marker", "offset", "damage", "raised_by_pillow"),
    [
        pytest.param("JPEG", b"\xff\xc0", 5, b"\xff\xff\xff\xff", Image.DecompressionBombError, id="huge JPEG"),
        pytest.param("PNG", b"IHDR", -1, b"\x0c", ValueError, id="PNG with a short header"),
        pytest.param("TIFF", b"\x11\x01", 2, b"\x02", TypeError, id="TIFF with text for an offset"),
    ],
)
def test_damaged_headers_are_named(
    tmp_path: Path, written_as: str, marker: bytes, offset: int, damage: bytes, raised_by_pillow: type[Exception]
) -> None:
    path = tmp_path / "0001_c1_00.png"
    Image.new("RGB", (4, 8)).save(path, written_as)
    data = bytearray(path.read_bytes())
    at = data.rindex(marker) + offset
    data[at : at + len(damage)] = damage
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"0001_c1_00\.png: cannot be read as an image") as caught:
        read_rgb(path)
    assert isinstance(caught.value.__cause__, raised_by_pillow)
    assert [found for found, _ in unreadable_images([path])] == [path]


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


def test_a_folder_of_market1501_alone_is_known_by_its_names(tmp_path: Path) -> None:
    """Sequences tell it from a plain folder; -1 is nobody."""
    for name in ("0002_c1s1_000451_03", "0002_c3s2_000001_01", "-1_c1s1_000401_03"):
        Image.new("RGB", (8, 16)).save(tmp_path / f"{name}.jpg")
    dataset = read_dataset(tmp_path)
    assert [(crop.person_id, crop.camera) for crop in dataset.train.crops] == [(2, "c1"), (2, "c3")]
    assert dataset.query is dataset.train
    assert read_dataset(tmp_path, "market1501_crops").train == dataset.train


def test_distractors_of_a_folder_of_market1501_are_in_the_gallery_only(tmp_path: Path) -> None:
    for name in ("0002_c1s1_000451_03", "0002_c3s2_000001_01", "0000_c1s1_000001_01", "0000_c3s1_000002_01"):
        Image.new("RGB", (8, 16)).save(tmp_path / f"{name}.jpg")
    dataset = read_dataset(tmp_path)
    assert dataset.query is dataset.train
    assert dataset.train.person_ids == (2,)
    assert dataset.gallery.person_ids == (0, 2)
    assert dataset.people == dataset.train
    assert "2 distractors (person id 0) are in the gallery only." in dataset.notes
    for path in tmp_path.glob("0002*"):
        path.unlink()
    with pytest.raises(InputError, match="all 2 crops are distractors"):
        read_dataset(tmp_path)
