"""Pictures of the page: heads are gone before a picture is kept."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.core.datatypes import Frame
from pipeline.live.web.preview import PreviewStore, blur_heads
from tests.helpers.live.examples import make_row


def noise(height: int = 200, width: int = 300) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def detail(image: np.ndarray) -> float:
    """How many neighbouring pixels differ, as a share."""
    return float((np.abs(np.diff(image.astype(int), axis=1)).max(axis=2) > 20).mean())


def test_the_head_of_every_box_is_a_few_flat_blocks_and_the_rest_is_untouched() -> None:
    image = noise()
    blurred = blur_heads(image, np.array([[100, 50, 150, 180]], np.float32))
    assert detail(image[50:80, 100:150]) > 0.9
    assert detail(blurred[50:80, 100:150]) < 0.1
    np.testing.assert_array_equal(blurred[100:], image[100:])
    np.testing.assert_array_equal(blurred[:, :90], image[:, :90])


@pytest.mark.parametrize(
    "xyxy",
    [(-50, -50, 20, 100), (290, 190, 400, 400), (400, 10, 500, 90), (10, 10, 10, 10), (-500, -900, 900, 900)],
)
def test_boxes_at_and_beyond_the_border_are_no_trouble(xyxy: tuple[int, ...]) -> None:
    assert blur_heads(noise(), np.array([xyxy], np.float32)).shape == (200, 300, 3)


def test_nobody_leaves_the_picture_as_it_is() -> None:
    image = noise()
    np.testing.assert_array_equal(blur_heads(image, np.zeros((0, 4), np.float32)), image)


def shown(store: PreviewStore) -> np.ndarray:
    data = store.jpeg("entrance")
    assert data is not None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_also_boxes_that_have_no_id_yet_are_blurred() -> None:
    """Stripes six pixels wide, which JPEG keeps: only what was blurred turns into flat blocks."""
    stripes = np.broadcast_to(np.arange(300) // 6 % 2 * 240, (200, 300))
    image = np.ascontiguousarray(np.repeat(stripes[:, :, None], 3, axis=2).astype(np.uint8))
    frame = Frame("entrance", 0, 0.0, (300, 200), image)
    boxes = np.array([[200, 40, 260, 190]], np.float32)
    stores = {blurred: PreviewStore(blurred=blurred, width_px=300) for blurred in (True, False)}
    for store in stores.values():
        store.hook(frame, boxes, [])
    head = (slice(45, 75), slice(205, 255))
    assert shown(stores[False])[head].std() > 80
    assert shown(stores[True])[head].std() < 30


def test_boxes_are_drawn_in_the_size_of_the_small_picture() -> None:
    store = PreviewStore(blurred=True, width_px=150)
    frame = Frame("entrance", 0, 0.0, (300, 200), np.zeros((200, 300, 3), np.uint8))
    store.hook(frame, np.zeros((0, 4), np.float32), [make_row(1, xyxy=(100.0, 60.0, 200.0, 180.0))])
    image = shown(store)
    assert image.shape == (100, 150, 3)
    lit = np.argwhere(image.max(axis=2) > 60)
    assert lit[:, 1].min() >= 45
    assert lit[:, 1].max() <= 110


def test_class_names_are_shown_from_the_second_class_on() -> None:
    store = PreviewStore(blurred=False, width_px=300)
    frame = Frame("entrance", 0, 0.0, (300, 200), np.zeros((200, 300, 3), np.uint8))
    person, none = make_row(1, xyxy=(100.0, 60.0, 200.0, 180.0)), np.zeros((0, 4), np.float32)
    pictures = []
    for rows in ([person], [make_row(2, class_name="car", xyxy=(0.0, 60.0, 9.0, 70.0))], [person]):
        store.hook(frame, np.array([[5, 5, 9, 9]], np.float32) if rows == [person] else none, rows)
        pictures.append(shown(store))
    assert (pictures[0].max(axis=2) > 60).sum() < (pictures[2].max(axis=2) > 60).sum()


def test_a_picture_that_is_forgotten_while_it_is_sent_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    store = PreviewStore(blurred=True, width_px=100)
    nobody = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    encode = cv2.imencode

    def slow(*arguments: Any) -> Any:
        store.forget("entrance")
        return encode(*arguments)

    store.show("entrance", noise(), *nobody)
    with monkeypatch.context() as patched:
        patched.setattr(cv2, "imencode", slow)
        store.jpeg("entrance")
    store.show("entrance", np.zeros((200, 300, 3), np.uint8), *nobody)
    assert shown(store).max() == 0


def test_a_camera_that_is_gone_shows_nothing() -> None:
    store = PreviewStore(blurred=True, width_px=100)
    store.show("entrance", noise(), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    assert store.jpeg("entrance") is not None
    store.forget("entrance")
    assert store.jpeg("entrance") is None
