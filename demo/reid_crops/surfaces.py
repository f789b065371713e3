"""Random pictures of floors, walls and objects: repeating textures, and panoramas."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reid_crops.painting import WORDS
from demo.reid_crops.rasteriser import Floats
from pipeline.core.errors import InputError

Floor = Literal["asphalt", "paving", "tiles", "planks", "grass", "polished", "carpet"]
Wall = Literal["concrete", "bricks", "facade", "panels", "shelves", "posters", "foliage", "clutter", "shutter"]
FLOORS: tuple[Floor, ...] = (
    "asphalt",
    "asphalt",
    "paving",
    "paving",
    "tiles",
    "planks",
    "grass",
    "polished",
    "carpet",
)
WALLS: tuple[Wall, ...] = (
    *("concrete", "concrete", "bricks", "facade", "facade", "panels", "shelves", "posters", "foliage"),
    *("clutter", "clutter", "shutter"),
)
SIZE_PX = 256


def draw_floor(rng: np.random.Generator, kind: Floor) -> NDArray[np.uint8]:
    """Draw a floor of two by two metres, (S, S, 3) uint8 RGB."""
    grain = (
        1 + float(rng.uniform(0.02, 0.14)) * _cloud(rng, 0.8) + float(rng.uniform(0.01, 0.04)) * _cloud(rng, 24)
    )
    grey = float(rng.uniform(0.25, 0.75))
    colour = grey * (1 + rng.normal(0, 0.012, 3) + rng.normal(0, 0.02) * np.array([1, 0, -1]))
    match kind:
        case "grass":
            colour = np.array([0.28, 0.34, 0.2]) * rng.uniform(0.7, 1.3)
            grain += 0.25 * _cloud(rng, 1.5)
        case "planks":
            colour = np.array([0.46, 0.38, 0.31]) * rng.uniform(0.6, 1.4)
            grain = grain * _joints(rng, (int(rng.integers(6, 14)), 1), 0.25)
        case "paving":
            grain = grain * _joints(rng, (int(rng.integers(3, 14)), int(rng.integers(3, 14))), 0.2)
        case "tiles":
            cells = int(rng.integers(2, 7))
            grain = grain * _joints(rng, (cells, cells), 0.12)
        case "polished":
            grain = 1 + 0.04 * _cloud(rng, 40)
            colour = colour * 1.15
        case "carpet":
            colour = rng.uniform(0.12, 0.5, 3) * 0.25 + colour * 0.5
            grain += 0.08 * _cloud(rng, 1)
        case _:
            grain += 0.03 * _cloud(rng, 4)
    return _picture(grain[..., None] * colour)


def draw_wall(rng: np.random.Generator, kind: Wall) -> NDArray[np.uint8]:
    """Draw a wall of three by three metres, (S, S, 3) uint8 RGB; row 0 is at the bottom."""
    base = float(rng.uniform(0.2, 0.85)) * (1 + rng.normal(0, 0.05, 3))
    grain = 1 + 0.06 * _cloud(rng, 30) + 0.03 * _cloud(rng, 1)
    picture = grain[..., None] * base
    match kind:
        case "bricks":
            base = np.array([0.45, 0.27, 0.21]) * rng.uniform(0.6, 1.5) * (1 + rng.normal(0, 0.08, 3))
            picture = (grain * _joints(rng, (40, 14), 0.3, shifted=True))[..., None] * base
        case "facade":
            picture = picture.copy()
            _windows(rng, picture, base * 0.8)
        case "panels":
            picture = (grain * _joints(rng, (1, int(rng.integers(2, 9))), 0.35))[..., None] * base
        case "shelves":
            picture = _shelves(rng)
        case "posters":
            picture = picture.copy()
            for _ in range(int(rng.integers(1, 4))):
                _poster(rng, picture)
        case "foliage":
            leaves = 0.5 * _cloud(rng, 2) + 0.5 * _cloud(rng, 9)
            green = np.array([0.22, 0.33, 0.13]) * rng.uniform(0.6, 1.6)
            picture = np.clip(0.75 + 0.75 * leaves, 0.08, 2.2)[..., None] * green
        case "clutter":
            canvas = _picture(picture * 0.8)
            _clutter(rng, canvas)
            return canvas
        case "shutter":
            lines = 1 + 0.2 * np.sin(np.arange(SIZE_PX) * 2 * np.pi * int(rng.integers(16, 40)) / SIZE_PX)[:, None]
            picture = (grain * lines)[..., None] * base
        case _:
            stain = np.clip(_cloud(rng, 14), -1, 2)
            picture = picture * (1 - 0.12 * stain)[..., None]
    return _picture(picture)


def draw_cloth(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw nearly white cloth, to be tinted, (S, S, 3) uint8 RGB."""
    shade = 0.9 + 0.05 * _cloud(rng, 18) + 0.03 * _cloud(rng, 2)
    return _picture(np.repeat(shade[..., None], 3, axis=2))


def draw_panorama(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a panorama of sky, buildings and trees, (S, 4 S, 3) uint8 RGB; the horizon is the middle row."""
    height, width = SIZE_PX, 4 * SIZE_PX
    up = np.linspace(1, -1, height)[:, None, None]
    sky = np.array([0.62, 0.72, 0.85]) if rng.random() < 0.5 else np.array([0.8, 0.8, 0.8])
    picture = np.where(up > 0, sky * (1 - 0.25 * up), 0.35) + np.zeros((height, width, 3))
    x = 0
    while x < width:
        wide = int(rng.integers(20, 180))
        top = int(height / 2 - rng.uniform(0.02, 0.45) * height)
        foot = height // 2 + 6
        if rng.random() < 0.6:
            wall = cv2.resize(draw_wall(rng, WALLS[int(rng.integers(len(WALLS)))]), (wide, foot - top))[::-1] / 255
        else:
            wall = cv2.resize(draw_wall(rng, "foliage"), (wide, foot - top)) / 255
        picture[top:foot, x : x + wide] = wall[:, : width - x]
        x += wide - int(rng.integers(0, 8))
    return _picture(picture)


def read_panoramas(folder: Path) -> list[NDArray[np.uint8]]:
    """Read the panoramas (*.exr) of a folder, tone mapped, each (H, 2 H, 3) uint8 RGB, sorted by name.

    Raises:
        InputError: there is none, or OpenEXR is not installed.
    """
    try:
        import OpenEXR
    except ModuleNotFoundError as error:
        raise InputError("OpenEXR, which reads panoramas, is missing: pip install 'mtmc[demo-scene]'") from error
    files = sorted(folder.glob("*.exr"))
    if not files:
        raise InputError(f"no .exr file in {folder}: leave --panoramas out or give a folder with panoramas")
    pictures = []
    for file in files:
        with OpenEXR.File(str(file)) as content:
            channels = content.channels()
            pixels = channels["RGB"] if "RGB" in channels else channels["RGBA"]
            light = np.clip(np.nan_to_num(np.asarray(pixels.pixels[..., :3], np.float32)), 0, None)
        light = light / max(float(np.quantile(light, 0.8)), 1e-6) * 0.45
        pictures.append(_picture((light / (1 + 0.6 * light)) ** (1 / 2.2)))
    return pictures


def _cloud(rng: np.random.Generator, size_px: float) -> Floats:
    """Draw repeating noise with structures of `size_px`, mean 0 and standard deviation 1, (S, S)."""
    step = max(1, int(size_px / 3))
    small = rng.normal(size=(SIZE_PX // step, SIZE_PX // step)).astype(np.float32)
    padded = np.pad(small, 8, mode="wrap")
    soft = cv2.GaussianBlur(padded, (0, 0), max(size_px / step / 2, 0.3))[8:-8, 8:-8]
    cloud = cv2.resize(soft, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray((cloud - cloud.mean()) / (cloud.std() + 1e-6), np.float32)


def _joints(rng: np.random.Generator, cells: tuple[int, int], depth: float, shifted: bool = False) -> Floats:
    """Draw the brightness of (rows, columns) of stones with dark joints, (S, S)."""
    rows, columns = cells
    y, x = np.mgrid[0:SIZE_PX, 0:SIZE_PX] / SIZE_PX
    row = np.floor(y * rows).astype(int)
    across = x * columns + (0.5 * (row % 2) if shifted else 0)
    stone = 1 + 0.5 * depth * rng.normal(0, 0.5, (rows, columns))[row, np.floor(across).astype(int) % columns]
    edge = np.minimum((y * rows) % 1 * SIZE_PX / rows, across % 1 * SIZE_PX / columns) < 1.6
    return np.asarray(np.where(edge, 1 - 1.5 * depth, stone), np.float32)


def _windows(rng: np.random.Generator, picture: NDArray[np.float64], bars: NDArray[np.float64]) -> None:
    """Draw windows with bars of the colour `bars` (3,), changing `picture` in place."""
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    w, h = 0.7 * SIZE_PX / columns, 0.7 * SIZE_PX / rows
    glass = rng.uniform(0.03, 0.25) * np.array([0.8, 0.95, 1.0])
    for column in range(columns):
        for row in range(rows):
            x, y = (column + 0.15) * SIZE_PX / columns, (row + 0.2) * SIZE_PX / rows
            area = (slice(int(y), int(y + h)), slice(int(x), int(x + w)))
            picture[area] = glass * (1 + 0.8 * np.abs(_cloud(rng, 20)[area])[..., None])
            picture[int(y + h / 2) : int(y + h / 2) + 4, area[1]] = bars


def _shelves(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw rows of goods of random colours, (S, S, 3)."""
    picture = np.full((SIZE_PX, SIZE_PX, 3), 0.2)
    for row in range(0, SIZE_PX, int(rng.integers(28, 60))):
        x = 0
        while x < SIZE_PX:
            wide, high = int(rng.integers(5, 24)), int(rng.integers(10, 34))
            colour = 0.6 * rng.uniform(0.05, 0.9, 3) ** 1.3 + 0.4 * rng.uniform(0, 0.5)
            picture[row : row + high, x : x + wide] = colour
            x += wide + int(rng.integers(0, 4))
    return picture


def _clutter(rng: np.random.Generator, canvas: NDArray[np.uint8]) -> None:
    """Draw circles and lines, like bicycles, racks and pipes, changing `canvas` in place."""
    for _ in range(int(rng.integers(15, 45))):
        shade = rng.integers(0, 235, 3) if rng.random() < 0.4 else np.full(3, rng.integers(5, 90))
        colour = tuple(int(v) for v in shade)
        at = (int(rng.integers(0, SIZE_PX)), int(rng.integers(0, SIZE_PX // 2)))
        if rng.random() < 0.45:
            cv2.circle(canvas, at, int(rng.integers(12, 32)), colour, int(rng.integers(1, 4)), cv2.LINE_AA)
        else:
            end = (at[0] + int(rng.integers(-60, 60)), at[1] + int(rng.integers(-50, 50)))
            cv2.line(canvas, at, end, colour, int(rng.integers(1, 5)), cv2.LINE_AA)


def _poster(rng: np.random.Generator, picture: NDArray[np.float64]) -> None:
    """Draw a sign or a picture on the wall, changing `picture` in place."""
    size = SIZE_PX
    wide, high = int(rng.integers(40, 200)), int(rng.integers(40, 160))
    x, y = int(rng.integers(0, size - wide)), int(rng.integers(20, size - high))
    sign = np.full((high, wide, 3), rng.uniform(0.05, 0.95, 3) * 255).astype(np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        at = (int(rng.integers(0, wide)), int(rng.integers(0, high)))
        if rng.random() < 0.5:
            word = WORDS[int(rng.integers(len(WORDS)))]
            cv2.putText(
                sign, word, (at[0] // 2, at[1]), cv2.FONT_HERSHEY_DUPLEX, float(rng.uniform(0.5, 2)), colour, 2
            )
        else:
            cv2.circle(sign, at, int(rng.integers(5, 60)), colour, -1, cv2.LINE_AA)
    picture[y : y + high, x : x + wide] = sign[::-1] / 255


def _picture(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.clip(values, 0, 1) * 255, np.uint8)
