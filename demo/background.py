"""The empty scene as one camera sees it: a small ray caster with procedural surfaces.

Light is linear, 1 is about a white sheet under a lamp. Nothing is read from files.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.cameras import Camera
from demo.hall import CEILING_M, FLOOR_MAX_M, FLOOR_MIN_M, PASSAGE_X_M, Hall, solid_boxes

Array = NDArray[np.float32]

LIGHT_CELL_M = 0.125
AMBIENT = 0.30
LAMP_POWER = 1.15
CHUNK_RAYS = 1 << 16
PIGMENTS = np.array(  # of the pictures on the walls, linear RGB
    [
        (0.55, 0.20, 0.08),
        (0.05, 0.15, 0.24),
        (0.62, 0.44, 0.14),
        (0.10, 0.24, 0.20),
        (0.60, 0.55, 0.46),
        (0.35, 0.07, 0.06),
        (0.30, 0.42, 0.46),
        (0.04, 0.05, 0.09),
    ],
    np.float32,
)
FLOOR, CEILING, LEAF = -1, -2, -3  # in place of a box's index


@dataclass(frozen=True, eq=False)
class LightMap:
    """Light on the floor: (rows, columns) float32, cells of LIGHT_CELL_M, first cell at FLOOR_MIN_M."""

    light: Array

    def at(self, x_m: Array, y_m: Array) -> Array:
        """Bilinear lookup at floor positions of any common shape."""
        map_x = ((np.asarray(x_m) - FLOOR_MIN_M[0]) / LIGHT_CELL_M - 0.5).astype(np.float32)
        map_y = ((np.asarray(y_m) - FLOOR_MIN_M[1]) / LIGHT_CELL_M - 0.5).astype(np.float32)
        flat_x, flat_y = map_x.reshape(-1), map_y.reshape(-1)
        columns = np.clip(flat_x, 0, self.light.shape[1] - 1.001)
        rows = np.clip(flat_y, 0, self.light.shape[0] - 1.001)
        c, r = columns.astype(np.int64), rows.astype(np.int64)
        fc, fr = columns - c, rows - r
        light = self.light
        value = (light[r, c] * (1 - fc) + light[r, c + 1] * fc) * (1 - fr) + (
            light[r + 1, c] * (1 - fc) + light[r + 1, c + 1] * fc
        ) * fr
        looked_up: Array = value.reshape(map_x.shape).astype(np.float32)
        return looked_up


@dataclass(frozen=True, eq=False)
class Background:
    """What a camera sees of the empty hall.

    Attributes:
        image: (H, W, 3) float32, linear-light BGR.
        distance_m: (H, W) float32, horizontal distance from the camera to what is seen; infinite on the floor,
            which hides nobody.
        floor_xy_m: (H, W, 2) float32, floor position of the pixel's middle; NaN above the horizon.
        is_floor: (H, W) bool.
        gloss: (H, W) float32, share of light that the floor mirrors; 0 elsewhere.
    """

    image: Array
    distance_m: Array
    floor_xy_m: Array
    is_floor: NDArray[np.bool_]
    gloss: Array


def light_map(hall: Hall) -> LightMap:
    """Light that lamps and walls throw on the floor, with soft shadows of walls and furniture."""
    columns = round((FLOOR_MAX_M[0] - FLOOR_MIN_M[0]) / LIGHT_CELL_M)
    rows = round((FLOOR_MAX_M[1] - FLOOR_MIN_M[1]) / LIGHT_CELL_M)
    x = FLOOR_MIN_M[0] + (np.arange(columns) + 0.5) * LIGHT_CELL_M
    y = FLOOR_MIN_M[1] + (np.arange(rows) + 0.5) * LIGHT_CELL_M
    points = np.stack([*np.meshgrid(x, y), np.full((rows, columns), 0.02)], axis=-1).reshape(-1, 3)
    points = points.astype(np.float32)
    low, high = solid_boxes(hall)
    total = np.full(len(points), AMBIENT, np.float32)
    reach_m = 6.0
    for lamp in hall.lamps:
        for share in (0.17, 0.5, 0.83):
            source = np.array(lamp.low_m) * (1 - share) + np.array(lamp.high_m) * share
            source[2] = CEILING_M
            near = np.hypot(points[:, 0] - source[0], points[:, 1] - source[1]) < reach_m
            gap = np.maximum(low[:, :2] - source[:2], source[:2] - high[:, :2]).clip(0)
            within = np.hypot(gap[:, 0], gap[:, 1]) < reach_m
            towards = (source - points[near]).astype(np.float32)
            length = np.linalg.norm(towards, axis=1)
            open_sky = ~_blocked(points[near], towards, low[within], high[within])
            cosine = towards[:, 2] / length
            total[near] += open_sky * LAMP_POWER * cosine**2 / length**2
    light = cv2.GaussianBlur(total.reshape(rows, columns), (0, 0), 1.2)
    return LightMap(light.astype(np.float32))


def _blocked(origin: Array, towards: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Whether a box lies between `origin` (N, 3) and `origin + towards` (N, 3)."""
    blocked = np.zeros(len(origin), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_t, origin_t = (
            np.ascontiguousarray((1 / towards).astype(np.float32).T),
            np.ascontiguousarray(origin.T),
        )
        for box_low, box_high in zip(low, high, strict=True):
            enter, leave = _slabs(box_low, box_high, origin_t, inverse_t)
            blocked |= (enter < leave) & (leave > 0) & (enter < 1)
    return blocked


def _slabs(low: Array, high: Array, origin: Array, inverse: Array) -> tuple[Array, Array]:
    """Where rays enter and leave a box (Kay and Kajiya, SIGGRAPH 1986); a miss enters after it leaves.

    Args:
        low, high: (3,) corners.
        origin: (3, N) starts of the rays.
        inverse: (3, N) 1 / direction.

    Returns:
        Two arrays (N,), in lengths of the direction.
    """
    enter, leave = np.empty(0, np.float32), np.empty(0, np.float32)
    for axis in range(3):
        t1, t2 = (low[axis] - origin[axis]) * inverse[axis], (high[axis] - origin[axis]) * inverse[axis]
        near, far = np.minimum(t1, t2), np.maximum(t1, t2)
        enter, leave = (near, far) if axis == 0 else (np.maximum(enter, near), np.minimum(leave, far))
    return enter, leave


def render_background(
    hall: Hall, lights: LightMap, camera: Camera, size_wh: tuple[int, int], supersampling: int
) -> Background:
    """Cast the rays of one camera.

    Args:
        hall: what stands in the scene.
        lights: from `light_map` of the same hall.
        camera: the view.
        size_wh: image size in pixels.
        supersampling: s x s rays a pixel.
    """
    width, height = size_wh
    rays = camera.pixel_rays(size_wh, supersampling).reshape(-1, 3).astype(np.float32)
    origin = np.array(camera.position_m, np.float32)
    rng = np.random.default_rng(7)  # of the floor's fine roughness only

    colour = np.empty_like(rays)
    mirrored = np.zeros_like(rays)
    hit = np.empty(len(rays), np.int64)
    distance = np.empty(len(rays), np.float32)
    for start in range(0, len(rays), CHUNK_RAYS):
        part = slice(start, min(start + CHUNK_RAYS, len(rays)))
        directions = rays[part]
        starts = np.broadcast_to(origin, directions.shape)
        t, index, leaf_colour = _cast(hall, origin, starts, directions, with_leaves=True)
        points = starts + t[:, None] * directions
        colour[part] = _shade(hall, lights, points, directions, index, leaf_colour)
        hit[part], distance[part] = index, t * np.hypot(directions[:, 0], directions[:, 1])
        floor = np.flatnonzero(index == FLOOR)
        rough = rng.normal(0, 0.012, (len(floor), 3)).astype(np.float32)
        bounced = directions[floor] * np.array([1, 1, -1], np.float32) + rough
        bounced[:, 2] = np.maximum(bounced[:, 2], 1e-3)
        t, index, leaf_colour = _cast(hall, origin, points[floor], bounced, with_leaves=False)
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
    """Mean of size x size pixels, (H * s, W * s, C) to (H, W, C) float32."""
    height, width, channels = image.shape
    blocks = image.reshape(height // size, size, width // size, size, channels)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _cast(
    hall: Hall, viewpoint: Array, origin: Array, direction: Array, with_leaves: bool
) -> tuple[Array, NDArray[np.int64], Array]:
    """Nearest hit of every ray (N, 3): distance (N,), index of the box or FLOOR.., leaf colour (N, 3).

    All rays stay in the sector that `direction` spans around `viewpoint` (3,) on the plan.
    """
    if len(direction) == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    nearest = np.full(len(origin), 1e4, np.float32)
    index = np.full(len(origin), CEILING, np.int64)
    leaf_colour = np.zeros((len(origin), 3), np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (1 / direction).astype(np.float32)
        to_floor, to_ceiling = -origin[:, 2] * inverse[:, 2], (CEILING_M - origin[:, 2]) * inverse[:, 2]
        for plane, code in ((to_floor, FLOOR), (to_ceiling, CEILING)):
            closer = (plane > 1e-4) & (plane < nearest)
            nearest[closer], index[closer] = plane[closer], code
        low, high = solid_boxes(hall)
        origin_t, inverse_t = np.ascontiguousarray(origin.T), np.ascontiguousarray(inverse.T)
        for number in _in_sector(hall, viewpoint, direction):
            enter, leave = _slabs(low[number], high[number], origin_t, inverse_t)
            closer = (enter < leave) & (enter > 1e-4) & (enter < nearest)
            nearest[closer], index[closer] = enter[closer], number
        if with_leaves:
            for plant in hall.plants:
                _cast_leaves(hall, plant.x_m, plant.y_m, plant.height_m, plant.leaves, plant.seed,
                             origin, direction, nearest, index, leaf_colour)  # fmt: skip
    return nearest, index, leaf_colour


def _in_sector(hall: Hall, viewpoint: Array, direction: Array) -> list[int]:
    """Numbers of the boxes that rays from `viewpoint` (3,) can meet, judged on the plan."""
    low, high = solid_boxes(hall)
    axis = direction[:, :2].mean(axis=0)
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    side = np.array([-axis[1], axis[0]])
    angles = np.arctan2(direction[:, :2] @ side, direction[:, :2] @ axis)
    first, last = float(angles.min()) - 0.06, float(angles.max()) + 0.06
    if last - first > 2.8:
        return list(range(len(hall.boxes)))
    corners = np.stack([(a[:, 0], b[:, 1]) for a in (low, high) for b in (low, high)]).transpose(2, 0, 1)
    offset = corners - viewpoint[:2]
    ahead, beside = offset @ axis, offset @ side
    # outside when all corners lie beyond one edge of the sector, or behind
    beyond_last = (beside * np.cos(last) - ahead * np.sin(last) > 0).all(axis=1)
    beyond_first = (beside * np.cos(first) - ahead * np.sin(first) < 0).all(axis=1)
    behind = (ahead < -0.5).all(axis=1)
    return [int(n) for n in np.flatnonzero(~(beyond_last | beyond_first | behind))]


def _cast_leaves(
    hall: Hall,
    x_m: float,
    y_m: float,
    height_m: float,
    leaves: int,
    seed: int,
    origin: Array,
    direction: Array,
    nearest: Array,
    index: NDArray[np.int64],
    leaf_colour: Array,
) -> None:
    """Update the hits with a plant's leaves, flat lens shapes that spread from its middle."""
    middle = np.array([x_m, y_m, (0.42 + height_m) / 2 + 0.1], np.float32)
    radius = height_m * 0.62
    offset = middle - origin
    along = (offset * direction).sum(axis=1)
    apart = (offset * offset).sum(axis=1) - along**2
    rays = np.flatnonzero((apart < radius**2) & (along > 0))
    if len(rays) == 0:
        return
    rng = np.random.default_rng(seed)
    green = np.array([0.045, 0.13, 0.03]) * rng.uniform(0.7, 1.4, 3)
    for _ in range(leaves):
        azimuth, rise = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.35)
        length = height_m * rng.uniform(0.16, 0.30)
        spine = np.array([np.cos(azimuth) * np.cos(rise), np.sin(azimuth) * np.cos(rise), np.sin(rise)])
        stem = rng.uniform(0.1, 0.55) * (height_m - 0.42)
        centre = np.array([x_m, y_m, 0.42]) + spine * (stem * 0.75 + length * 0.6) + [0, 0, stem * 0.35]
        drooped = spine + np.array([0, 0, -rng.uniform(0.3, 1.0)])
        drooped /= np.linalg.norm(drooped)
        sideways = np.cross(drooped, [0, 0, 1.0])
        sideways /= np.linalg.norm(sideways)
        normal = np.cross(sideways, drooped).astype(np.float32)
        facing = direction[rays] @ normal
        with np.errstate(divide="ignore", invalid="ignore"):
            t = ((centre.astype(np.float32) - origin[rays]) @ normal) / facing
        local = origin[rays] + t[:, None] * direction[rays] - centre.astype(np.float32)
        u, w = local @ drooped / length, local @ sideways / (0.33 * length)
        inside = (np.abs(u) < 1) & (np.abs(w) < 1 - u**2) & (t > 0) & (t < nearest[rays])
        chosen = rays[inside]
        nearest[chosen], index[chosen] = t[inside], LEAF
        rib = 1 - 0.25 * (np.abs(w[inside]) < 0.07)
        tone = (0.55 + 0.75 * abs(float(normal[2]))) * rng.uniform(0.7, 1.3) * (0.8 + 0.3 * u[inside]) * rib
        leaf_colour[chosen] = (green * tone[:, None]).astype(np.float32)


def _shade(
    hall: Hall, lights: LightMap, points: Array, rays: Array, index: NDArray[np.int64], leaf_colour: Array
) -> Array:
    """Light (N, 3), RGB, that leaves `points` (N, 3) against `rays`."""
    light = np.zeros_like(points)
    floor = index == FLOOR
    if floor.any():
        light[floor] = _floor_colour(hall, points[floor]) * lights.at(points[floor, 0], points[floor, 1])[:, None]
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


def _noise(x: Array, y: Array, seed: int) -> Array:
    """Value noise with cells of 1, (N,) in 0..1."""
    cell_x, cell_y = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = x - cell_x, y - cell_y
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)

    def corner(dx: int, dy: int) -> Array:
        return _hash(cell_x + dx, cell_y + dy, seed)

    low = corner(0, 0) * (1 - fx) + corner(1, 0) * fx
    high = corner(0, 1) * (1 - fx) + corner(1, 1) * fx
    return np.asarray(low * (1 - fy) + high * fy, np.float32)


def _hash(x: NDArray[np.int64], y: NDArray[np.int64], seed: int) -> Array:
    """Pseudo-random numbers (N,) in 0..1 of integer cells."""
    with np.errstate(over="ignore"):
        mixed = (x.astype(np.uint32) * np.uint32(0x8DA6B343)) ^ (y.astype(np.uint32) * np.uint32(0xD8163841))
        mixed ^= np.uint32(seed * 0x9E3779B1 & 0xFFFFFFFF)
        mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0x5BD1E995)
        mixed ^= mixed >> np.uint32(15)
    return np.asarray((mixed & np.uint32(0xFFFF)) / 65535, np.float32)


def _floor_colour(hall: Hall, points: Array) -> Array:
    """Stone tiles in the lobby and the corridors, wooden planks in the gallery."""
    x, y = points[:, 0], points[:, 1]
    tint = np.array(hall.floor_tint, np.float32)
    size = 0.75
    tile_x, tile_y = np.floor(x / size).astype(np.int64), np.floor(y / size).astype(np.int64)
    inner = np.minimum(np.abs((x / size) % 1 - 0.5), np.inf), np.abs((y / size) % 1 - 0.5)
    joint = np.maximum(*inner) > 0.5 - 0.008 / size
    cloud = 0.5 * _noise(x * 2.3 + tile_x * 7, y * 2.3, 11) + 0.3 * _noise(x * 9, y * 9 + tile_y * 5, 12)
    speck = _noise(x * 60, y * 60, 13)
    tone = 0.25 + 0.09 * cloud + 0.07 * (_hash(tile_x, tile_y, 3) - 0.5) + 0.05 * (speck - 0.5)
    tone = np.where(joint, 0.10, tone)
    # a darker runner of tiles along the middle of the lobby
    runner = (np.abs(y - 4.5) < 1.5) & (np.abs(y - 4.5) > 1.18) & (x < PASSAGE_X_M[0] + 3.7) & (x > 0)
    tone = np.where(runner & ~joint, tone * 0.45, tone)
    stone = tone[:, None] * np.array([1.0, 0.97, 0.92], np.float32) * tint

    plank_width, plank_length = 0.16, 1.7
    row = np.floor(y / plank_width).astype(np.int64)
    start = _hash(row, row * 0, 21) * plank_length
    number = np.floor((x + start) / plank_length).astype(np.int64)
    grain = _noise((x + start) * 3, y * 55, 22) * 0.6 + _noise((x + start) * 14, y * 130, 23) * 0.4
    wood_tone = 0.72 + 0.5 * (_hash(row, number, 24) - 0.5) + 0.45 * (grain - 0.5)
    seam = (np.abs((y / plank_width) % 1 - 0.5) > 0.475) | (((x + start) / plank_length) % 1 < 0.004)
    wood_tone = np.where(seam, wood_tone * 0.45, wood_tone)
    wood = wood_tone[:, None] * np.array([0.40, 0.225, 0.115], np.float32)
    in_gallery = (x > PASSAGE_X_M[1] - 0.12) & (y < 9.1)
    colour: Array = np.where(in_gallery[:, None], wood, stone).astype(np.float32)
    return colour


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
            surface = _Surface(points[chosen], across, up, bounds[0], bounds[1], face[chosen])
            colour[chosen], glow[chosen] = _painted(str(material), colour[chosen], surface, box.seed)

    # lamps light the surfaces; no shadows here, nearness to the floor and to corners darkens instead
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
    """Axis (N,) and sign (N,) of the outward normal of the box face on which a point lies."""
    gaps = np.concatenate([np.abs(points - low), np.abs(points - high)], axis=1)
    nearest = np.argmin(gaps, axis=1)
    return nearest % 3, np.where(nearest < 3, -1.0, 1.0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Surface:
    points: Array  # (N, 3)
    across: Array  # (N,) metres along the face
    up: Array  # (N,) metres up the face
    low: Array  # (N, 3) corners of the box
    high: Array
    face: NDArray[np.int64]

    def shares(self) -> tuple[Array, Array]:
        """Position on the face, (N,) and (N,), in 0..1."""
        axis = np.where(self.face == 0, 1, 0)
        rows = np.arange(len(self.face))
        low_a, high_a = self.low[rows, axis], self.high[rows, axis]
        vertical = np.where(self.face == 2, 1, 2)
        low_u, high_u = self.low[rows, vertical], self.high[rows, vertical]
        a = (self.across - low_a) / np.maximum(high_a - low_a, 1e-6)
        u = (self.up - low_u) / np.maximum(high_u - low_u, 1e-6)
        return a.astype(np.float32), u.astype(np.float32)


def _painted(material: str, colour: Array, surface: _Surface, seed: int) -> tuple[Array, Array]:
    """Reflectance (N, 3) and own light (N, 3) of a material."""
    across, up = surface.across, surface.up
    dark = np.zeros_like(colour)
    if material in ("plaster", "panel"):
        tone = 0.94 + 0.10 * _noise(across * 1.3, up * 1.3, 31) + 0.04 * (_noise(across * 40, up * 40, 32) - 0.5)
        if material == "panel":
            groove = np.abs((across / 0.6) % 1 - 0.5) > 0.488
            board = np.floor(across / 0.6).astype(np.int64)
            tone = np.where(groove, tone * 0.5, tone * (0.92 + 0.16 * _hash(board, board * 0, 33)))
        skirting = (up < 0.11) & (surface.face != 2)
        painted = np.where(skirting[:, None], np.float32(0.12), colour * tone[:, None])
        return painted.astype(np.float32), dark
    if material == "wood":
        grain = _noise(across * 4, up * 45, 34) * 0.5 + _noise(across * 12, up * 110, 35) * 0.5
        gap = np.abs((across / 0.52) % 1 - 0.5) > 0.49
        tone = (0.7 + 0.6 * grain) * np.where(gap, 0.4, 1)
        return (colour * tone[:, None]).astype(np.float32), dark
    if material == "stone":
        tone = 0.86 + 0.22 * _noise(across * 6, up * 6, 36) + 0.12 * (_noise(across * 50, up * 50, 37) - 0.5)
        return (colour * tone[:, None]).astype(np.float32), dark
    if material == "fabric":
        tone = 1.2 + 0.4 * (_noise(across * 80, up * 80, 38) - 0.5)
        return (colour * tone[:, None]).astype(np.float32), dark
    a, u = surface.shares()
    if material == "window":
        frame = (a < 0.035) | (a > 0.965) | (u < 0.03) | (u > 0.97) | (np.abs(a - 0.5) < 0.018)
        clouds = _noise(a * 5, u * 4, seed % 97)
        hills = u < 0.22 + 0.12 * _noise(a * 6, a * 0, seed % 89)
        sky = np.stack([0.55 + 0.4 * clouds, 0.72 + 0.25 * clouds, 0.95 + 0.05 * clouds], axis=1) * 0.9
        sky = np.where(hills[:, None], np.array([0.10, 0.18, 0.09]), sky)
        frame |= surface.face == 2
        glow = np.where(frame[:, None], 0, sky)
        return np.where(frame[:, None], np.float32(0.30), 0).astype(np.float32), glow.astype(np.float32)
    if material == "door":
        frame = (a < 0.07) | (a > 0.93) | (u > 0.965)
        panel = (np.abs(a - 0.5) < 0.30) & ((np.abs(u - 0.27) < 0.17) | (np.abs(u - 0.70) < 0.18))
        handle = (np.abs(a - 0.84) < 0.05) & (np.abs(u - 0.48) < 0.012)
        tone = np.where(panel, 0.78, 1.0) * (0.85 + 0.3 * _noise(across * 30, up * 4, 39))
        painted = colour * tone[:, None]
        painted = np.where(frame[:, None], np.float32(0.42), painted)
        return np.where(handle[:, None], np.float32(0.75), painted).astype(np.float32), dark
    if material == "picture":
        rng = np.random.default_rng(seed)
        painted = np.broadcast_to(PIGMENTS[int(rng.integers(len(PIGMENTS)))], colour.shape).copy()
        for _ in range(9):
            shape = rng.uniform(0, 1, 5)
            angle = shape[4] * np.pi
            du, dv = a - shape[0], u - shape[1]
            p, q = du * np.cos(angle) + dv * np.sin(angle), dv * np.cos(angle) - du * np.sin(angle)
            inside = (np.abs(p) / (0.08 + 0.4 * shape[2])) ** 2 + (np.abs(q) / (0.06 + 0.3 * shape[3])) ** 2 < 1
            painted[inside] = PIGMENTS[int(rng.integers(len(PIGMENTS)))]
        mount = (np.abs(a - 0.5) > 0.42) | (np.abs(u - 0.5) > 0.42)
        border = (np.abs(a - 0.5) > 0.47) | (np.abs(u - 0.5) > 0.47)
        painted[mount] = 0.68
        painted[border] = 0.04
        return painted.astype(np.float32), dark
    if material == "vending":
        glass = (np.abs(a - 0.42) < 0.34) & (np.abs(u - 0.58) < 0.34)
        shelf = (u * 12) % 1 < 0.14
        goods = np.stack(
            [_hash(np.floor(a * 14).astype(np.int64), np.floor(u * 12).astype(np.int64), s) for s in (1, 2, 3)],
            axis=1,
        )
        inner = np.where(shelf[:, None], 0.15, 0.05 + 0.6 * goods**2)
        glow = np.where(glass[:, None], inner * 0.55, 0).astype(np.float32)
        return np.where(glass[:, None], np.float32(0.02), colour).astype(np.float32), glow
    tone = 0.9 + 0.2 * _noise(across * 90, up * 3, 40)  # "metal"
    return (colour * tone[:, None]).astype(np.float32), dark
