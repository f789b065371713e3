"""Surroundings of people: floor, walls, cars, railings, plants, signs; in the axes of a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from demo.reid_crops import shapes
from demo.reid_crops.places import Place, SurveillanceCamera
from demo.reid_crops.rasteriser import Floats, Mesh, Piece, Rasteriser
from demo.reid_crops.surfaces import WALLS, draw_floor, draw_wall

FAR_M = 45.0


@dataclass(frozen=True, eq=False)
class Scenery:
    """Pieces for `Rasteriser.draw`; the first of `pieces` is the floor."""

    pieces: list[Piece]
    sky: Piece


def build_scenery(
    camera: SurveillanceCamera, place: Place, panoramas: list[Any], cloth: Any, rasteriser: Rasteriser
) -> Scenery:
    """Build floor, wall and objects of one camera. `panoramas` are (H, W, 3) uint8 pictures, `cloth` is a texture."""
    rng = np.random.default_rng([camera.view_seed, 0x5C])
    floor_rng = np.random.default_rng([place.floor_seed, 0xF1])
    tile_m = float(floor_rng.uniform(1.2, 4.0))
    floor = rasteriser.texture(draw_floor(floor_rng, place.floor))
    pieces = [Piece(_floor(tile_m, camera.azimuth), floor, 0.03 if place.floor == "polished" else 0.0)]
    if camera.behind_m is not None:
        wall = rasteriser.texture(draw_wall(rng, camera.wall))
        high = float(rng.uniform(2.6, 4.5)) if rng.random() < 0.6 else 12.0
        mesh = shapes.block((-40, 0, -camera.behind_m - 0.4), (40, high, -camera.behind_m), _grey(rng), 3.0)
        pieces.append(Piece(mesh, wall))
    things = [_thing(rng, camera) for _ in range(int(rng.integers(3, 12)))]
    plain = [mesh for meshes in things for mesh in meshes]
    if plain:
        pieces.append(Piece(Mesh.joined(plain), cloth))
    for _ in range(int(rng.integers(1, 6))):
        # boards with a picture: signs, hedges, racks
        texture = rasteriser.texture(draw_wall(rng, WALLS[int(rng.integers(len(WALLS)))]))
        x, z = float(rng.uniform(-5, 5)), -float(rng.uniform(1.7, (camera.behind_m or 9) + 1.7))
        wide, high = float(rng.uniform(0.5, 3)), float(rng.uniform(0.7, 2.4))
        board = shapes.block(
            (x, 0, z - 0.3), (x + wide, high, z), np.ones(3, np.float32), float(rng.uniform(1, 3))
        )
        pieces.append(Piece(board, texture))
    panorama = rasteriser.texture(panoramas[place.panorama % len(panoramas)])
    return Scenery(pieces, Piece(_sky(camera, float(rng.uniform(1.5, 4)), float(rng.uniform(0, 1))), panorama))


def draw_obstacle(rng: np.random.Generator, target: Floats, camera: SurveillanceCamera) -> Mesh:
    """Draw an object between camera and person that hides a part of the person: a pole, a car, a railing, a counter.

    Args:
        rng: random generator.
        target: (2,) x and z of the person.
        camera: the camera.
    """
    nearer = float(rng.uniform(0.5, 1.0))
    towards = np.array([0.0, camera.away_m]) - target
    x, z = (float(v) for v in target + towards / np.linalg.norm(towards) * nearer)
    tint = _colour(rng)
    side = 1.0 if rng.random() < 0.5 else -1.0
    draw = rng.random()
    if draw < 0.25:
        x += side * float(rng.uniform(0.1, 0.32))
        return shapes.tube((x, 0, z), (x, 4, z), float(rng.uniform(0.03, 0.11)), tint)
    if draw < 0.45:
        height = float(rng.uniform(0.5, 1.05))
        return Mesh.joined(_railing(rng, x, z, height, tint))
    if draw < 0.65:  # the side of a car, or a box, that covers the legs on one side
        low, high = (x - 0.05, x + 4.0) if side > 0 else (x - 4.0, x + 0.05)
        return shapes.rounded(((low + high) / 2, 0.5, z), (high - low, float(rng.uniform(0.9, 1.4)), 0.8), tint, 6)
    if draw < 0.85:
        height = float(rng.uniform(0.3, 0.95))
        return shapes.block((x - 1.5, 0, z - 0.2), (x + 1.5, height, z + 0.2), tint)
    left = x + side * float(rng.uniform(0.15, 0.35))
    low, high = (left, left + 1.5) if side > 0 else (left - 1.5, left)
    return shapes.block((low, 0, z - 0.1), (high, 3.0, z + 0.1), tint)


def _thing(rng: np.random.Generator, camera: SurveillanceCamera) -> list[Mesh]:
    x = float(rng.uniform(-6, 6))
    z = -float(rng.uniform(2.4, max(camera.behind_m or 12.0, 3.0)))
    tint = _colour(rng)
    match int(rng.integers(6)):
        case 0:  # a car
            wheels = [
                shapes.rounded((x + dx, 0.32, z + 0.75), (0.62, 0.62, 0.2), np.full(3, 0.015, np.float32), 2.2)
                for dx in (-1.3, 1.3)
            ]
            glass = shapes.rounded((x, 1.15, z), (2.3, 0.7, 1.5), np.full(3, 0.03, np.float32), 3)
            return [shapes.rounded((x, 0.65, z), (4.2, 0.85, 1.7), tint, 5), glass, *wheels]
        case 1:
            return _railing(rng, x, z, float(rng.uniform(0.8, 1.2)), tint)
        case 2:  # a pole or pillar
            return [shapes.tube((x, 0, z), (x, 6, z), float(rng.uniform(0.04, 0.35)), tint, 14)]
        case 3:  # a bush
            green = np.array([0.035, 0.06, 0.02]) * rng.uniform(0.6, 2)
            return [
                shapes.rounded(
                    (x + float(rng.normal(0, 0.4)), float(rng.uniform(0.3, 1)), z), (1.0, 1.1, 0.9), green, 2
                )
                for _ in range(4)
            ]
        case 4:
            size = rng.uniform((0.3, 0.4, 0.3), (1.8, 1.6, 0.9))
            return [shapes.block((x, 0, z), (x + float(size[0]), float(size[1]), z + float(size[2])), tint)]
        case _:  # a bench
            seat = shapes.block((x, 0.42, z), (x + 1.6, 0.48, z + 0.45), tint)
            legs = [shapes.block((x + dx, 0, z), (x + dx + 0.08, 0.42, z + 0.4), tint * 0.5) for dx in (0.1, 1.4)]
            return [seat, shapes.block((x, 0.6, z), (x + 1.6, 0.95, z + 0.05), tint), *legs]


def _railing(rng: np.random.Generator, x: float, z: float, height: float, tint: Floats) -> list[Mesh]:
    start, end = x - float(rng.uniform(1, 3)), x + float(rng.uniform(1, 3))
    bars = [shapes.tube((start, y, z), (end, y, z), 0.025, tint, 6) for y in (0.12, height)]
    gap = float(rng.uniform(0.12, 0.6))
    return bars + [
        shapes.tube((float(at), 0, z), (float(at), height, z), 0.014, tint, 5) for at in np.arange(start, end, gap)
    ]


def _floor(tile_m: float, azimuth: float) -> Mesh:
    corners = np.array(
        [[-FAR_M, 0, -FAR_M], [FAR_M, 0, -FAR_M], [FAR_M, 0, FAR_M], [-FAR_M, 0, FAR_M]], np.float32
    )
    c, s = np.cos(azimuth), np.sin(azimuth)
    uv = corners[:, [0, 2]] @ np.array([[c, -s], [s, c]]) / tile_m
    up = np.tile(np.array([[0, 1, 0]], np.float32), (4, 1))
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Mesh(corners, up, uv.astype(np.float32), triangles, np.full((4, 3), 0.9, np.float32))


def _sky(camera: SurveillanceCamera, zoom: float, start: float) -> Mesh:
    """Build a curved screen around the camera, with its middle at the height of the camera."""
    angle = np.linspace(-1.3, 1.3, 25)
    high = np.array([-0.9, 1.4])
    up, around = np.meshgrid(high, angle, indexing="ij")
    points = np.stack([FAR_M * np.sin(around), camera.height_m + FAR_M * up, -FAR_M * np.cos(around)], axis=-1)
    mesh = shapes.grid_mesh(points, points, np.ones(3, np.float32))
    uv = np.stack([start + around / (2 * np.pi) * zoom / 1.5, 0.5 - up / np.pi * zoom / 1.5], axis=-1)
    uv[..., 1] = np.clip(uv[..., 1], 0.02, 0.98)
    return Mesh(mesh.position, mesh.normal, uv.reshape(-1, 2).astype(np.float32), mesh.triangles, mesh.tint)


def _grey(rng: np.random.Generator) -> Floats:
    return (float(rng.uniform(0.5, 1.0)) * (1 + rng.normal(0, 0.03, 3))).astype(np.float32)


def _colour(rng: np.random.Generator) -> Floats:
    """Draw the linear RGB colour of an object, mostly grey."""
    grey = float(rng.uniform(0.02, 0.6))
    return np.clip(grey * (1 + rng.normal(0, 0.25 if rng.random() < 0.3 else 0.05, 3)), 0.01, 0.9).astype(
        np.float32
    )
