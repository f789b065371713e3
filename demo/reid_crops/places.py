"""Places where people are seen, with their light and their cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from demo.reid_crops.rasteriser import Floats, Light
from demo.reid_crops.surfaces import FLOORS, WALLS, Floor, Wall

Sky = Literal["sun", "cloudy", "indoor", "night"]
CAMERAS_A_PLACE = (3, 4, 4, 5)
PLACES = 14
SKIES: tuple[Sky, ...] = ("sun", "cloudy", "indoor", "sun", "cloudy", "indoor", "cloudy", "night")


@dataclass(frozen=True)
class SurveillanceCamera:
    """Position of a camera and properties of its pictures.

    Attributes:
        number: c1, c2, ... in file names.
        place: number of its place.
        height_m, away_m: height above the ground, and distance along the ground to the middle of the place.
        azimuth: direction from the place to the camera, radians; rotates the light.
        person_px: height in pixels of a person in the middle of the place.
        behind_m, wall: distance and kind of the wall in the background; a distance of None is an open view.
        view_seed: random seed of the objects in view.
        exposure, cast: factors on the light.
        haze: light added everywhere.
        gamma, contrast, saturation: of its picture; 1 changes nothing.
        blur_px, sharpening, noise: in pixels of its pictures; a factor; as a share of white.
        jpeg: quality, 0..100.
        box_error: spread of detector boxes, as a share of the person's height.
        front_share: share of people who walk towards the camera or away from it.
    """

    number: int
    place: int
    height_m: float
    away_m: float
    azimuth: float
    person_px: float
    behind_m: float | None
    wall: Wall
    view_seed: int
    exposure: float
    cast: tuple[float, float, float]
    haze: float
    gamma: float
    contrast: float
    saturation: float
    blur_px: float
    sharpening: float
    noise: float
    jpeg: int
    box_error: float
    front_share: float


@dataclass(frozen=True)
class Place:
    """A place with one floor and one light.

    Attributes:
        sky: kind of light.
        floor: kind of floor.
        floor_seed: random seed of its texture.
        sun_height, sun_azimuth: elevation and azimuth of the lamp that casts shadows, radians.
        sun, warmth: its share of all light; its colour from cold (-1) to warm (1).
        bounce: light from below relative to light from above.
        softness: softness of the shadows.
        panorama: number of the background at the horizon.
        crowd: density of people, 0..1.
    """

    sky: Sky
    floor: Floor
    floor_seed: int
    sun_height: float
    sun_azimuth: float
    sun: float
    warmth: float
    bounce: float
    softness: float
    panorama: int
    crowd: float


def draw_places(seed: int) -> tuple[list[Place], list[SurveillanceCamera]]:
    """Draw all places, and their cameras, numbered from 1."""
    rng = np.random.default_rng([seed, 0xCA])
    places: list[Place] = []
    cameras: list[SurveillanceCamera] = []
    for number in range(PLACES):
        sky = SKIES[number % len(SKIES)]
        indoor = sky == "indoor"
        floors: tuple[Floor, ...] = ("tiles", "polished", "carpet", "planks", "polished") if indoor else FLOORS[:7]
        place = Place(
            sky=sky,
            floor=floors[int(rng.integers(len(floors)))],
            floor_seed=int(rng.integers(1 << 30)),
            sun_height=float(rng.uniform(0.35, 1.2) if sky == "sun" else rng.uniform(1.0, 1.45)),
            sun_azimuth=float(rng.uniform(0, 2 * np.pi)),
            sun={
                "sun": float(rng.uniform(0.5, 0.8)),
                "cloudy": float(rng.uniform(0.12, 0.35)),
                "indoor": float(rng.uniform(0.2, 0.5)),
                "night": float(rng.uniform(0.5, 0.8)),
            }[sky],
            warmth=float(rng.normal(0.4 if sky in ("indoor", "night") else 0, 0.35)),
            bounce=float(rng.uniform(0.18, 0.5)),
            softness=float(rng.uniform(0.0015, 0.003) if sky == "sun" else rng.uniform(0.006, 0.014)),
            panorama=int(rng.integers(1 << 16)),
            crowd=float(rng.beta(1.2, 1.8)),
        )
        places.append(place)
        for _ in range(CAMERAS_A_PLACE[int(rng.integers(len(CAMERAS_A_PLACE)))]):
            cameras.append(_draw_camera(rng, len(cameras) + 1, number, sky))
    return places, cameras


def _draw_camera(rng: np.random.Generator, number: int, place: int, sky: Sky) -> SurveillanceCamera:
    height = float(rng.uniform(1.3, 2.2) if rng.random() < 0.25 else rng.uniform(2.2, 6.0))
    infrared = sky == "night" and rng.random() < 0.3
    person_px = float(np.clip(np.exp(rng.normal(np.log(150), 0.42)), 48, 250))
    cast = rng.normal(1, 0.03 if rng.random() < 0.7 else 0.09, 3)  # most have a good white balance
    return SurveillanceCamera(
        number=number,
        place=place,
        height_m=height,
        away_m=float(rng.uniform(max(3.5, 1.1 * height), 15)),
        azimuth=float(rng.uniform(0, 2 * np.pi)),
        person_px=person_px,
        behind_m=float(rng.uniform(2.6, 9)) if rng.random() < (0.95 if sky == "indoor" else 0.6) else None,
        wall=WALLS[int(rng.integers(len(WALLS)))],
        view_seed=int(rng.integers(1 << 30)),
        exposure=float(np.exp(rng.normal(0.3, 0.25))) * (0.55 if sky == "night" else 1.0),
        cast=(float(cast[0]), float(cast[1]), float(cast[2])),
        haze=float(np.clip(rng.exponential(0.005), 0, 0.025)),
        gamma=float(np.clip(rng.normal(1.0, 0.13), 0.72, 1.35)),
        contrast=float(np.clip(rng.normal(1.18, 0.17), 0.8, 1.55)),
        saturation=0.03 if infrared else float(np.clip(rng.normal(0.62, 0.2), 0.2, 1.15)),
        blur_px=float(np.clip(rng.exponential(0.22), 0.1, 1.0)) * min(person_px / 135, 1.4),
        sharpening=float(rng.choice([0.0, 0.4, 0.9, 1.5], p=[0.25, 0.3, 0.27, 0.18])),
        noise=float(np.clip(rng.exponential(0.009), 0.001, 0.045)) * (1.8 if sky == "night" else 1.0),
        jpeg=int(rng.integers(28, 95)),
        box_error=float(rng.uniform(0.01, 0.05)),
        front_share=float(rng.uniform(0.25, 0.85)),
    )


def light_at(place: Place, camera: SurveillanceCamera, rng: np.random.Generator) -> Light:
    """Draw the light at a moment, in the axes of the camera, which looks along -z; clouds and lamps vary it."""
    azimuth = place.sun_azimuth + camera.azimuth
    flat = np.cos(place.sun_height)
    to_sun = np.array([flat * np.sin(azimuth), np.sin(place.sun_height), flat * np.cos(azimuth)], np.float32)
    share = place.sun * (float(rng.uniform(0.15, 1.0)) if place.sky == "sun" else float(rng.uniform(0.8, 1.1)))
    level = float(np.exp(rng.normal(0, 0.14)))
    warm = np.array([1 + 0.13 * place.warmth, 1.0, 1 - 0.16 * place.warmth], np.float32)
    cold = np.array([0.98, 1.0, 1.035], np.float32) if place.sky in ("sun", "cloudy") else warm
    ambient = level * (1.12 - share) * cold * 0.95
    return Light(
        to_sun=to_sun,
        sun=(level * 1.5 * share * warm).astype(np.float32),
        sky=ambient.astype(np.float32),
        ground=(ambient * place.bounce).astype(np.float32),
        softness=place.softness,
    )


def to_walkers(camera: SurveillanceCamera) -> Floats:
    """Return the position of a camera in its own axes, (3,); the middle of the place is the origin."""
    return np.array([0.0, camera.height_m, camera.away_m], np.float32)
