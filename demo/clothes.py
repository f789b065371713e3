"""Change the clothes of a person: segment the garments in a studio picture and recolour them.

The studio pictures show everybody barefoot in a white shirt and light shorts. Shading is kept: a garment's new colour
is multiplied by the original brightness of its pixels, relative to the bright parts of the garment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Pattern = Literal["plain", "hoops", "pinstripes", "checks", "block", "band"]
Rgb = tuple[int, int, int]

TOP_COLOURS: dict[str, Rgb] = {
    "red": (176, 30, 38),
    "navy": (28, 44, 92),
    "mustard": (206, 156, 36),
    "green": (34, 104, 66),
    "white": (226, 226, 222),
    "black": (34, 34, 38),
    "sky": (104, 160, 206),
    "pink": (214, 128, 148),
    "orange": (216, 96, 30),
    "purple": (94, 54, 124),
    "grey": (128, 130, 134),
    "teal": (18, 118, 122),
}
BOTTOM_COLOURS: dict[str, Rgb] = {
    "indigo": (40, 56, 92),
    "black": (30, 30, 33),
    "khaki": (158, 134, 96),
    "grey": (104, 106, 110),
    "white": (206, 204, 198),
    "brown": (86, 58, 42),
    "olive": (78, 82, 50),
    "light blue": (112, 142, 176),
}
PATTERNS: tuple[Pattern, ...] = ("plain", "hoops", "pinstripes", "checks", "block", "band")


@dataclass(frozen=True)
class Outfit:
    """The clothes of one person; colours are sRGB, 0..255.

    Attributes:
        top, second: main and second colour of the shirt; all patterns except "plain" use `second`.
        pattern: pattern of the shirt, in the second colour; "block" is the lower half, "band" a band across the chest.
        long_sleeves: whether the shirt covers the arms.
        bottom: colour of trousers or shorts.
        trousers: long trousers instead of shorts.
        shoes: colour of the shoes.
        backpack: colour of a backpack; None for no backpack.
        hair: factor on the brightness of the hair; 1 does not change it.
    """

    top: Rgb
    bottom: Rgb
    second: Rgb = (226, 226, 222)
    pattern: Pattern = "plain"
    long_sleeves: bool = False
    trousers: bool = True
    shoes: Rgb = (40, 36, 34)
    backpack: Rgb | None = None
    hair: float = 1.0


@dataclass(frozen=True, eq=False)
class Regions:
    """Soft masks of one studio picture, each (H, W) float32 in 0..1."""

    shirt: NDArray[np.float32]
    shorts: NDArray[np.float32]
    arms: NDArray[np.float32]
    hands: NDArray[np.float32]
    legs: NDArray[np.float32]
    feet: NDArray[np.float32]
    hair: NDArray[np.float32]


def random_outfits(rng: np.random.Generator, people: int, shared_tops: int = 2) -> list[Outfit]:
    """Draw distinct outfits; `shared_tops` pairs of neighbours in the list have the same top.

    Two people never share both the shirt (colours and pattern) and the bottoms, so clothes identify a person. In pairs
    with the same top, only the lower half of the body does.

    Args:
        rng: random generator.
        people: number of outfits, at least 0.
        shared_tops: number of pairs with the same shirt.
    """
    tops, bottoms = list(TOP_COLOURS.values()), list(BOTTOM_COLOURS.values())
    outfits: list[Outfit] = []
    taken: set[tuple[Rgb, Rgb, Pattern, Rgb]] = set()
    order = [tops[i] for i in rng.permutation(len(tops))]
    while len(outfits) < people:
        index = len(outfits)
        pattern: Pattern = "plain" if rng.random() < 0.5 else PATTERNS[int(rng.integers(1, len(PATTERNS)))]
        top = order[index % len(order)]
        others = [colour for colour in tops if colour != top]
        outfit = Outfit(
            top=top,
            second=others[int(rng.integers(len(others)))],
            pattern=pattern,
            long_sleeves=bool(rng.random() < 0.45),
            bottom=bottoms[int(rng.integers(len(bottoms)))],
            trousers=bool(rng.random() < 0.75),
            shoes=((40, 36, 34), (208, 206, 200), (104, 70, 46), (140, 34, 36))[int(rng.integers(4))],
            backpack=tops[int(rng.integers(len(tops)))] if rng.random() < 0.25 else None,
            hair=float(rng.uniform(0.7, 1.6)) if index >= 10 else 1.0,
        )
        if index % 2 == 1 and index // 2 < shared_tops:
            before = outfits[-1]
            different = [colour for colour in bottoms if colour != before.bottom]
            outfit = Outfit(
                top=before.top,
                second=before.second,
                pattern=before.pattern,
                long_sleeves=before.long_sleeves,
                bottom=different[int(rng.integers(len(different)))],
                trousers=not before.trousers,
                shoes=outfit.shoes,
                backpack=None,
                hair=outfit.hair,
            )
        key = (outfit.top, outfit.second, outfit.pattern, outfit.bottom)
        if key not in taken:
            taken.add(key)
            outfits.append(outfit)
    return outfits


def find_regions(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> Regions:
    """Segment garments and bare skin of a person in a light shirt and shorts.

    Args:
        image: (H, W, 3) uint8, BGR, the studio picture.
        alpha: (H, W) float32 in 0..1, mask of the person.
    """
    body = alpha > 0.5
    rows = np.flatnonzero(body.any(axis=1))
    top, height = rows[0], rows[-1] - rows[0]
    share = ((np.arange(len(body)) - top) / height).astype(np.float32)[:, None]  # 0 head .. 1 sole
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB), np.float32)
    lightness, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])

    bright = (lightness > 52) & (chroma < 14)
    shirt_band = (share > 0.12) & (share < 0.58)
    hem = top + height * _hem_share(lab, body, share)
    below_hem = np.arange(len(body))[:, None] >= hem
    shirt = _clean(body & bright & shirt_band & ~below_hem, 5)
    skin = (chroma > 13) & (lab[..., 1] > 2.5)
    shorts = _clean(body & ~skin & below_hem & (share < 0.72), 9)
    hanging = _clean(body & ~shirt & ~shorts & (share > 0.21) & (share < 0.565), 3)
    arms_and_hands = _reaching(hanging, int(top + 0.44 * height))
    # fingers reach lower; only columns below the hand count, so that bare thighs remain legs
    hand_columns = (arms_and_hands & (share > 0.52)).any(axis=0)
    arms_and_hands |= body & ~shirt & ~shorts & (share >= 0.55) & (share < 0.605) & hand_columns
    wrist = share > 0.465
    # pixels of medium brightness at the border of cloth and skin or wall belong to the shirt
    shirt = (
        (cv2.dilate(shirt.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)
        & body
        & ~below_hem
        & ((lightness > 45) | shirt)
    )
    arms, hands = arms_and_hands & ~wrist, arms_and_hands & wrist
    # in side views, toes and the far foot extend beyond the ankle
    ankles = (
        cv2.dilate(body[int(top + 0.905 * height)].astype(np.uint8)[None, :], np.ones((1, 5), np.uint8))[0] > 0
    )
    feet = body & ((share > 0.95) | ((share > 0.915) & ~ankles))
    legs = body & ~shorts & ~arms_and_hands & ~feet & (share > 0.52)
    hair = body & ~shirt & ~arms_and_hands & (share < 0.4) & ((lightness < 24) | (chroma < 7))

    def soft(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.2), np.float32)

    return Regions(*(soft(mask) for mask in (shirt, shorts, arms, hands, legs, feet, hair)))


def _hem_share(lab: NDArray[np.float32], body: NDArray[np.bool_], share: NDArray[np.float32]) -> float:
    """Return the height of the shirt's hem as a share of body height: the strongest horizontal edge or fold near the
    middle of the body."""
    columns = np.flatnonzero(body[np.argmin(np.abs(share - 0.4))])
    middle = slice(int(np.quantile(columns, 0.35)), int(np.quantile(columns, 0.65)) + 1)
    profile = np.median(lab[:, middle], axis=1)
    profile = np.asarray(cv2.GaussianBlur(profile, (1, 0), sigmaX=1, sigmaY=1.5), np.float32)
    candidates = np.flatnonzero((share[:, 0] > 0.46) & (share[:, 0] < 0.54))
    step = np.array([np.linalg.norm(profile[r + 6] - profile[r - 6]) for r in candidates])
    fold = np.array([(profile[r - 8, 0] + profile[r + 8, 0]) / 2 - profile[r, 0] for r in candidates])
    return float(share[candidates[int(np.argmax(step + 1.5 * fold))], 0])


def _clean(mask: NDArray[np.bool_], size_px: int) -> NDArray[np.bool_]:
    kernel = np.ones((size_px, size_px), np.uint8)
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    cleaned: NDArray[np.bool_] = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return cleaned


def _reaching(mask: NDArray[np.bool_], row: int) -> NDArray[np.bool_]:
    """Return the components of `mask` that reach down to `row`, which an arm does but long hair does not."""
    _, components = cv2.connectedComponents(mask.astype(np.uint8))
    reaching = np.unique(components[row])
    return np.isin(components, reaching[reaching > 0])


def shading(lightness: NDArray[np.float32], region: NDArray[np.float32], contrast: float) -> NDArray[np.float32]:
    """Return the brightness of a garment relative to its bright parts, (H, W) float32, about 0.3..1.15."""
    inside = lightness[region > 0.5]
    if len(inside) == 0:
        return np.ones_like(lightness)
    reference = max(float(np.quantile(inside, 0.8)), 1e-3)
    relative: NDArray[np.float32] = np.clip(lightness / reference, 0.12, 1.2) ** contrast
    return relative


def shirt_paint(outfit: Outfit, share: NDArray[np.float32], across: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the linear-light BGR colours of the shirt's cloth.

    Args:
        outfit: colours and pattern.
        share: (H, 1) vertical position on the body, 0 at the top of the head, 1 at the sole.
        across: (1, W) horizontal position as a share of body height, 0 in the middle.

    Returns:
        (H, W, 3) float32.
    """
    shape = (share.shape[0], across.shape[1])
    zeros = np.zeros(shape, bool)
    second = {
        "plain": zeros,
        "hoops": zeros | ((share / 0.052) % 1 < 0.42),
        "pinstripes": zeros | ((across / 0.040) % 1 < 0.3),
        "checks": ((share / 0.06) % 1 < 0.5) ^ ((across / 0.06) % 1 < 0.5),
        "block": zeros | (share > 0.34),
        "band": zeros | ((share > 0.25) & (share < 0.315)),
    }[outfit.pattern]
    paint: NDArray[np.float32] = np.where(
        second[..., None], linear_bgr(outfit.second), linear_bgr(outfit.top)
    ).astype(np.float32)
    return paint


def linear_bgr(colour: Rgb) -> NDArray[np.float32]:
    """Convert sRGB 0..255 to linear-light BGR 0..1, (3,) float32 (gamma 2.2)."""
    return np.asarray((np.array(colour[::-1], np.float32) / 255) ** np.float32(2.2), np.float32)


def mix(image: NDArray[np.float32], paint: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blend `paint` over `image` (H, W, 3) by `mask` (H, W), 1 where the paint covers."""
    mixed: NDArray[np.float32] = image + mask[..., None] * (paint - image)
    return mixed
