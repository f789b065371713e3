"""The empty scene from one camera: a small ray caster with procedural surfaces.

Light is linear; 1 is about a white sheet under a lamp. Nothing is read from files.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.cameras import Camera
from demo.hall import PASSAGE_X_M, Hall, solid_boxes
from demo.light_map import AMBIENT, LAMP_POWER, LightMap
from demo.rays import CEILING, FLOOR, LEAF, cast
from demo.surfaces import Surface, floor_colour, painted_as

Array = NDArray[np.float32]

CHUNK_RAYS = 1 << 16


@dataclass(frozen=True, eq=False)
class Background:
    """The empty hall from one camera.

    Attributes:
        image: (H, W, 3) float32, linear-light BGR.
        distance_m: (H, W) float32, horizontal distance from the camera to the visible surface; infinite on the floor,
            which hides nobody.
        floor_xy_m: (H, W, 2) float32, floor position of the pixel's centre; NaN above the horizon.
        is_floor: (H, W) bool.
        gloss: (H, W) float32, share of light that the floor reflects; 0 elsewhere.
    """

    image: Array
    distance_m: Array
    floor_xy_m: Array
    is_floor: NDArray[np.bool_]
    gloss: Array


def render_background(
    hall: Hall, lights: LightMap, camera: Camera, size_wh: tuple[int, int], supersampling: int
) -> Background:
    """Cast the rays of one camera.

    Args:
        hall: the building with its furniture.
        lights: `light_map` of the same hall.
        camera: the camera.
        size_wh: image size in pixels.
        supersampling: s, for s x s rays per pixel.
    """
    width, height = size_wh
    rays = camera.pixel_rays(size_wh, supersampling).reshape(-1, 3).astype(np.float32)
    origin = np.array(camera.position_m, np.float32)
    rng = np.random.default_rng(7)  # only for the fine roughness of the floor

    colour = np.empty_like(rays)
    mirrored = np.zeros_like(rays)
    hit = np.empty(len(rays), np.int64)
    distance = np.empty(len(rays), np.float32)
    for start in range(0, len(rays), CHUNK_RAYS):
        part = slice(start, min(start + CHUNK_RAYS, len(rays)))
        directions = rays[part]
        starts = np.broadcast_to(origin, directions.shape)
        t, index, leaf_colour = cast(hall, origin, starts, directions, with_leaves=True)
        points = starts + t[:, None] * directions
        colour[part] = _shade(hall, lights, points, directions, index, leaf_colour)
        hit[part], distance[part] = index, t * np.hypot(directions[:, 0], directions[:, 1])
        floor = np.flatnonzero(index == FLOOR)
        rough = rng.normal(0, 0.012, (len(floor), 3)).astype(np.float32)
        bounced = directions[floor] * np.array([1, 1, -1], np.float32) + rough
        bounced[:, 2] = np.maximum(bounced[:, 2], 1e-3)
        t, index, leaf_colour = cast(hall, origin, points[floor], bounced, with_leaves=False)
        reflected = _shade(hall, lights, points[floor] + t[:, None] * bounced, bounced, index, leaf_colour)
        mirrored[start + floor] = reflected

    shape = (height * supersampling, width * supersampling)
    is_floor = (hit == FLOOR).reshape(shape)
    cosine = -rays[:, 2].reshape(shape)
    forward_x = rays[:, 0] / np.maximum(np.hypot(rays[:, 0], rays[:, 1]), 1e-9)
    floor_x = (origin[0] + distance * forward_x).reshape(shape)
    polish = np.where(floor_x < PASSAGE_X_M[0] + 3.7, 0.75, 0.42)
    gloss = np.where(is_floor, polish * (0.05 + 0.95 * (1 - np.clip(cosine, 0, 1)) ** 5), 0)

    weight = is_floor.astype(np.float32)
    sigma = 1.1 * supersampling * width / 640
    soft = cv2.GaussianBlur(mirrored.reshape(*shape, 3), (0, 0), sigmaX=sigma, sigmaY=3 * sigma)
    weight = np.asarray(cv2.GaussianBlur(weight, (0, 0), sigmaX=sigma, sigmaY=3 * sigma), np.float32)
    soft = soft / np.maximum(weight, 1e-3)[..., None]
    image = colour.reshape(*shape, 3) * (1 - gloss[..., None]) + gloss[..., None] * soft

    seen = np.where(is_floor, np.inf, distance.reshape(shape)).astype(np.float32)
    middle = supersampling // 2
    rays_1x = camera.pixel_rays(size_wh)
    down = np.where(rays_1x[..., 2] < -1e-6, -rays_1x[..., 2], np.nan)
    reach = camera.position_m[2] / down
    floor_xy = np.stack([origin[0] + reach * rays_1x[..., 0], origin[1] + reach * rays_1x[..., 1]], axis=-1)
    return Background(
        image=_binned(image[..., ::-1], supersampling),
        distance_m=np.ascontiguousarray(seen[middle::supersampling, middle::supersampling]),
        floor_xy_m=floor_xy.astype(np.float32),
        is_floor=np.ascontiguousarray(is_floor[middle::supersampling, middle::supersampling]),
        gloss=_binned(gloss[..., None], supersampling)[..., 0],
    )


def _binned(image: NDArray[np.floating], size: int) -> Array:
    """Average size x size pixels: (H * s, W * s, C) to (H, W, C) float32."""
    height, width, channels = image.shape
    blocks = image.reshape(height // size, size, width // size, size, channels)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _shade(
    hall: Hall, lights: LightMap, points: Array, rays: Array, index: NDArray[np.int64], leaf_colour: Array
) -> Array:
    """Return the light (N, 3), RGB, that leaves `points` (N, 3) against the direction of `rays`."""
    light = np.zeros_like(points)
    floor = index == FLOOR
    if floor.any():
        light[floor] = floor_colour(hall, points[floor]) * lights.at(points[floor, 0], points[floor, 1])[:, None]
    ceiling = index == CEILING
    if ceiling.any():
        light[ceiling] = _ceiling_light(hall, points[ceiling])
    leaf = index == LEAF
    if leaf.any():
        light[leaf] = leaf_colour[leaf] * (0.5 + 0.6 * lights.at(points[leaf, 0], points[leaf, 1]))[:, None]
    solid = np.flatnonzero(index >= 0)
    if len(solid):
        light[solid] = _solid_light(hall, lights, points[solid], index[solid])
    return light


def _ceiling_light(hall: Hall, points: Array) -> Array:
    light = np.full_like(points, 0.16)
    for lamp in hall.lamps:
        inside = np.ones(len(points), bool)
        for axis in (0, 1):
            inside &= (points[:, axis] > lamp.low_m[axis]) & (points[:, axis] < lamp.high_m[axis])
        light[inside] = np.array(lamp.colour, np.float32) * 2.6
    return light


def _solid_light(hall: Hall, lights: LightMap, points: Array, index: NDArray[np.int64]) -> Array:
    low, high = solid_boxes(hall)
    face, sign = _hit_face(points, low[index], high[index])
    normal = np.zeros_like(points)
    normal[np.arange(len(points)), face] = sign

    colour = np.array([box.colour for box in hall.boxes], np.float32)[index]
    glow = np.zeros_like(points)
    materials = np.array([box.material for box in hall.boxes])[index]
    for material in np.unique(materials):
        rows = np.flatnonzero(materials == material)
        for number in np.unique(index[rows]) if material in ("picture", "window", "door") else [None]:
            chosen = rows if number is None else rows[index[rows] == number]
            box = hall.boxes[int(index[chosen[0]])]
            across = np.where(face[chosen] == 0, points[chosen, 1], points[chosen, 0])
            up = np.where(face[chosen] == 2, points[chosen, 1], points[chosen, 2])
            bounds = (low[index[chosen]], high[index[chosen]])
            surface = Surface(points[chosen], across, up, bounds[0], bounds[1], face[chosen])
            colour[chosen], glow[chosen] = painted_as(str(material), colour[chosen], surface, box.seed)

    # light from the lamps, without shadows; instead, surfaces are darker close to the floor and in corners
    incoming = np.full(len(points), AMBIENT * 1.05, np.float32)
    for lamp in hall.lamps:
        centre = (np.array(lamp.low_m, np.float32) + np.array(lamp.high_m, np.float32)) / 2
        towards = centre - points
        squared = (towards * towards).sum(axis=1)
        near = squared < 30
        facing = np.clip((towards[near] * normal[near]).sum(axis=1), 0, None) / np.sqrt(squared[near])
        down = np.clip(towards[near, 2], 0, None) / np.sqrt(squared[near])
        incoming[near] += LAMP_POWER * 0.8 * facing * down / np.maximum(squared[near], 0.4)
    outside = points + normal * 0.25
    near_floor = lights.at(outside[:, 0], outside[:, 1])
    bounce = 0.14 * near_floor * np.exp(-points[:, 2] / 1.2) * (1 - np.abs(normal[:, 2]))
    contact = 1 - 0.45 * np.exp(-points[:, 2] / 0.10) * (normal[:, 2] == 0)
    light = (incoming + bounce) * contact
    return np.asarray(colour * light[:, None] + glow, np.float32)


def _hit_face(points: Array, low: Array, high: Array) -> tuple[NDArray[np.int64], Array]:
    """Return axis (N,) and sign (N,) of the outward normal of the box face on which each point lies."""
    gaps = np.concatenate([np.abs(points - low), np.abs(points - high)], axis=1)
    nearest = np.argmin(gaps, axis=1)
    return nearest % 3, np.where(nearest < 3, -1.0, 1.0).astype(np.float32)
