"""The settings of a rendered scene; by default it has the cameras of demo/scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

from demo.cameras import Camera
from demo.clothes import Outfit
from demo.paths import Walk
from pipeline.core.errors import InputError


def look_from(
    x_m: float, y_m: float, height_m: float, azimuth_deg: float, down_deg: float
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return `position_m` and `look_at_m` of a camera; azimuth is from the x axis towards y, `down_deg` downwards."""
    azimuth, down = math.radians(azimuth_deg), math.radians(down_deg)
    target = (
        x_m + math.cos(azimuth) * math.cos(down),
        y_m + math.sin(azimuth) * math.cos(down),
        height_m - math.sin(down),
    )
    return (x_m, y_m, height_m), target


DEMO_CAMERAS = (
    Camera(
        "cam1",
        *look_from(0.35, 0.35, 2.95, azimuth_deg=46, down_deg=17),
        horizontal_fov_deg=60,
        exposure=1.25,
        white_balance=(1.05, 1.0, 0.92),
        noise=2.0,
    ),
    Camera(
        "cam2",
        *look_from(15.65, 8.65, 2.95, azimuth_deg=226, down_deg=17),
        horizontal_fov_deg=60,
        exposure=1.05,
        white_balance=(0.93, 1.0, 1.10),
        saturation=0.92,
        noise=2.6,
        vignette=0.32,
    ),
    Camera(
        "cam3",
        *look_from(29.6, 8.6, 2.95, azimuth_deg=217, down_deg=17),
        horizontal_fov_deg=60,
        exposure=1.35,
        white_balance=(1.02, 1.03, 0.95),
        saturation=1.06,
        noise=2.2,
        blur_px=0.6,
        vignette=0.2,
    ),
)


@dataclass(frozen=True)
class SceneSettings:
    """All settings of a scene; the same settings give the same pixels.

    Attributes:
        size_wh: image size of all cameras in pixels, both even (the chroma of the video has half the size).
        fps: frames per second.
        seconds: length of the scene.
        people: number of people, with global ids 1..people.
        seed: random seed of clothes, heights, walks and noise, unless they are given.
        hall_seed: random seed of the hall's colours and pictures.
        cameras: any number, with distinct names.
        source_ids: ids of the `openpeople` people to use, in order, repeated if there are more people; None for all.
        outfits: one for each person; None to draw distinct ones.
        shared_tops: number of pairs of people with the same shirt (and different bottoms), if outfits are drawn.
        walks: one for each person; None to draw them.
        speed_m_s: lowest and highest speed, if walks are drawn.
        supersampling: rays per pixel of the background, in each direction.

    Raises:
        InputError: a value is invalid.
    """

    size_wh: tuple[int, int] = (640, 360)
    fps: int = 10
    seconds: float = 30.0
    people: int = 12
    seed: int = 1
    hall_seed: int = 0
    cameras: tuple[Camera, ...] = DEMO_CAMERAS
    source_ids: tuple[str, ...] | None = None
    outfits: tuple[Outfit, ...] | None = None
    shared_tops: int = 3
    walks: tuple[Walk, ...] | None = None
    speed_m_s: tuple[float, float] = (1.05, 1.5)
    supersampling: int = 2

    def __post_init__(self) -> None:
        width, height = self.size_wh
        if width < 16 or height < 16 or width % 2 or height % 2:
            raise InputError(f"size_wh is {self.size_wh}: give two even numbers of pixels, 16 or more")
        for name in ("fps", "people", "supersampling"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give 1 or more")
        if self.frame_count < 1:
            raise InputError(f"seconds is {self.seconds}: at {self.fps} frames per second that gives no frame")
        if self.source_ids is not None and len(self.source_ids) == 0:
            raise InputError("source_ids is empty: name at least one person, or leave it out for all")
        names = [camera.name for camera in self.cameras]
        if not names or len(set(names)) != len(names):
            raise InputError(f"cameras are named {names}: give at least one camera, and distinct names")
        for name in ("outfits", "walks"):
            given = getattr(self, name)
            if given is not None and len(given) != self.people:
                raise InputError(f"{len(given)} {name} for {self.people} people: give one for each person")

    @property
    def frame_count(self) -> int:
        """Number of frames of each camera."""
        return round(self.seconds * self.fps)
