import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError
from pipeline.files.mot_files import read_ground_truth, read_results, result_line
from pipeline.files.track_boxes import TrackBoxes, crop_ground_truth
from pipeline.files.trajectory_boxes import read_predicted_boxes, read_trajectory_boxes

TRAJECTORY_HEADER = (
    "global_id,camera_id,track_id,frame_index,time_s,utc,class_name,x1,y1,x2,y2,confidence,link_confidence,"
    "link_state,interpolated,world_x_m,world_y_m"
)


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def trajectory_row(
    global_id: object,
    camera: str,
    track_id: int,
    frame_index: int,
    box: str = "0,0,10,20",
    class_name: str = "person",
    interpolated: int = 0,
) -> str:
    return (
        f"{global_id},{camera},{track_id},{frame_index},{frame_index / 10},,{class_name},{box},0.9,1.0,final,"
        f"{interpolated},,"
    )


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        ("required columns only", "3,7,10,20,30,40"),
        ("with flag", "3,7,10,20,30,40,1"),
        ("class without visibility", "3,7,10,20,30,40,1,1"),
        ("MOT17: class, visibility", "3,7,10,20,30,40,1,1,0.5"),
        ("MOT15: world position", "3,7,10,20,30,40,1,-4.1,7.3,0"),
        ("MOT15: no world position", "3,7,10,20,30,40,1,-1,-1,-1"),
        ("spaces", "3, 7, 10, 20, 30, 40, 1, -1, -1, -1"),
        ("decimal points", "3.0,7.0,10.0,20.0,30.0,40.0,1.0,-1.0,-1.0,-1.0"),
    ],
)
def test_layouts_of_ground_truth(tmp_path: Path, layout: str, line: str) -> None:
    boxes = read_ground_truth(write(tmp_path / "gt.txt", line))
    assert boxes.frame_index.tolist() == [2], "frames count from 1 on disk, from 0 inside"
    assert boxes.ids.tolist() == [7]
    assert boxes.xyxy.tolist() == [[10, 20, 40, 60]]


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file_is_a_camera_without_people(tmp_path: Path, content: str) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(content)
    assert len(read_ground_truth(path)) == 0
    assert len(read_results(path)) == 0


def test_flag_zero_and_other_classes_are_dropped(tmp_path: Path) -> None:
    path = write(
        tmp_path / "gt.txt",
        "1,1,0,0,10,20,1,1,1.0",
        "1,2,0,0,10,20,0,1,1.0",  # flag 0
        "1,3,0,0,10,20,1,7,1.0",  # a static person
        "1,3,0,0,10,20,0,7,1.0",  # repeats an id, but is not evaluated
    )
    assert read_ground_truth(path).ids.tolist() == [1]
    assert read_ground_truth(path, classes=(1, 7)).ids.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("ends", "ids", "told"),
    [
        pytest.param(["1,0,1", "1,0,1"], [0, 1], "the class of all rows is 0 (2); the class", id="class 0"),
        pytest.param(["1,-1,-1", "1,-1,-1"], [0, 1], "the class of all rows is -1 (2); the class", id="class -1"),
        pytest.param(["1,0", "1,0"], [0, 1], "the class of all rows is 0 (2)", id="class 0, no visibility"),
        pytest.param(["0,1,1", "0,1,1"], [0, 1], "all 2 rows have flag 0", id="all flags 0"),
        pytest.param(["0", "0"], [0, 1], "all 2 rows have flag 0", id="all flags 0, no class"),
        pytest.param(["0,-1,-1,-1", "0,-1,-1,-1"], [0, 1], "all 2 rows have flag 0", id="all flags 0, MOT15"),
        pytest.param(
            ["1,1,1", "0,1,1", "1,7,1", "1,7,.5", "1,8,1"],
            [0],
            "1 of 5 rows are used; left out are 1 with flag 0 and those of class 7 (2), 8 (1)",
            id="MOT17",
        ),
        pytest.param(["1,3,1", "1,3,1"], [], "0 of 2 rows are used; left out are those of class 3 (2)", id="cars"),
        pytest.param(
            ["1,1,0,0", "1,2,0,1", "1,4,1,2", "0,0,0,0", "1,11,0,0"],
            [0, 1],
            "2 of 5 rows are used; left out are 1 with flag 0 and those of class 4 (1), 11 (1)",
            id="VisDrone",
        ),
        pytest.param(["1,1,1", "2,4,3"], [0, 1], "has the layout of UAVDT: the class is in column 9", id="UAVDT"),
        pytest.param(
            ["1,1,0,0,5", "0,9,0,0,5"], [0], "1 of 2 rows are used; left out are 1 with flag 0", id="other"
        ),
        pytest.param(["1,1,1", "1,1,0.2"], [0, 1], "", id="nothing to tell"),
        pytest.param(["1,2.5,.5,0", "1,-4,1,0"], [0, 1], "", id="MOT15 with positions"),
        pytest.param(["1,a,b,c", "1,a,b,c"], [0, 1], "", id="words at the end"),
    ],
)
def test_what_ground_truth_leaves_out_is_told(tmp_path: Path, ends: list[str], ids: list[int], told: str) -> None:
    lines = [f"1,{number},0,0,10,20,{end}" for number, end in enumerate(ends)]
    said: list[str] = []
    boxes = read_ground_truth(write(tmp_path / "gt.txt", *lines), tell=said.append)
    assert boxes.ids.tolist() == ids
    assert told in " ".join(said)
    assert bool(said) == bool(told)


def test_classes_of_ground_truth_are_chosen(tmp_path: Path) -> None:
    lines = [f"1,{number},0,0,10,20,1,{cls},0,0" for number, cls in enumerate((1, 4, 5, 4))]
    path = write(tmp_path / "gt.txt", *lines)
    assert read_ground_truth(path, classes=(4,)).ids.tolist() == [1, 3]
    assert read_ground_truth(path, classes="all").ids.tolist() == [0, 1, 2, 3]
    said: list[str] = []
    plain = write(tmp_path / "plain.txt", "1,1,0,0,10,20,1")
    assert len(read_ground_truth(plain, classes=(4,), tell=said.append)) == 1
    assert "has no class column" in said[0]


def test_results_keep_low_confidence_and_the_byte_order_mark_is_no_digit(tmp_path: Path) -> None:
    path = tmp_path / "results.txt"
    path.write_bytes(b"\xef\xbb\xbf1,1,0,0,10,20,0,-1,-1,-1\r\n\r\n2,1,0,0,10,20,0.25,-1,-1,-1\r\n")
    boxes = read_results(path)
    assert boxes.frame_index.tolist() == [0, 1]
    assert boxes.confidence.tolist() == [0, 0.25]


GOOD = "1,1,0,0,10,20,1,-1,-1,-1"


@pytest.mark.parametrize(
    ("case", "line", "message"),
    [
        ("same frame and id", "1,1,5,5,10,20,1,-1,-1,-1", "line 3: frame 1 has id 1 again, as in line 1"),
        ("too few columns", "2,1,0,0", "line 3: 4 columns, but the first line has 10"),
        ("text", "2,1,0,zero,10,20,1,-1,-1,-1", "line 3: top is 'zero'"),
        ("NaN", "2,1,0,nan,10,20,1,-1,-1,-1", "line 3: top is 'nan'"),
        ("infinite", "2,1,0,0,inf,20,1,-1,-1,-1", "line 3: width is 'inf'"),
        ("nothing", "2,1,0,0,,20,1,-1,-1,-1", "line 3: width is ''"),
        ("no width", "2,1,0,0,0,20,1,-1,-1,-1", "line 3: the box is 0 px wide and 20 px high"),
        ("negative height", "2,1,0,0,10,-3,1,-1,-1,-1", "line 3: the box is 10 px wide and -3 px high"),
        ("frame 0", "0,1,0,0,10,20,1,-1,-1,-1", "line 3: frame 0, but MOTChallenge text counts from 1"),
        ("half a frame", "1.5,1,0,0,10,20,1,-1,-1,-1", "line 3: frame 1.5 is not a whole number"),
        ("detection", "2,-1,0,0,10,20,1,-1,-1,-1", "line 3: id -1, but ids are not negative"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path: Path, case: str, line: str, message: str) -> None:
    path = write(tmp_path / "gt.txt", GOOD, "", line)  # the empty line counts
    for read in (read_ground_truth, read_results):
        with pytest.raises(InputError) as caught:
            read(path)
        assert f"{path}, {message}" in str(caught.value)


def test_too_few_columns_in_the_first_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 1: 5 columns, but MOTChallenge text has at least 6"):
        read_ground_truth(write(tmp_path / "gt.txt", "1,1,0,0,10"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        read_ground_truth(tmp_path / "gt.txt")
    with pytest.raises(InputError, match="is not a file"):
        read_trajectory_boxes(tmp_path / "trajectories.csv")


def test_first_repeat_in_the_file_is_named(tmp_path: Path) -> None:
    rows = ["2,1,0,0,1,1", "1,1,0,0,1,1", "2,1,0,0,1,1", "1,1,0,0,1,1", "2,1,0,0,1,1"]
    with pytest.raises(InputError, match="line 3: frame 2 has id 1 again, as in line 1"):
        read_results(write(tmp_path / "results.txt", *rows))


hundredths = st.integers(-100_000, 400_000).map(lambda n: n / 100)
sizes = st.integers(1, 200_000).map(lambda n: n / 100)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**9)),
        st.tuples(hundredths, hundredths, sizes, sizes),
        max_size=20,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[tuple[int, int], tuple[float, float, float, float]]
) -> None:
    lines = [
        result_line(frame_index, box_id, (left, top, left + width, top + height), 0.5)
        for (frame_index, box_id), (left, top, width, height) in rows.items()
    ]
    path = write(tmp_path_factory.mktemp("mot") / "cam.txt", *lines)
    boxes = read_results(path)
    assert list(zip(boxes.frame_index.tolist(), boxes.ids.tolist(), strict=True)) == list(rows)
    expected = [[left, top, left + width, top + height] for left, top, width, height in rows.values()]
    np.testing.assert_allclose(boxes.xyxy, np.reshape(expected, (-1, 4)), atol=0.011)  # two decimals
    assert (boxes.confidence == 0.5).all()


def test_result_line() -> None:
    assert result_line(0, 4, (1, 2, 4, 8), 0.5) == "1,4,1.00,2.00,3.00,6.00,0.5000,-1,-1,-1"


@pytest.mark.parametrize(
    ("case", "xyxy", "expected"),
    [
        ("inside: moved only", [420, 20, 440, 70], [0, 10, 20, 60]),
        ("exactly half of the width inside: cut", [410, 20, 430, 70], [0, 10, 10, 60]),
        ("less than half of the width inside: gone", [409, 20, 429, 70], None),
        ("exactly half of the height inside: cut", [420, 0, 440, 20], [0, 0, 20, 10]),
        ("less than half of the height inside: gone", [420, 0, 440, 19], None),
        ("outside: gone", [100, 20, 120, 70], None),
        ("lower right corner", [760, 500, 770, 600], [340, 490, 348, 566]),
    ],
)
def test_crop_ground_truth(case: str, xyxy: list[int], expected: list[int] | None) -> None:
    boxes = TrackBoxes(np.array([3]), np.array([9]), np.array([xyxy], float), np.ones(1))
    view = crop_ground_truth(boxes, (420, 10, 768, 576))
    assert view.xyxy.tolist() == ([expected] if expected else [])
    assert view.ids.tolist() == ([9] if expected else [])
    assert boxes.xyxy.tolist() == [xyxy], "the original stays as it is"


def test_trajectories_by_camera(tmp_path: Path) -> None:
    path = write(
        tmp_path / "trajectories.csv",
        TRAJECTORY_HEADER,
        trajectory_row(5, "hall", 1, 0),
        trajectory_row(5, "door", 2, 0, "1,2,3,4.5"),
        trajectory_row(6, "hall", 3, 1, interpolated=1),
        trajectory_row(7, "yard", 1, 1, class_name="bicycle"),
    )
    by_camera = read_trajectory_boxes(path)
    assert list(by_camera) == ["door", "hall", "yard"]
    assert by_camera["hall"].boxes.ids.tolist() == [5, 6]
    assert by_camera["hall"].track_id.tolist() == [1, 3]
    assert by_camera["door"].boxes.xyxy.tolist() == [[1, 2, 3, 4.5]]

    people = read_trajectory_boxes(path, class_name="person", interpolated=False)
    assert people["hall"].boxes.ids.tolist() == [5]
    assert list(people) == ["door", "hall", "yard"], "a camera that only saw bicycles has seen no people"
    assert len(people["yard"].boxes) == 0


def test_trajectories_without_rows(tmp_path: Path) -> None:
    assert read_trajectory_boxes(write(tmp_path / "trajectories.csv", TRAJECTORY_HEADER)) == {}


def test_trajectories_of_several_read_blocks(tmp_path: Path) -> None:
    # 2 MB: more than the block of 1 MiB that pyarrow reads at once, each block with its own camera codes.
    rows = [trajectory_row(1, "b" if i > 20_000 else "a", 1, i) for i in range(30_000)]
    rows.append(trajectory_row(1, "a", 1, 30_000))
    by_camera = read_trajectory_boxes(write(tmp_path / "trajectories.csv", TRAJECTORY_HEADER, *rows))
    assert by_camera["a"].boxes.frame_index.tolist() == [*range(20_001), 30_000]
    assert by_camera["b"].boxes.frame_index.tolist() == [*range(20_001, 30_000)]


@pytest.mark.parametrize(
    ("case", "row", "message"),
    [
        (
            "global id twice in a frame",
            trajectory_row(5, "hall", 8, 4),
            "line 4: camera 'hall', frame_index 4 has global_id 5 again, as in line 2",
        ),
        ("cut off", "5,hall,1", "line 4: 3 columns, but the header has 17"),
        ("no id", trajectory_row("", "hall", 1, 5), "line 4: global_id is '', not a finite number of type int"),
        ("half an id", trajectory_row("1.5", "hall", 1, 5), "line 4: global_id is '1.5'"),
        ("text", trajectory_row(5, "hall", 1, 5, "0,0,a,20"), "line 4: x2 is 'a'"),
        ("NaN", trajectory_row(5, "hall", 1, 5, "0,0,nan,20"), "line 4: x2 is 'nan'"),
        ("no area", trajectory_row(5, "hall", 1, 5, "9,0,9,20"), "line 4: the box is 0 px wide and 20 px high"),
        ("negative frame", trajectory_row(5, "hall", 1, -1), "line 4: the frame is 1 before the first"),
    ],
)
def test_bad_trajectories_are_refused_with_their_line(tmp_path: Path, case: str, row: str, message: str) -> None:
    path = write(
        tmp_path / "trajectories.csv",
        TRAJECTORY_HEADER,
        trajectory_row(5, "hall", 1, 4),
        trajectory_row(5, "door", 1, 4),
        row,
    )
    with pytest.raises(InputError) as caught:
        read_trajectory_boxes(path)
    assert f"{path}, {message}" in str(caught.value)


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    rows = [trajectory_row(5, "hall", 1, 4, class_name='"two\nlines"'), "", trajectory_row(5, "hall", 2, 4)]
    path = write(tmp_path / "trajectories.csv", "sep=,", TRAJECTORY_HEADER, *rows)
    with pytest.raises(InputError, match=r"line 6: .* has global_id 5 again, as in line 4"):
        read_trajectory_boxes(path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "trajectories.csv", "global_id,camera_id,track_id,frame_index,class_name,x1,y1,x2,y2")
    with pytest.raises(InputError, match="no column confidence, interpolated"):
        read_trajectory_boxes(path)
    path.write_text("")
    with pytest.raises(InputError, match="empty"):
        read_trajectory_boxes(path)


@pytest.mark.skipif("MTMC_DATA" not in os.environ, reason="MTMC_DATA (folder of recordings) is not set")
@pytest.mark.parametrize(
    ("sequence", "boxes", "people"),
    [
        ("PETS09-S2L1", 4650 - 174, 19),
        ("TUD-Campus", 359, 8),
        ("TUD-Stadtmitte", 1156, 10),
        ("MOT17-mini/train/MOT17-02-FRCNN", 88, 22),
        ("MOT17-mini/train/MOT17-04-FRCNN", 336, 42),
    ],
)
def test_real_ground_truth(sequence: str, boxes: int, people: int) -> None:
    truth = read_ground_truth(Path(os.environ["MTMC_DATA"]) / "mot" / sequence / "gt" / "gt.txt")
    assert len(truth) == boxes
    assert len(np.unique(truth.ids)) == people
    assert truth.frame_index.min() == 0


# -- results of a run in any form ----------------------------------------------------------------------------------


def test_rows_of_other_classes_are_counted(tmp_path: Path) -> None:
    rows = [
        trajectory_row(i, "hall", i, 0, class_name=name) for i, name in enumerate(("person", "car", "car", "dog"))
    ]
    path = write(tmp_path / "t.csv", TRAJECTORY_HEADER, *rows)
    said: list[str] = []
    assert len(read_trajectory_boxes(path, class_name="person", tell=said.append)["hall"].boxes) == 1
    assert said == [f"{path}: 3 of 4 rows are left out, those of the classes car (2), dog (1)"]
    with pytest.raises(
        InputError, match=r"no row has the class 'pedestrian'\. .*: car \(2\), person \(1\), dog \(1\)"
    ):
        read_trajectory_boxes(path, class_name="pedestrian")


def test_mot_text_of_cameras_is_a_result(tmp_path: Path) -> None:
    folder = tmp_path / "mot"
    folder.mkdir()
    hall = write(
        folder / "hall.txt", result_line(0, 7, (0, 0, 10, 20), 0.9), result_line(1, 7, (0, 0, 10, 20), 0.9)
    )
    gate = write(folder / "gate.txt")
    for paths in ([folder], [hall, gate]):
        found = read_predicted_boxes(paths, class_name="person")
        assert list(found) == ["gate", "hall"]
        assert found["hall"].boxes.ids.tolist() == found["hall"].track_id.tolist() == [7, 7]
        assert found["hall"].boxes.frame_index.tolist() == [0, 1]
        assert len(found["gate"].boxes) == 0
    table = write(tmp_path / "trajectories.csv", TRAJECTORY_HEADER, trajectory_row(3, "hall", 1, 0))
    for paths in ([table], [tmp_path]):
        assert read_predicted_boxes(paths)["hall"].boxes.ids.tolist() == [3]
    for paths, message in (
        ([table, hall], "give one trajectories.csv, or MOT text of each camera"),
        ([table, table], "give one trajectories"),
        ([hall, folder], "the camera 'hall' has two files"),
        ([folder.parent / "none"], "is not a file"),
        ([write(tmp_path / "dets.txt", "1,-1,0,0,10,20,1,-1,-1,-1")], "ids are not negative"),
    ):
        with pytest.raises(InputError, match=message):
            read_predicted_boxes(paths)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds neither a trajectories"):
        read_predicted_boxes([tmp_path / "empty"])


def test_ground_truth_in_shares_of_the_picture_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,7,0.1,0.2,0.3,0.5\n2,7,0.5,0.2,0.5,0.8\n")
    told: list[str] = []
    read_ground_truth(path, tell=told.append)
    assert told == [f"{path}: no box reaches further than 1 px: are these shares of the picture?"]
