"""The building of the demo scene: walls, doors, furniture, plants and lamps, as boxes and leaves in metres.

Plan (x to the right, y up). Lobby and gallery are rooms; no camera sees the passage between them. People also come
and go through openings to the corridors in the north and west.

    +----------------------------- north corridor ---------------------------------+
    |west +---    ----------------    ---cam2+            +-----------    ----cam3 |
    |corri                                   +------------+                        |
    |dor                 lobby                  passage   |        gallery         |
    |     |                                  |                                     |
    |     |cam1                              +------------+                        |
    +-----+----------------------------------+            +------------------------+
         x=0                                16           20                       30
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]  # linear-light RGB reflectance, 0..1

CEILING_M = 3.5
WALL_M = 0.24
NORTH_M, WEST_M = 11.0, -2.2  # far walls of the corridors
EAST_M = 30.0
LOBBY_X_M, PASSAGE_X_M, GALLERY_X_M, ROOM_Y_M = (0.0, 16.0), (16.0, 20.0), (20.0, EAST_M), (0.0, 9.0)
FLOOR_MIN_M, FLOOR_MAX_M = (WEST_M, 0.0), (EAST_M, NORTH_M)
PASSAGE_Y_M = (0.8, 6.2)
LOBBY_MOUTH_M, GALLERY_MOUTH_M = (4.2, 6.0), (1.2, 3.0)  # spans in y of the passage's two openings
NORTH_OPENINGS_M = ((2.4, 4.1), (9.4, 11.1), (22.6, 24.3))  # spans in x of the wall at y = 9
WEST_OPENING_M = (5.4, 7.1)  # span in y of the wall at x = 0


@dataclass(frozen=True)
class Box:
    """An axis-aligned solid.

    Attributes:
        low_m, high_m: corners (x, y, z).
        colour: reflectance, or emitted light for "lamp" and "sky".
        material: pattern of the surface.
        seed: random seed of pictures and posters.
    """

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    colour: Colour
    material: str = "plaster"
    seed: int = 0


@dataclass(frozen=True)
class Plant:
    """A potted plant, with leaves from the middle of the pot."""

    x_m: float
    y_m: float
    height_m: float
    leaves: int
    seed: int


@dataclass(frozen=True)
class Hall:
    """The building with everything that does not move."""

    boxes: tuple[Box, ...]
    plants: tuple[Plant, ...]
    lamps: tuple[Box, ...]
    floor_tint: Colour


ACCENTS: tuple[Colour, ...] = (
    (0.03, 0.16, 0.19),
    (0.42, 0.13, 0.06),
    (0.08, 0.15, 0.05),
    (0.05, 0.07, 0.22),
    (0.38, 0.24, 0.05),
)


def build_hall(seed: int) -> Hall:
    """Build the hall; `seed` determines colours, pictures and plants, but not the plan."""
    rng = np.random.default_rng(seed)
    accent = ACCENTS[seed % len(ACCENTS)]
    second = ACCENTS[(seed + 1 + int(rng.integers(len(ACCENTS) - 1))) % len(ACCENTS)]
    tint = 1 + rng.uniform(-0.06, 0.06, 3)
    boxes = [*_walls(accent, second), *_furniture(accent, second), *_wall_pieces(rng)]
    places = ((0.6, 8.4), (5.0, 8.5), (12.2, 8.5), (15.4, 0.6), (5.6, 0.55), (20.7, 8.3), (20.6, 0.6), (29.4, 0.7))
    plants = tuple(Plant(x, y, float(rng.uniform(1.3, 1.9)), 46, int(rng.integers(1 << 30))) for x, y in places)
    pots = [
        Box((p.x_m - 0.2, p.y_m - 0.2, 0), (p.x_m + 0.2, p.y_m + 0.2, 0.42), (0.5, 0.48, 0.44), "stone")
        for p in plants
    ]
    return Hall(
        boxes=tuple(boxes + pots),
        plants=plants,
        lamps=_lamps(),
        floor_tint=(float(tint[0]), float(tint[1]), float(tint[2])),
    )


def _wall(x: tuple[float, float], y: tuple[float, float], colour: Colour, material: str = "plaster") -> Box:
    return Box((x[0], y[0], 0), (x[1], y[1], CEILING_M), colour, material)


def _walls(accent: Colour, second: Colour) -> list[Box]:
    white, warm, dim = (0.62, 0.61, 0.58), (0.60, 0.55, 0.47), (0.40, 0.40, 0.40)
    t = WALL_M
    walls = [
        _wall((WEST_M, EAST_M), (-t, 0), white),
        _wall((WEST_M - t, WEST_M), (0, NORTH_M), dim),
        _wall((WEST_M, EAST_M), (NORTH_M, NORTH_M + t), second, "panel"),
        _wall((EAST_M, EAST_M + t), (0, NORTH_M), accent, "panel"),
        # around the passage
        _wall(PASSAGE_X_M, (0, PASSAGE_Y_M[0]), white),
        _wall(PASSAGE_X_M, (PASSAGE_Y_M[1], 9), white),
    ]
    for x, span, colour in (
        ((16.0, 16.0 + t), LOBBY_MOUTH_M, accent),
        ((20.0 - t, 20.0), GALLERY_MOUTH_M, second),
    ):
        walls.append(_wall(x, (PASSAGE_Y_M[0], span[0]), colour, "panel"))
        walls.append(_wall(x, (span[1], PASSAGE_Y_M[1]), colour, "panel"))
        walls.append(Box((x[0], span[0], 2.35), (x[1], span[1], CEILING_M), colour))
    edges = [0.0, *(edge for span in NORTH_OPENINGS_M for edge in span), EAST_M]
    for start, end in zip(edges[0::2], edges[1::2], strict=True):
        walls.append(_wall((start, end), (9, 9 + t), warm if start > 20 else white))
    for span in NORTH_OPENINGS_M:
        walls.append(Box((span[0], 9, 2.3), (span[1], 9 + t, CEILING_M), white))
    walls.append(_wall((-t, 0), (0, WEST_OPENING_M[0]), accent, "panel"))
    walls.append(_wall((-t, 0), (WEST_OPENING_M[1], 9 + t), accent, "panel"))
    walls.append(Box((-t, WEST_OPENING_M[0], 2.3), (0, WEST_OPENING_M[1], CEILING_M), accent))
    return walls


def _furniture(accent: Colour, second: Colour) -> list[Box]:
    wood, metal, dark = (0.30, 0.17, 0.08), (0.22, 0.22, 0.23), (0.05, 0.05, 0.055)
    boxes = [
        # pillars
        Box((3.4, 6.4, 0), (3.8, 6.8, CEILING_M), (0.55, 0.54, 0.51), "stone"),
        Box((12.2, 2.9, 0), (12.6, 3.3, CEILING_M), (0.55, 0.54, 0.51), "stone"),
        Box((21.9, 3.9, 0), (22.25, 4.25, CEILING_M), (0.50, 0.46, 0.40), "stone"),
        # reception desk in the lobby
        Box((7.0, 0.9, 0), (9.4, 1.5, 1.02), wood, "wood"),
        Box((6.9, 0.8, 1.02), (9.5, 1.6, 1.08), (0.62, 0.61, 0.59), "stone"),
        Box((8.1, 1.0, 1.08), (8.6, 1.06, 1.42), dark, "metal"),
        # vending machine in the gallery's corner
        Box((20.05, 5.0, 0), (20.75, 5.9, 1.85), second, "vending"),
        # show case
        Box((26.6, 1.0, 0), (27.7, 1.7, 0.85), (0.55, 0.55, 0.55), "stone"),
        Box((26.65, 1.05, 0.85), (27.65, 1.65, 1.15), (0.35, 0.42, 0.44), "metal"),
    ]
    for x, y, along_x in ((1.4, 8.55, True), (7.4, 8.55, True), (13.8, 8.55, True), (3.6, 0.5, True)):
        boxes += _bench(x, y, along_x, accent, metal)
    for x, y, along_x in ((13.2, 0.5, True), (22.4, 0.5, True), (15.6, 2.4, False)):
        boxes += _bench(x, y, along_x, second, metal)
    return boxes


def _bench(x: float, y: float, along_x: bool, seat: Colour, metal: Colour) -> list[Box]:
    long, deep = (0.85, 0.22) if along_x else (0.22, 0.85)
    boxes = [Box((x - long, y - deep, 0.38), (x + long, y + deep, 0.47), seat, "fabric")]
    for side in (-0.8, 0.8):
        cx, cy = (x + side * long, y) if along_x else (x, y + side * deep)
        boxes.append(Box((cx - 0.05, cy - 0.05, 0), (cx + 0.05, cy + 0.05, 0.38), metal, "metal"))
    return boxes


def _wall_pieces(rng: np.random.Generator) -> list[Box]:
    """Return doors, windows and pictures as thin boxes in front of the walls."""
    door, frame = (0.24, 0.14, 0.07), (0.10, 0.10, 0.10)
    thin = 0.05
    pieces: list[Box] = []

    def on_south(x: float, width: float, low: float, high: float, colour: Colour, material: str) -> None:
        box = Box((x, 0, low), (x + width, thin, high), colour, material, int(rng.integers(1 << 30)))
        pieces.append(box)

    def on_north(x: float, width: float, low: float, high: float, colour: Colour, material: str) -> None:
        box = Box((x, 9 - thin, low), (x + width, 9, high), colour, material, int(rng.integers(1 << 30)))
        pieces.append(box)

    def on_x(x: float, y: float, width: float, low: float, high: float, colour: Colour, material: str) -> None:
        box = Box((x - thin, y, low), (x + thin, y + width, high), colour, material, int(rng.integers(1 << 30)))
        pieces.append(box)

    for x in (1.2, 3.6, 6.0, 11.6, 14.0):
        on_south(x, 1.7, 0.9, 2.6, (0.75, 0.9, 1.1), "window")
    for x in (21.6, 27.4):
        on_south(x, 2.0, 0.8, 2.7, (0.75, 0.9, 1.1), "window")
    on_south(24.6, 1.0, 0, 2.12, door, "door")
    on_south(9.9, 1.0, 0, 2.12, door, "door")
    for x in (6.6, 12.7, 21.2):
        on_north(x, 1.0, 0, 2.12, door, "door")
    on_x(0, 3.4, 1.0, 0, 2.12, (0.35, 0.35, 0.37), "door")
    for x, width in ((0.9, 1.2), (4.5, 1.3), (8.1, 1.0), (14.2, 1.1), (25.2, 1.4), (27.2, 1.2)):
        on_north(x, width, 1.2, 2.3, frame, "picture")
    for x, y, width in (
        (0, 1.3, 1.6),
        (16, 1.4, 1.4),
        (16, 7.0, 1.3),
        (20, 3.4, 1.3),
        (20, 6.8, 1.4),
        (30, 4, 1.6),
    ):
        on_x(x, y, width, 1.1, 2.25, frame, "picture")
    for x in (1.4, 4.0, 8.6, 11.0, 21.8, 24.0):
        pieces.append(
            Box((x, NORTH_M - thin, 1.1), (x + 1.2, NORTH_M, 2.2), frame, "picture", int(rng.integers(1 << 30)))
        )
    return pieces


def _lamps() -> tuple[Box, ...]:
    """Return the ceiling panels, which are visible only as reflections in the floor."""
    centres = [(x, y) for x in (1.7, 4.9, 8.0, 11.1, 14.3) for y in (1.7, 4.5, 7.3)]
    centres += [(x, y) for x in (21.6, 24.4, 27.2, 29.2) for y in (2.0, 6.6)]
    centres += [(x, 10.0) for x in (3.2, 10.2, 17.0, 23.4)] + [(-1.1, 3.0), (-1.1, 7.0), (18.0, 3.5)]
    return tuple(
        Box((x - 0.6, y - 0.15, CEILING_M - 0.02), (x + 0.6, y + 0.15, CEILING_M), (1.0, 0.97, 0.92), "lamp")
        for x, y in centres
    )


def solid_boxes(hall: Hall) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the corners of all boxes, two arrays (N, 3) float32 in metres."""
    low = np.array([box.low_m for box in hall.boxes], np.float32)
    high = np.array([box.high_m for box in hall.boxes], np.float32)
    return low, high
