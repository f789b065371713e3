import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.datatypes import Frame
from pipeline.core.errors import InputError, RunError
from pipeline.drawing.mosaic_video import (
    MosaicSettings,
    mosaic_images,
    render_mosaic_video,
)
from pipeline.drawing.visualization import CameraView, MosaicRenderer, draw_tracks, format_time, id_colour
from pipeline.files.results_csv import COLUMNS
from pipeline.sources.base import BrokenSource

GREY = 60
NOBODY = np.zeros((0, 4))
NO_IDS = np.zeros(0, np.int64)
NONE_INTERPOLATED = np.zeros(0, np.bool_)


def grey(width: int = 160, height: int = 120, value: int = GREY) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def is_colour(image: NDArray[np.uint8], global_id: int) -> NDArray[np.bool_]:
    """(H, W): where the picture has the colour of the id."""
    return (image == id_colour(global_id)).all(axis=2)


def test_colours_are_stable_and_distinct() -> None:
    assert id_colour(7) == id_colour(7)
    colours = np.array([[id_colour(global_id) for global_id in range(1, 61)]], np.float32) / 255
    lab = cv2.cvtColor(colours, cv2.COLOR_BGR2LAB)[0]
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)  # about 2 is just noticeable
    assert distance[~np.eye(60, dtype=bool)].min() > 8
    assert np.diagonal(distance, 1).min() > 50, "ids next to each other, as of people who come together"
    assert id_colour(10**9) != id_colour(10**9 + 1)


def test_nobody_to_draw() -> None:
    image = grey()
    drawn = draw_tracks(image, NOBODY, NO_IDS)
    assert (drawn == image).all()
    assert drawn is not image


def test_a_box_has_the_colour_of_its_id_and_the_original_stays() -> None:
    image = grey()
    drawn = draw_tracks(image, np.array([[40.0, 50, 80, 100]]), np.array([7]))
    assert (image == GREY).all()
    coloured = is_colour(drawn, 7)
    assert coloured[50:101, 40].all()
    assert coloured[50:101, 80].all()
    assert coloured[100, 40:81].all()
    assert not coloured[55:95, 45:75].any(), "the person stays visible"
    assert coloured[30:50, 40:60].any(), "the label's plate, above the box"
    label = drawn[30:50, 40:60]
    assert (label != GREY).any()
    assert not coloured[:25].any()


def test_interpolated_boxes_are_dashed() -> None:
    boxes = np.array([[20.0, 40, 60, 110], [100.0, 40, 140, 110]])
    drawn = draw_tracks(grey(), boxes, np.array([1, 2]), interpolated=np.array([True, False]))
    dashed, solid = is_colour(drawn, 1)[40:111, 20], is_colour(drawn, 2)[40:111, 100]
    assert solid.all()
    assert 0.3 < dashed.mean() < 0.8


def test_trail_leads_to_the_feet() -> None:
    trail = np.array([[10.0, 110], [90, 110]])
    drawn = draw_tracks(grey(), np.array([[80.0, 40, 100, 110]]), np.array([3]), trails={3: trail})
    assert (drawn[110, 10:79] != GREY).any(axis=1).all()
    without = draw_tracks(grey(), np.array([[80.0, 40, 100, 110]]), np.array([3]))
    assert (without[110, :79] == GREY).all()


@pytest.mark.parametrize(
    ("place", "xyxy"),
    [
        ("top left", [-30, -40, 20, 60]),
        ("bottom right", [140, 90, 400, 300]),
        ("everything", [-1e6, -1e6, 1e6, 1e6]),
        ("beside the picture", [500, 500, 510, 520]),
    ],
)
def test_labels_stay_in_the_picture(place: str, xyxy: list[float]) -> None:
    for interpolated in (True, False):
        drawn = draw_tracks(grey(), np.array([xyxy], float), np.array([5]), interpolated=np.array([interpolated]))
        plate = is_colour(drawn, 5)
        assert plate.sum() > 50
        assert (drawn != GREY).any()


def test_labels_of_people_side_by_side_do_not_cover_each_other() -> None:
    boxes = np.array([[40.0, 40, 80, 90], [46.0, 44, 86, 94]])
    both = draw_tracks(grey(), boxes, np.array([1, 2]))
    first_alone = draw_tracks(grey(), boxes[:1], np.array([1]))
    second_alone = draw_tracks(grey(), boxes[1:], np.array([2]))
    # Plates are the only coloured areas; both ids keep about as many coloured pixels as alone.
    assert is_colour(both, 1).sum() > 0.85 * is_colour(first_alone, 1).sum()
    assert is_colour(both, 2).sum() > 0.95 * is_colour(second_alone, 2).sum()


def test_every_box_needs_an_id() -> None:
    box = np.array([[40.0, 50, 80, 100]])
    with pytest.raises(ValueError, match="1 boxes, but 0 global ids"):
        draw_tracks(grey(), box, NO_IDS)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0, "0:00:00.0"),
        (83.44, "0:01:23.4"),
        (59.96, "0:01:00.0"),
        (36_000.5, "10:00:00.5"),
        (-1.25, "-0:00:01.2"),
        (-0.01, "0:00:00.0"),
    ],
)
def test_format_time(time_s: float, text: str) -> None:
    assert format_time(time_s) == text


def plain_view(value: int, width: int, height: int) -> CameraView:
    return CameraView(grey(width, height, value), NOBODY, NO_IDS, NONE_INTERPOLATED)


@pytest.mark.parametrize(
    ("cameras", "columns", "grid"),
    [(1, None, (1, 1)), (2, None, (2, 1)), (4, None, (2, 2)), (5, None, (3, 2)), (3, 3, (3, 1)), (2, 9, (2, 1))],
)
def test_grid(cameras: int, columns: int | None, grid: tuple[int, int]) -> None:
    names = [f"camera {index}" for index in range(cameras)]
    mosaic = MosaicRenderer(names, tile_wh=(160, 90), columns=columns)
    bar_height = MosaicRenderer(["one"], tile_wh=(160, 90)).size_wh[1] - 90
    assert mosaic.size_wh == (grid[0] * 164 - 4, grid[1] * (90 + bar_height))
    image = mosaic.render({name: plain_view(10 * i + 40, 160, 90) for i, name in enumerate(names)}, 1.5)
    assert image.shape == (*mosaic.size_wh[::-1], 3)
    for index in range(cameras):
        row, column = divmod(index, grid[0])
        left, top = column * 164, row * (90 + bar_height) + bar_height
        assert (image[top : top + 90, left : left + 160] == 10 * index + 40).all()
        assert (image[top - bar_height : top, left : left + 160] > 200).any(), "name and time above the tile"


@pytest.mark.parametrize(
    ("case", "size_wh", "inside"),
    [
        ("wider than the tile", (400, 100), (0, 25, 160, 65)),
        ("higher than the tile", (45, 90), (58, 0, 103, 90)),
        ("small", (16, 9), (0, 0, 160, 90)),
    ],
)
def test_pictures_are_fitted_into_their_tile(
    case: str, size_wh: tuple[int, int], inside: tuple[int, int, int, int]
) -> None:
    image = MosaicRenderer(["a"], tile_wh=(160, 90)).render({"a": plain_view(200, *size_wh)}, 0)[-90:]
    left, top, right, bottom = inside
    expected = np.zeros((90, 160, 3), np.uint8)
    expected[top:bottom, left:right] = 200
    # 45 px in 160 px leave 57 and 58: one column may be on the other side.
    assert np.mean(image != expected) <= 2 / 160


def test_boxes_are_fitted_as_their_picture() -> None:
    view = CameraView(
        grey(800, 900),
        np.array([[200.0, 450, 600, 810]]),
        np.array([4]),
        np.array([False]),
        {4: np.array([[0.0, 810], [400, 810]])},
    )
    image = MosaicRenderer(["a"], tile_wh=(160, 90)).render({"a": view}, 0)[-90:]
    # 800 x 900 becomes 80 x 90, 40 px from the left border of the tile.
    coloured = is_colour(image, 4)
    assert coloured[45:82, 60].all()
    assert coloured[45:82, 100].all()
    assert (image[81, 41:59] != GREY).any(axis=1).all(), "the trail"


def test_camera_without_a_frame_is_black_and_says_so() -> None:
    image = MosaicRenderer(["a", "b"], tile_wh=(160, 90)).render({"b": plain_view(200, 160, 90)}, 0)[-90:]
    assert (image[:, 164:] == 200).all()
    assert image[:, :160].max() > 100, "the words"
    assert np.mean(image[:, :160] == 0) > 0.9


def test_no_grid_without_cameras() -> None:
    with pytest.raises(ValueError, match="at least one camera"):
        MosaicRenderer([])
    with pytest.raises(ValueError, match="columns must be at least 1"):
        MosaicRenderer(["a"], columns=0)


def test_class_names_stand_before_the_ids_and_none_is_wrong() -> None:
    boxes, ids = np.array([[20.0, 50, 60, 90], [70, 50, 110, 90]]), np.array([3, 3])
    plain, named = draw_tracks(grey(), boxes, ids), draw_tracks(grey(), boxes, ids, class_names=["car", "person"])
    # A label above the box is as wide as its text.
    widths = [[int(is_colour(drawn, 3)[44, part].sum()) for part in (slice(0, 65),)] for drawn in (plain, named)]
    assert widths[1][0] > widths[0][0]
    with pytest.raises(ValueError, match="2 boxes, but 1 class names"):
        draw_tracks(grey(), boxes, ids, class_names=["car"])


# The second pass: frames whose grey value is 100 + their index, at times that differ between the cameras.

TILE = (160, 90)
SETTINGS = MosaicSettings(fps=10, tile_wh=TILE, trail_s=0, max_frame_age_s=0.5)
HEADER = ",".join(COLUMNS)


def frames(camera_id: str, count: int, fps: float, start_s: float = 0.0) -> Iterator[Frame]:
    for index in range(count):
        yield Frame(camera_id, index, start_s + index / fps, TILE, grey(*TILE, value=100 + index))


def row(global_id: int, camera_id: str, frame_index: int, time_s: float, box: str, interpolated: int = 0) -> str:
    """A line of trajectories.csv; times are rounded as there."""
    return f"{global_id},{camera_id},1,{frame_index},{time_s:.3f},,person,{box},0.9,1,final,{interpolated},,"


def write_csv(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def shown(image: NDArray[np.uint8], tile: int) -> int | None:
    """Index of the frame that a tile shows; None for `no frame`."""
    value = int(image[-5, tile * 164 + 5, 0])
    return None if value == 0 else value - 100


def test_every_camera_shows_its_newest_frame(tmp_path: Path) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv")
    sources = {"a": frames("a", 10, fps=10), "b": frames("b", 3, fps=5, start_s=0.25)}
    table = [
        (round(time_s, 3), shown(image, 0), shown(image, 1))
        for time_s, image in mosaic_images(sources, trajectories, settings=SETTINGS)
    ]
    # b has frames at 0.25, 0.45 and 0.65 s and is over after that.
    assert table == [
        (0.0, 0, None),
        (0.1, 1, None),
        (0.2, 2, None),
        (0.3, 3, 0),
        (0.4, 4, 0),
        (0.5, 5, 1),
        (0.6, 6, 1),
        (0.7, 7, 2),
        (0.8, 8, 2),
        (0.9, 9, 2),
    ]


def test_the_mosaic_names_classes_if_asked_to(tmp_path: Path) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv", row(1, "a", 0, 0.0, "40,40,60,80"))
    images = [
        next(
            mosaic_images(
                {"a": frames("a", 1, fps=10)}, trajectories, settings=replace(SETTINGS, class_names=named)
            )
        )
        for named in (False, True)
    ]
    assert (images[0][1] != images[1][1]).any()


def test_a_camera_without_new_frames_has_no_frame_after_a_while(tmp_path: Path) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv")
    gap = (frame for frame in frames("a", 20, fps=10) if not 3 <= frame.frame_index < 15)
    table = [shown(image, 0) for _, image in mosaic_images({"a": gap}, trajectories, settings=SETTINGS)]
    assert table == [0, 1, 2, 2, 2, 2, 2, 2, *[None] * 7, 15, 16, 17, 18, 19]


def test_gaps_of_all_cameras_are_shortened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    csv = write_csv(tmp_path / "t.csv", row(1, "a", 0, 4920.0, "10,10,20,20"))
    sources = {
        "a": itertools.chain(frames("a", 10, 10), frames("a", 10, 10, 4920.0)),
        "b": itertools.chain(frames("b", 5, 10), frames("b", 10, 10, 9000.0)),
    }
    settings = MosaicSettings(fps=10, max_frame_age_s=1.0)
    seen = list(mosaic_images(sources, csv, settings=settings))
    times_s = np.array([time_s for time_s, _ in seen])
    assert (np.diff(times_s) > 0.099).all()
    assert (np.diff(times_s) > 0.2).sum() == 2
    # Each gap: the last frames for 1 s, an image without any, and 1 s before the next frame.
    assert len(seen) == pytest.approx(30 + 2 * 21, abs=3)
    for begin_s in (0.0, 4920.0, 9000.0):
        for index in range(10):
            assert np.abs(times_s - (begin_s + index / 10)).min() < 0.001
    assert "the video leaves out 8994 s without a frame of any camera (2 gaps)" in caplog.text


@pytest.mark.parametrize("fps", [10.0, 1 / 60])
def test_no_gap_is_shortened_while_a_camera_has_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fps: float
) -> None:
    csv = write_csv(tmp_path / "t.csv")
    sources = {"a": frames("a", 60, fps), "b": itertools.chain(frames("b", 2, fps), frames("b", 2, fps, 50 / fps))}
    seen = list(mosaic_images(sources, csv, settings=MosaicSettings(fps=fps)))
    assert [time_s for time_s, _ in seen] == pytest.approx([index / fps for index in range(60)])
    assert not caplog.text


def test_part_of_a_recording(tmp_path: Path) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv")
    images = mosaic_images({"a": frames("a", 20, fps=10)}, trajectories, settings=SETTINGS, start_s=0.5, end_s=0.8)
    assert [shown(image, 0) for _, image in images] == [5, 6, 7, 8]
    longer = mosaic_images({"a": frames("a", 2, fps=10)}, trajectories, settings=SETTINGS, end_s=0.9)
    assert [shown(image, 0) for _, image in longer] == [0, *[1] * 6, None, None, None]


def test_nothing_to_show(tmp_path: Path) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv")
    assert list(mosaic_images({"a": iter(())}, trajectories, settings=SETTINGS)) == []


def test_boxes_are_those_of_the_frame_shown(tmp_path: Path) -> None:
    # One person, 10 px further right in each frame, times rounded as in the CSV; another camera's rows between.
    rows = []
    for index in range(6):
        rows.append(row(7, "a", index, index / 30, f"{20 + 10 * index},40,{50 + 10 * index},80", index % 2))
        rows.append(row(8, "elsewhere", index, index / 30, "0,0,10,10"))
    trajectories = write_csv(tmp_path / "trajectories.csv", *rows)
    settings = MosaicSettings(fps=30, tile_wh=TILE, trail_s=0)
    images = [image for _, image in mosaic_images({"a": frames("a", 6, fps=30)}, trajectories, settings=settings)]
    assert len(images) == 6
    for index, image in enumerate(images):
        coloured = is_colour(image[-90:], 7)
        columns = np.flatnonzero(coloured[60:80].any(axis=0))
        assert (columns.min(), columns.max()) == (20 + 10 * index, 50 + 10 * index)
        assert coloured[41:79, 20 + 10 * index].all() == (index % 2 == 0), "interpolated boxes are dashed"


def test_trails_last_as_long_as_asked(tmp_path: Path) -> None:
    rows = [row(7, "a", i, i / 10, f"{4 * i},40,{4 * i + 8},80") for i in range(30)]
    trajectories = write_csv(tmp_path / "trajectories.csv", *rows)
    for trail_s, first_px in ((0.5, 4 * 20 + 4), (2.0, 4 * 5 + 4)):
        settings = MosaicSettings(fps=10, tile_wh=TILE, trail_s=trail_s)
        (image,) = (
            image
            for _, image in mosaic_images(
                {"a": frames("a", 30, fps=10)}, trajectories, settings=settings, start_s=2.5, end_s=2.5
            )
        )
        trail = (image[-10] != 125).any(axis=1)  # row 80 of 90, in frame 25
        assert np.flatnonzero(trail).min() == pytest.approx(first_px, abs=1)


def test_pictures_and_rows_are_read_as_they_are_needed(tmp_path: Path) -> None:
    trajectories = write_csv(
        tmp_path / "trajectories.csv",
        *(row(7, "a", i, i / 10, "0,40,20,80") for i in range(50)),
        row(7, "a", 3, 0.3, "0,40,20,80"),
    )
    read = 0

    def counted() -> Iterator[Frame]:
        nonlocal read
        for frame in frames("a", 100, fps=10):
            read += 1
            yield frame

    images = mosaic_images({"a": counted()}, trajectories, settings=SETTINGS)
    assert len(list(itertools.islice(images, 20))) == 20
    assert read <= 21
    with pytest.raises(InputError, match=r"time_s falls from 4.9 to 0.3, at camera a, frame_index 3"):
        list(images)


@pytest.mark.parametrize(
    ("case", "content", "message"),
    [
        ("column", "global_id,camera_id\n1,a\n", "the header has no column track_id"),
        ("text", f"{HEADER}\n{row(1, 'a', 0, 0, 'x,0,1,1')}\n", "line 2: x1 is 'x', not a finite number"),
        ("cut off", f"{HEADER}\n1,a,0,0,0\n", "line 2:"),
    ],
)
def test_bad_trajectories(tmp_path: Path, case: str, content: str, message: str) -> None:
    path = tmp_path / "trajectories.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        list(mosaic_images({"a": frames("a", 3, fps=10)}, path, settings=SETTINGS))
    with pytest.raises(InputError, match="cannot be read"):
        list(mosaic_images({"a": frames("a", 3, fps=10)}, tmp_path / "none.csv", settings=SETTINGS))


def test_a_broken_source_ends_early_and_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[Frame]:
        yield from frames("a", 3, fps=10)
        raise BrokenSource("a", "a.mp4", 3, "the video was cut off")

    trajectories = write_csv(tmp_path / "trajectories.csv")
    sources = {"a": broken(), "b": frames("b", 10, fps=10)}
    with caplog.at_level(logging.WARNING):
        table = [
            (shown(image, 0), shown(image, 1))
            for _, image in mosaic_images(sources, trajectories, settings=SETTINGS)
        ]
    assert table == [(0, 0), (1, 1), *[(2, i) for i in range(2, 8)], (None, 8), (None, 9)]
    assert "the video was cut off" in caplog.text


def test_a_still_picture_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv", row(7, "a", 0, 0.0, "20,30,60,80"))
    with pytest.raises(RunError, match=r"still\.png cannot be written: No such file"):
        render_mosaic_video(
            {"a": frames("a", 2, fps=10)},
            trajectories,
            tmp_path / "mosaic.mp4",
            settings=SETTINGS,
            still=(0.0, tmp_path / "nowhere" / "still.png"),
        )


def test_a_video_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    trajectories = write_csv(tmp_path / "trajectories.csv")
    with pytest.raises(RunError, match=r"mosaic\.mp4 cannot be written: No such file"):
        render_mosaic_video({"a": frames("a", 2, fps=10)}, trajectories, tmp_path / "nowhere" / "mosaic.mp4")


def test_video_and_still(tmp_path: Path) -> None:
    trajectories = write_csv(
        tmp_path / "trajectories.csv", *(row(7, "a", i, i / 10, "20,30,60,80") for i in range(10))
    )
    video, still = tmp_path / "mosaic.mp4", tmp_path / "still.png"
    count = render_mosaic_video(
        {"a": frames("a", 10, fps=10), "b": frames("b", 10, fps=10)},
        trajectories,
        video,
        settings=SETTINGS,
        still=(0.42, still),
    )
    assert count == 10
    with av.open(str(video)) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(pictures) == 10
    saved = cv2.imread(str(still))
    assert saved is not None
    assert shown(np.asarray(saved, np.uint8), 1) == 4
    assert is_colour(np.asarray(saved, np.uint8), 7).sum() > 150
    assert np.abs(pictures[4].astype(int) - saved).mean() < 4, "the video's picture, but for the codec"
