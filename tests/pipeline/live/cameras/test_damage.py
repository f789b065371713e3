"""Pictures that are not what the camera saw, of video that the test damages."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from pipeline.live.cameras.damage import DamageWatch

KEY_EVERY = 10


def encoded(pictures: int) -> list[bytes]:
    """A white bar that walks over a black ground, a packet a picture."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 10), Fraction(10)
    context.options = {"tune": "zerolatency", "preset": "ultrafast", "g": str(KEY_EVERY)}
    packets = []
    for index in range(pictures):
        image = np.zeros((240, 320, 3), np.uint8)
        image[60:180, 10 * index % 280 :][:, :40] = 255
        frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts = index
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets + [bytes(packet) for packet in context.encode()]


def decoded(packets: Sequence[bytes]) -> Iterator[VideoFrame]:
    context = av.CodecContext.create("h264", "r")
    context.thread_count = 1
    for packet in packets:
        try:
            yield from context.decode(av.Packet(packet))
        except av.error.InvalidDataError:
            continue  # no picture came of it


def is_all_grey(frame: VideoFrame) -> bool:
    image = frame.to_ndarray(format="gray")
    return bool(np.abs(image.astype(int) - 130).max() < 30)


def spoiled_key_picture(packets: Sequence[bytes], seed: int) -> list[bytes]:
    """The second key picture with four bytes of its head changed."""
    rng, damaged = random.Random(seed), bytearray(packets[KEY_EVERY])
    for _ in range(4):
        damaged[rng.randrange(4, 40)] ^= rng.randrange(1, 256)
    return [*packets[:KEY_EVERY], bytes(damaged), *packets[KEY_EVERY + 1 :]]


def test_grey_pictures_after_damage_are_left_out_until_the_next_key_picture() -> None:
    packets = encoded(3 * KEY_EVERY)
    unmarked = 0
    for seed in range(40):
        watch = DamageWatch()
        for frame in decoded(spoiled_key_picture(packets, seed)):
            left_out = watch.is_damaged(frame)
            unmarked += is_all_grey(frame) and not frame.is_corrupt
            assert left_out == (frame.is_corrupt or is_all_grey(frame))
    assert unmarked  # the decoder alone does not tell them


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuyv422", "rgb24", "yuv420p10le"])
def test_a_grey_wall_is_no_damage(pixel_format: str) -> None:
    image = np.full((240, 320, 3), 130, np.uint8)
    frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
    assert not DamageWatch().is_damaged(frame)
