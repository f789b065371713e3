"""Pictures of synthetic people with exact boxes, for training a person detector.

They share only the ten bodies of `openpeople` with the demo scene, which uses all of them. Clothes and cameras close to
those of the demo are drawn again. Every picture places its people independently, in mid-step. The furniture is moved
and repainted, and all choices come from random streams that no scene uses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.background import Background, render_background
from demo.cameras import Camera
from demo.choreography import Standing
from demo.clothes import PATTERNS, Outfit, Rgb
from demo.demo_scene import OUTFITS
from demo.hall import CEILING_M, GALLERY_X_M, LOBBY_X_M, ROOM_Y_M, Box, Colour, Hall, build_hall
from demo.light_map import LightMap, light_map
from demo.paths import is_clear
from demo.people import Person, Wardrobe
from demo.render import CameraRenderer
from demo.settings import DEMO_CAMERAS, look_from
from detectors.yolo_dataset import Split, YoloDataset
from pipeline.core.errors import InputError

STREAM = 0x7261  # first of three numbers that seed a scene; the streams of `demo.choreography` have two
HALL_SEEDS = (1000, 1 << 20)  # the demo scene has 0
SIZES_WH = ((640, 360), (640, 480), (768, 576), (960, 540))
PEOPLE = ((0, 1), (1, 4), (4, 9), (9, 17))  # from, to (excluded); equally likely, except the first
NOBODY_SHARE = 0.06  # share of pictures without people
LOOKS = 10  # people dressed for each scene
PLACES_TRIED = 60
LARGE_M = 1.3  # boxes whose shorter side is below this are furniture that may be moved
HEIGHT_M = (1.45, 2.0)
MIN_COLOUR_DIFFERENCE = 24  # from the demo's garments, in the channel that differs most, 0..255
MIN_CAMERA_DISTANCE_M, MIN_CAMERA_ANGLE_DEG = 1.5, 30.0  # a drawn camera keeps at least one to each demo camera
MIN_VISIBILITY = 0.25  # people with a lower visible share are removed from the picture
MIN_HEIGHT_PX = 14.0  # people with a lower box are removed as well
NAME = "renders"  # names of pictures begin with it and the seed


@dataclass(frozen=True, eq=False)
class RenderedPicture:
    """A picture (H, W, 3) uint8 BGR and the boxes of all people in it: xyxy (N, 4) float64 in pixels, clipped."""

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """One camera in one hall, with people to place in front of it.

    Attributes:
        hall, lights, background: the empty hall, its light and its picture.
        camera, size_wh: the camera and its image size in pixels.
        looks: dressed people.
        seed: random seed of its pictures.
    """

    hall: Hall
    lights: LightMap
    background: Background
    camera: Camera
    size_wh: tuple[int, int]
    looks: tuple[Person, ...]
    seed: tuple[int, int, int]


def write_training_set(
    output: Path, *, scenes: int, pictures: int, seed: int, wardrobe: Wardrobe | None = None
) -> Split:
    """Add `scenes` x `pictures` rendered pictures to the training part of the data set in `output`.

    Args:
        output: folder of the data set in YOLO layout; created if necessary.
        scenes: number of halls, with one camera each.
        pictures: pictures per scene, each with other people in other places.
        seed: the same seed gives the same pictures.
        wardrobe: pass the same one for several data sets to cut out each person only once.

    Raises:
        InputError: openpeople is not installed, a number is too low, or the data set already holds pictures of this
            seed.
    """
    if scenes < 1 or pictures < 1 or seed < 0:
        raise InputError(
            f"scenes is {scenes}, pictures {pictures} and seed {seed}: give 1 or more scenes and pictures, and a seed "
            "of 0 or more"
        )
    wardrobe = wardrobe or Wardrobe()
    dataset = YoloDataset(output, class_name="person")
    name = f"{NAME}{seed}"
    dataset.refuse_again(name)
    for scene in range(scenes):
        for number, picture in enumerate(render_pictures(draw_scene(seed, scene, wardrobe), pictures)):
            dataset.add("train", f"{name}_{scene * pictures + number + 1:06d}", picture.image, picture.xyxy)
    return dataset.added["train"]


def draw_scene(seed: int, scene: int, wardrobe: Wardrobe) -> TrainingScene:
    """Draw hall, camera and people of one scene, and render the empty hall."""
    rng = np.random.default_rng([STREAM, seed, scene])
    hall = random_hall(rng)
    camera = random_camera(rng, hall)
    size_wh = SIZES_WH[int(rng.integers(len(SIZES_WH)))]
    lights = light_map(hall)
    sources = rng.permutation(wardrobe.source_ids())
    looks = tuple(
        wardrobe.dress(str(sources[number % len(sources)]), random_outfit(rng), float(rng.uniform(*HEIGHT_M)))
        for number in range(LOOKS)
    )
    background = render_background(hall, lights, camera, size_wh, supersampling=1)
    return TrainingScene(hall, lights, background, camera, size_wh, looks, (STREAM, seed, scene))


def render_pictures(scene: TrainingScene, count: int) -> Iterator[RenderedPicture]:
    """Yield `count` pictures of a scene.

    No picture shows a person without a box: people who are too hidden or too small for a label are removed, and the
    picture is drawn again.
    """
    for number in range(count):
        rng = np.random.default_rng([*scene.seed, number])
        standing = place_people(rng, scene)
        people = {s.global_id: scene.looks[(s.global_id - 1) % len(scene.looks)] for s in standing}
        while True:
            renderer = CameraRenderer(scene.camera, scene.size_wh, scene.background, scene.lights, scene.hall)
            image, boxes = renderer.draw(people, standing, 0, rng)
            good = {b.global_id for b in boxes if b.visibility >= MIN_VISIBILITY and b.tlwh[3] >= MIN_HEIGHT_PX}
            if len(good) == len(standing):
                break
            standing = [s for s in standing if s.global_id in good]
        tlwh = np.array([box.tlwh for box in boxes], np.float64).reshape(-1, 4)
        xyxy = np.concatenate([tlwh[:, :2], tlwh[:, :2] + tlwh[:, 2:]], axis=1)
        yield RenderedPicture(_compressed(image, int(rng.integers(45, 96))), xyxy)


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Draw clothes in colours that differ from those in the demo scene."""
    garments = [outfit.top for outfit in OUTFITS], [outfit.bottom for outfit in OUTFITS]
    return Outfit(
        top=_colour_unlike(rng, garments[0]),
        second=_colour(rng),
        pattern=PATTERNS[int(rng.integers(len(PATTERNS)))],
        long_sleeves=bool(rng.random() < 0.5),
        bottom=_colour_unlike(rng, garments[1]),
        trousers=bool(rng.random() < 0.7),
        shoes=_colour(rng),
        backpack=_colour(rng) if rng.random() < 0.3 else None,
        hair=float(rng.uniform(0.6, 1.7)),
    )


def random_camera(rng: np.random.Generator, hall: Hall) -> Camera:
    """Draw a camera in one of the rooms, between eye level and ceiling, that differs from those of the demo."""
    while True:
        span = LOBBY_X_M if rng.random() < 0.6 else GALLERY_X_M
        x, y = (float(rng.uniform(low + 0.4, high - 0.4)) for low, high in (span, ROOM_Y_M))
        z = float(rng.uniform(1.5, CEILING_M - 0.2))
        to_x, to_y = (float(rng.uniform(low + 1.5, high - 1.5)) for low, high in (span, ROOM_Y_M))
        away = math.hypot(to_x - x, to_y - y)
        if away < 4 or not is_clear(hall, (x, y), (x, y)):
            continue
        azimuth = math.degrees(math.atan2(to_y - y, to_x - x))
        down = math.degrees(math.atan2(z - float(rng.uniform(0.4, 1.5)), away))
        position, target = look_from(x, y, z, azimuth, down)
        camera = Camera(
            "training",
            position,
            target,
            horizontal_fov_deg=float(rng.uniform(40, 88)),
            exposure=float(rng.uniform(0.45, 1.9)),
            white_balance=(float(rng.uniform(0.82, 1.18)), 1.0, float(rng.uniform(0.82, 1.18))),
            saturation=float(rng.uniform(0.25, 1.2)),
            noise=float(rng.uniform(0.5, 6.0)),
            blur_px=float(rng.uniform(0.0, 1.1)),
            vignette=float(rng.uniform(0.0, 0.45)),
        )
        if not any(_alike(camera, known) for known in DEMO_CAMERAS):
            return camera


def random_hall(rng: np.random.Generator) -> Hall:
    """Draw the demo's building in other colours, with furniture moved or removed, and crates and screens added."""
    hall = build_hall(int(rng.integers(*HALL_SEEDS)))
    boxes = []
    for box in hall.boxes:
        painted = replace(box, colour=_repainted(rng, box.colour), seed=int(rng.integers(1 << 30)))
        if not _is_furniture(box):
            boxes.append(painted)
        elif rng.random() < 0.5:
            boxes.append(_moved(rng, painted))
    for _ in range(int(rng.integers(0, 7))):
        size = rng.uniform((0.3, 0.3, 0.4), (1.4, 0.9, 1.7))
        reflectance = rng.uniform(0.04, 0.6, 3)
        colour = (float(reflectance[0]), float(reflectance[1]), float(reflectance[2]))
        material = ("wood", "metal", "fabric", "stone")[int(rng.integers(4))]
        crate = Box((0.0, 0.0, 0.0), (float(size[0]), float(size[1]), float(size[2])), colour, material)
        boxes.append(_moved(rng, crate))
    tint = np.array(hall.floor_tint) * rng.uniform(0.35, 1.3) * rng.uniform(0.8, 1.2, 3)
    return replace(hall, boxes=tuple(boxes), floor_tint=(float(tint[0]), float(tint[1]), float(tint[2])))


def place_people(rng: np.random.Generator, scene: TrainingScene) -> list[Standing]:
    """Place people in view, alone or in groups, each in mid-step; fewer if there are not enough free places."""
    low, high = PEOPLE[0] if rng.random() < NOBODY_SHARE else PEOPLE[int(rng.integers(1, len(PEOPLE)))]
    wanted, in_groups = int(rng.integers(low, high)), float(rng.uniform(0, 0.8))
    reach_m = float(rng.uniform(5, 18))
    standing: list[Standing] = []
    for _ in range(wanted * PLACES_TRIED):
        if len(standing) == wanted:
            break
        beside = standing[int(rng.integers(len(standing)))] if standing and rng.random() < in_groups else None
        if beside is None:
            place, angle = _place_in_view(rng, scene, reach_m), float(rng.uniform(0, 2 * math.pi))
        else:
            apart = rng.uniform(0.4, 1.0) * _unit(float(rng.uniform(0, 2 * math.pi)))
            place = beside.position_m + apart
            angle = math.atan2(beside.heading[1], beside.heading[0]) + float(rng.normal(0, 0.4))
        spot = (float(place[0]), float(place[1]))
        if not is_clear(scene.hall, spot, spot):
            continue
        if any(np.linalg.norm(place - other.position_m) < 0.38 for other in standing):
            continue
        standing.append(Standing(len(standing) + 1, place, _unit(angle), float(rng.uniform(0, 2 * math.pi))))
    return standing


def _place_in_view(rng: np.random.Generator, scene: TrainingScene, reach_m: float) -> NDArray[np.float64]:
    """Draw a floor position (2,) in front of the camera, at most `reach_m` away."""
    camera = scene.camera
    towards = np.subtract(camera.look_at_m, camera.position_m)
    half = math.radians(camera.horizontal_fov_deg) / 2
    angle = math.atan2(towards[1], towards[0]) + float(rng.uniform(-half, half))
    return np.array(camera.position_m[:2]) + float(rng.uniform(1.3, reach_m)) * _unit(angle)


def _unit(angle_rad: float) -> NDArray[np.float64]:
    return np.array([math.cos(angle_rad), math.sin(angle_rad)])


def _alike(camera: Camera, known: Camera) -> bool:
    """Return whether two cameras are close together and look in about the same direction."""
    apart = math.dist(camera.position_m, known.position_m)
    cosine = float(camera.rotation()[2] @ known.rotation()[2])
    return apart < MIN_CAMERA_DISTANCE_M and cosine > math.cos(math.radians(MIN_CAMERA_ANGLE_DEG))


def _colour(rng: np.random.Generator) -> Rgb:
    """Draw a colour, dull ones more often than bright ones: hue is uniform, saturation mostly low."""
    hsv = np.array([[[rng.uniform(0, 360), rng.beta(1.1, 1.6), rng.uniform(0.08, 0.9)]]], np.float32)
    red, green, blue = (round(255 * float(v)) for v in cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0])
    return (red, green, blue)


def _colour_unlike(rng: np.random.Generator, known: list[Rgb]) -> Rgb:
    while True:
        colour = _colour(rng)
        if all(
            max(abs(a - b) for a, b in zip(colour, other, strict=True)) >= MIN_COLOUR_DIFFERENCE for other in known
        ):
            return colour


def _repainted(rng: np.random.Generator, colour: Colour) -> Colour:
    """Change brightness and tint; reflectances are at most 0.9, except for windows, which may be brighter."""
    painted = np.array(colour) * rng.uniform(0.35, 1.5) * rng.uniform(0.75, 1.25, 3)
    limit = max(0.9, max(colour))
    return (float(min(painted[0], limit)), float(min(painted[1], limit)), float(min(painted[2], limit)))


def _is_furniture(box: Box) -> bool:
    """Return whether a box stands free on the floor and can be moved: not a wall, door, picture or seat."""
    shorter_m = min(box.high_m[0] - box.low_m[0], box.high_m[1] - box.low_m[1])
    return box.low_m[2] == 0 and 0.3 < shorter_m < LARGE_M


def _moved(rng: np.random.Generator, box: Box) -> Box:
    """Move the box to another place in the two rooms; it may overlap another box, like cupboards in a corner."""
    span = LOBBY_X_M if rng.random() < 0.6 else GALLERY_X_M
    size = np.subtract(box.high_m, box.low_m)
    x = float(rng.uniform(span[0] + 0.3, span[1] - 0.3 - size[0]))
    y = float(rng.uniform(ROOM_Y_M[0] + 0.3, ROOM_Y_M[1] - 0.3 - size[1]))
    high = (x + float(size[0]), y + float(size[1]), box.high_m[2])
    return replace(box, low_m=(x, y, box.low_m[2]), high_m=high)


def _compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compress the picture as JPEG of this quality, 0..100, and decode it again."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
