"""When a picture counts as changed."""

from __future__ import annotations

import numpy as np

from pipeline.live.cameras.still_picture import StillPicture

RNG = np.random.default_rng(0)
ROOM = RNG.integers(40, 200, (720, 1280)).astype(np.uint8)


def flickering(image: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """As a codec does it: a little, everywhere."""
    noise = RNG.normal(0.0, 3.0, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_flicker_is_no_change_and_a_person_is_one() -> None:
    still = StillPicture()
    assert [still.measure(flickering(ROOM), float(second)) for second in range(5)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    person = ROOM.copy()
    person[300:380, 600:630] = 20  # 80 px tall, far away
    assert still.measure(flickering(person), 5.0) == 0.0
    assert still.measure(flickering(person), 6.0) == 1.0


def test_another_size_does_not_matter() -> None:
    still = StillPicture()
    still.measure(np.full((240, 320), 90, np.uint8), 0.0)
    assert still.measure(np.full((1080, 1920), 90, np.uint8), 1.0) == 1.0


def test_one_look_a_second_is_enough() -> None:
    still = StillPicture()
    assert still.is_due(0.0)
    still.measure(ROOM, 0.0)
    assert not still.is_due(0.9)
    assert still.is_due(1.0)
