"""Colours of clothes with their frequencies; sRGB 0..255."""

from __future__ import annotations

import colorsys

import numpy as np

from demo.reid_crops.rasteriser import Floats

Rgb = tuple[int, int, int]

# share, hue range in degrees, saturation range, value range
Shade = tuple[float, tuple[float, float], tuple[float, float], tuple[float, float]]

TOPS: tuple[Shade, ...] = (
    (0.22, (0, 360), (0.0, 0.18), (0.08, 0.21)),  # black
    (0.15, (0, 60), (0.0, 0.06), (0.78, 0.96)),  # white
    (0.14, (0, 360), (0.0, 0.1), (0.26, 0.7)),  # grey
    (0.11, (215, 240), (0.3, 0.75), (0.16, 0.38)),  # navy
    (0.08, (200, 225), (0.15, 0.5), (0.5, 0.85)),  # light blue, denim
    (0.05, (205, 235), (0.6, 0.9), (0.4, 0.75)),  # blue
    (0.06, (352, 366), (0.6, 0.88), (0.35, 0.8)),  # red
    (0.03, (340, 360), (0.4, 0.7), (0.2, 0.42)),  # wine
    (0.03, (320, 355), (0.15, 0.5), (0.65, 0.92)),  # pink
    (0.04, (25, 45), (0.15, 0.45), (0.5, 0.85)),  # beige, khaki
    (0.03, (18, 35), (0.4, 0.7), (0.2, 0.45)),  # brown
    (0.03, (60, 110), (0.2, 0.5), (0.2, 0.42)),  # olive
    (0.03, (120, 170), (0.35, 0.8), (0.25, 0.65)),  # green
    (0.02, (44, 56), (0.6, 0.9), (0.7, 0.95)),  # yellow
    (0.015, (15, 30), (0.7, 0.9), (0.65, 0.9)),  # orange
    (0.015, (265, 300), (0.25, 0.6), (0.3, 0.7)),  # purple
    (0.01, (170, 195), (0.4, 0.75), (0.35, 0.7)),  # teal
)
BOTTOMS: tuple[Shade, ...] = (
    (0.34, (0, 360), (0.0, 0.2), (0.08, 0.2)),  # black
    (0.16, (212, 232), (0.3, 0.6), (0.18, 0.36)),  # dark denim
    (0.14, (207, 225), (0.22, 0.45), (0.36, 0.62)),  # blue denim
    (0.05, (205, 222), (0.1, 0.25), (0.6, 0.8)),  # washed denim
    (0.12, (0, 360), (0.0, 0.1), (0.22, 0.6)),  # grey
    (0.09, (28, 42), (0.18, 0.42), (0.42, 0.76)),  # khaki, beige
    (0.03, (15, 32), (0.3, 0.6), (0.18, 0.4)),  # brown
    (0.03, (60, 100), (0.15, 0.4), (0.2, 0.42)),  # olive
    (0.03, (0, 60), (0.0, 0.06), (0.75, 0.92)),  # white
    (0.01, (0, 360), (0.4, 0.8), (0.3, 0.7)),  # any
)
SHOES: tuple[Shade, ...] = (
    (0.45, (0, 360), (0.0, 0.2), (0.06, 0.2)),
    (0.24, (0, 60), (0.0, 0.07), (0.72, 0.95)),
    (0.12, (0, 360), (0.0, 0.1), (0.3, 0.6)),
    (0.1, (18, 35), (0.35, 0.65), (0.2, 0.5)),
    (0.04, (210, 240), (0.4, 0.8), (0.25, 0.6)),
    (0.03, (0, 360), (0.4, 0.75), (0.3, 0.8)),
)
BAGS: tuple[Shade, ...] = (
    (0.5, (0, 360), (0.0, 0.15), (0.08, 0.22)),
    (0.12, (215, 240), (0.3, 0.7), (0.2, 0.4)),
    (0.1, (0, 360), (0.0, 0.1), (0.3, 0.65)),
    (0.1, (18, 35), (0.35, 0.65), (0.25, 0.55)),
    (0.04, (30, 50), (0.1, 0.3), (0.7, 0.9)),
    (0.06, (350, 365), (0.6, 0.9), (0.4, 0.8)),
    (0.08, (0, 360), (0.4, 0.9), (0.35, 0.85)),
)
HAIR: tuple[Shade, ...] = (
    (0.56, (15, 30), (0.1, 0.4), (0.06, 0.16)),
    (0.22, (15, 28), (0.35, 0.6), (0.15, 0.32)),
    (0.1, (28, 40), (0.3, 0.5), (0.4, 0.7)),
    (0.06, (0, 60), (0.0, 0.06), (0.4, 0.8)),
    (0.02, (8, 20), (0.6, 0.8), (0.3, 0.5)),
)
ANY: tuple[Shade, ...] = ((1.0, (0, 360), (0.3, 0.9), (0.3, 0.9)),)


def draw_colour(rng: np.random.Generator, shades: tuple[Shade, ...]) -> Rgb:
    """Draw a colour from these shades, by their shares."""
    shares = np.array([shade[0] for shade in shades])
    _, hue, saturation, value = shades[int(rng.choice(len(shades), p=shares / shares.sum()))]
    hsv = (rng.uniform(*hue) / 360 % 1, rng.uniform(*saturation), rng.uniform(*value))
    red, green, blue = (round(255 * v) for v in colorsys.hsv_to_rgb(*(float(v) for v in hsv)))
    return (red, green, blue)


def nearby(rng: np.random.Generator, colour: Rgb, distance: float) -> Rgb:
    """Draw a colour slightly lighter or darker and warmer or colder; `distance` in sRGB steps of 0..255."""
    sign = 1 if sum(colour) < 240 or (sum(colour) < 560 and rng.random() < 0.5) else -1
    changed = np.array(colour) + sign * distance + rng.normal(0, distance * 0.25, 3)
    red, green, blue = (int(v) for v in np.clip(changed, 6, 250))
    return (red, green, blue)


def linear(colour: Rgb) -> Floats:
    """Convert to linear RGB 0..1, (3,) float32."""
    return np.asarray((np.array(colour, np.float32) / 255) ** np.float32(2.2), np.float32)
