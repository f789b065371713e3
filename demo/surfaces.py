"""Reflectances of the surfaces of the hall, computed instead of read from files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.hall import PASSAGE_X_M, Hall

Array = NDArray[np.float32]

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


@dataclass(frozen=True, eq=False)
class Surface:
    """Points on the faces of boxes; `face` is the axis (0 to 2) of each face's normal."""

    points: Array  # (N, 3)
    across: Array  # (N,) metres along the face
    up: Array  # (N,) metres up the face
    low: Array  # (N, 3) corners of the box
    high: Array
    face: NDArray[np.int64]

    def shares(self) -> tuple[Array, Array]:
        """Return the position on the face, (N,) and (N,), in 0..1."""
        axis = np.where(self.face == 0, 1, 0)
        rows = np.arange(len(self.face))
        low_a, high_a = self.low[rows, axis], self.high[rows, axis]
        vertical = np.where(self.face == 2, 1, 2)
        low_u, high_u = self.low[rows, vertical], self.high[rows, vertical]
        a = (self.across - low_a) / np.maximum(high_a - low_a, 1e-6)
        u = (self.up - low_u) / np.maximum(high_u - low_u, 1e-6)
        return a.astype(np.float32), u.astype(np.float32)


def painted_as(material: str, colour: Array, surface: Surface, seed: int) -> tuple[Array, Array]:
    """Return reflectance (N, 3) and emitted light (N, 3) of a material."""
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


def _noise(x: Array, y: Array, seed: int) -> Array:
    """Return value noise with cells of size 1, (N,) in 0..1."""
    cell_x, cell_y = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = x - cell_x, y - cell_y
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)

    def corner(dx: int, dy: int) -> Array:
        return _hash(cell_x + dx, cell_y + dy, seed)

    low = corner(0, 0) * (1 - fx) + corner(1, 0) * fx
    high = corner(0, 1) * (1 - fx) + corner(1, 1) * fx
    return np.asarray(low * (1 - fy) + high * fy, np.float32)


def _hash(x: NDArray[np.int64], y: NDArray[np.int64], seed: int) -> Array:
    """Return pseudo-random numbers (N,) in 0..1 for integer cells."""
    with np.errstate(over="ignore"):
        mixed = (x.astype(np.uint32) * np.uint32(0x8DA6B343)) ^ (y.astype(np.uint32) * np.uint32(0xD8163841))
        mixed ^= np.uint32(seed * 0x9E3779B1 & 0xFFFFFFFF)
        mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0x5BD1E995)
        mixed ^= mixed >> np.uint32(15)
    return np.asarray((mixed & np.uint32(0xFFFF)) / 65535, np.float32)


def floor_colour(hall: Hall, points: Array) -> Array:
    """Return the reflectance of the floor: stone tiles in lobby and corridors, wooden planks in the gallery."""
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
    # a darker band of tiles along the middle of the lobby
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
