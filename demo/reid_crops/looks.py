"""Looks of rendered people: body, hair, clothes and bags; and groups of people who look alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from demo.reid_crops.colours import ANY, BAGS, BOTTOMS, HAIR, SHOES, TOPS, Rgb, Shade, draw_colour, nearby

Name = TypeVar("Name", bound=str)
Pattern = Literal["plain", "hoops", "pinstripes", "checks", "block", "band", "print", "flowers", "open", "yoke"]
Bag = Literal["none", "backpack", "shoulder bag", "cross bag", "handbag", "tote", "box", "suitcase", "umbrella"]
Hat = Literal["none", "cap", "beanie", "brim", "hood", "helmet"]

PATTERN_SHARES: dict[Pattern, float] = {
    "plain": 0.5,
    "print": 0.14,
    "hoops": 0.07,
    "pinstripes": 0.04,
    "checks": 0.08,
    "block": 0.04,
    "band": 0.03,
    "flowers": 0.04,
    "open": 0.04,
    "yoke": 0.02,
}
BAG_SHARES: dict[Bag, float] = {
    "none": 0.42,
    "backpack": 0.22,
    "shoulder bag": 0.1,
    "cross bag": 0.07,
    "handbag": 0.08,
    "tote": 0.05,
    "box": 0.02,
    "suitcase": 0.02,
    "umbrella": 0.02,
}
HAT_SHARES: dict[Hat, float] = {
    "none": 0.8,
    "cap": 0.09,
    "beanie": 0.04,
    "brim": 0.02,
    "hood": 0.04,
    "helmet": 0.01,
}
LONG_HAIR_SHARE = {True: 0.66, False: 0.07}  # share of women and of men with a hair mesh over the painted hair
BALD_SHARE = {True: 0.0, False: 0.35}  # among people whose avatar has no painted hair
ALIKE_SHARE = 0.3  # share of people with at least one look-alike
GROUP_SIZES = (2, 3, 4)


@dataclass(frozen=True)
class Look:
    """The look of one person; lengths in metres, colours sRGB.

    Attributes:
        avatar, wig: numbers of the avatar for the body and of the avatar for the hair mesh; None for painted hair.
        height: body height with shoes.
        legs: factor on leg length relative to the trunk.
        girth, belly, limbs, shoulders: factors on width and depth of the trunk, belly, width of arms and legs, and
            breadth of the shoulders.
        head: factor on the size of the head.
        hair, skin: colour of the hair; factors on the linear RGB of the skin.
        top, second: colours of the upper garment; `second` is for the pattern.
        pattern, print_seed: pattern of the upper garment and its random seed.
        sleeves: covered share of the arm: 0.3 is a T-shirt, 1 long sleeves.
        loose_top, loose_bottom: distance of the cloth from the body.
        bottom, trousers: colour of the trousers and covered share of the leg; below 0.62 for shorts.
        skirt: length of a skirt, dress or coat below the waist, 0 for none; its colour is `bottom` or `top`.
        coat: whether the skirt belongs to the top.
        cloth: how much of the texture's own pattern is kept, 0..1.
        shoes: colour of the shoes.
        bag, bag_colour, bag_size, bag_side: the bag that is carried; side 1 is the left.
        hat, hat_colour: the hat.
        mask, glasses: colour of a face mask, or None; whether the person wears glasses.
        gait: (2,) factors on stride and arm swing.
    """

    avatar: int
    wig: int | None
    height: float
    legs: float
    girth: float
    belly: float
    limbs: float
    shoulders: float
    head: float
    hair: Rgb
    skin: tuple[float, float, float]
    top: Rgb
    second: Rgb
    pattern: Pattern
    print_seed: int
    sleeves: float
    loose_top: float
    loose_bottom: float
    bottom: Rgb
    trousers: float
    skirt: float
    coat: bool
    cloth: float
    shoes: Rgb
    bag: Bag
    bag_colour: Rgb
    bag_size: float
    bag_side: int
    hat: Hat
    hat_colour: Rgb
    mask: Rgb | None
    glasses: bool
    gait: tuple[float, float]


@dataclass(frozen=True)
class Wardrobe:
    """The avatars for drawing looks: whether each is a woman, and whether it has a hair mesh."""

    is_woman: tuple[bool, ...]
    has_wig: tuple[bool, ...]

    def draw_wig(self, rng: np.random.Generator, avatar: int) -> int | None:
        """Draw a hair mesh for an avatar, or None; rarely None for avatars without painted hair."""
        woman, wigs = self.is_woman[avatar], self.with_wigs()
        if self.has_wig[avatar]:
            if rng.random() < BALD_SHARE[woman]:
                return None
            return int(rng.choice(wigs)) if woman else avatar
        return int(rng.choice(wigs)) if wigs and rng.random() < LONG_HAIR_SHARE[woman] else None

    def with_wigs(self) -> tuple[int, ...]:
        """Return the numbers of the avatars with a hair mesh."""
        return tuple(number for number, has in enumerate(self.has_wig) if has)


def draw_look(rng: np.random.Generator, wardrobe: Wardrobe) -> Look:
    """Draw the look of any person."""
    avatar = int(rng.integers(len(wardrobe.is_woman)))
    woman = wardrobe.is_woman[avatar]
    wig = wardrobe.draw_wig(rng, avatar)
    season = rng.random()  # 0 is summer, 1 is winter
    warm = season > 0.5
    top = draw_colour(rng, TOPS)
    pattern = _choice(rng, PATTERN_SHARES)
    skirt, coat = 0.0, False
    if woman and rng.random() < 0.22:
        skirt = float(rng.uniform(0.32, 0.75))
        coat = bool(rng.random() < 0.45)
    elif warm and rng.random() < 0.3:
        skirt, coat = float(rng.uniform(0.2, 0.55)), True
    bare_legs = (not warm and rng.random() < 0.45) or (skirt > 0 and not warm)
    light = float(rng.uniform(0.82, 1.15))
    bag = _choice(rng, BAG_SHARES)
    return Look(
        avatar=avatar,
        wig=wig,
        height=float(np.clip(rng.normal(1.64 if woman else 1.76, 0.07), 1.45, 1.98)),
        legs=float(rng.normal(1, 0.025)),
        girth=float(np.clip(rng.normal(1.02, 0.075), 0.88, 1.26)),
        belly=float(np.clip(rng.exponential(0.2), 0, 0.9)),
        limbs=float(np.clip(rng.normal(1.02, 0.08), 0.86, 1.25)),
        shoulders=float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.12)),
        head=float(rng.normal(1.07, 0.03)),
        hair=draw_colour(rng, HAIR),
        skin=(light, light * float(rng.uniform(0.96, 1.03)), light * float(rng.uniform(0.92, 1.04))),
        top=top,
        second=_contrasting(rng, top),
        pattern=pattern,
        print_seed=int(rng.integers(1 << 30)),
        sleeves=1.0 if warm or rng.random() < 0.15 else float(rng.choice([0.05, 0.24, 0.3, 0.36, 0.42, 0.6])),
        loose_top=float(rng.uniform(0.0, 0.014)) + (float(rng.uniform(0.0, 0.018)) if warm else 0.0),
        loose_bottom=float(rng.uniform(0.0, 0.014)),
        bottom=draw_colour(rng, BOTTOMS),
        trousers=float(rng.uniform(0.3, 0.62)) if bare_legs else 1.0,
        skirt=skirt,
        coat=coat,
        cloth=0.35 if rng.random() < 0.85 else 1.0,
        shoes=draw_colour(rng, SHOES),
        bag=bag,
        bag_colour=draw_colour(rng, BAGS),
        bag_size=float(rng.uniform(0.8, 1.25)),
        bag_side=1 if rng.random() < 0.5 else -1,
        hat=_choice(rng, HAT_SHARES) if not (wig is not None and rng.random() < 0.5) else "none",
        hat_colour=draw_colour(rng, BAGS),
        mask=_draw_mask(rng),
        glasses=bool(rng.random() < 0.2),
        gait=(float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.7, 1.3))),
    )


def look_alike(rng: np.random.Generator, look: Look, wardrobe: Wardrobe) -> Look:
    """Draw a person who differs from `look` in one to three things and has a slightly different body."""
    changed = replace(
        look,
        height=float(np.clip(look.height + rng.normal(0, 0.05), 1.45, 1.98)),
        girth=float(np.clip(look.girth + rng.normal(0, 0.06), 0.88, 1.35)),
        belly=float(np.clip(look.belly + rng.normal(0, 0.15), 0, 1)),
        gait=(float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.7, 1.3))),
    )
    same = [n for n, woman in enumerate(wardrobe.is_woman) if woman == wardrobe.is_woman[look.avatar]]
    things = ["shoes", "bag", "print", "top shade", "bottom shade", "hair", "body", "trousers", "sleeves", "hat"]
    for thing in rng.choice(things, size=int(rng.integers(1, 4)), replace=False):
        match thing:
            case "shoes":
                changed = replace(changed, shoes=_other(rng, look.shoes, SHOES))
            case "bag":
                others = {bag: share for bag, share in BAG_SHARES.items() if bag != look.bag}
                changed = replace(changed, bag=_choice(rng, others), bag_colour=draw_colour(rng, BAGS))
            case "print":
                pattern: Pattern = "print" if look.pattern == "plain" else look.pattern
                second = _contrasting(rng, look.top)
                changed = replace(changed, pattern=pattern, second=second, print_seed=int(rng.integers(1 << 30)))
            case "top shade":
                changed = replace(changed, top=nearby(rng, look.top, float(rng.uniform(22, 45))))
            case "bottom shade":
                changed = replace(changed, bottom=nearby(rng, look.bottom, float(rng.uniform(22, 45))))
            case "hair":
                hair, wig = _other(rng, look.hair, HAIR), wardrobe.draw_wig(rng, changed.avatar)
                changed = replace(changed, hair=hair, wig=wig)
            case "body":
                avatar = int(rng.choice(same))
                changed = replace(changed, avatar=avatar, wig=wardrobe.draw_wig(rng, avatar))
            case "trousers":
                changed = replace(changed, bottom=_other(rng, look.bottom, BOTTOMS))
            case "sleeves":
                changed = replace(changed, sleeves=0.3 if look.sleeves > 0.5 else 1.0)
            case _:
                hats = {hat: share for hat, share in HAT_SHARES.items() if hat != look.hat}
                changed = replace(changed, hat=_choice(rng, hats), hat_colour=draw_colour(rng, BAGS))
    return changed


def draw_people(seed: int, people: int, wardrobe: Wardrobe) -> list[Look]:
    """Draw `people` looks; a share of ALIKE_SHARE is in groups of look-alikes, which are adjacent in the list."""
    rng = np.random.default_rng([seed, 0x1D])
    looks: list[Look] = []
    while len(looks) < people:
        group = [draw_look(rng, wardrobe)]
        size = float(np.mean(GROUP_SIZES))
        # the share p of people in groups is p = a * size / (a * size + 1 - a), with a groups per draw
        if rng.random() < ALIKE_SHARE / (ALIKE_SHARE + size * (1 - ALIKE_SHARE)):
            wanted = int(rng.choice(GROUP_SIZES))
            while len(group) < wanted:
                other = look_alike(rng, group[0], wardrobe)
                if not any(_differ_in_body_alone(other, look) for look in group):
                    group.append(other)
        looks += group
    return looks[:people]


def _differ_in_body_alone(first: Look, second: Look) -> bool:
    """Return whether two people differ only in height, girth, belly and gait, which a crop hardly shows."""
    return first == replace(second, height=first.height, girth=first.girth, belly=first.belly, gait=first.gait)


def _choice(rng: np.random.Generator, shares: dict[Name, float]) -> Name:
    names, values = list(shares), np.array(list(shares.values()))
    return names[int(rng.choice(len(names), p=values / values.sum()))]


def _contrasting(rng: np.random.Generator, colour: Rgb) -> Rgb:
    while True:
        other = draw_colour(rng, ANY if rng.random() < 0.25 else TOPS)
        if max(abs(a - b) for a, b in zip(colour, other, strict=True)) > 55:
            return other


def _other(rng: np.random.Generator, colour: Rgb, shades: tuple[Shade, ...]) -> Rgb:
    while True:
        other = draw_colour(rng, shades)
        if max(abs(a - b) for a, b in zip(colour, other, strict=True)) > 40:
            return other


def _draw_mask(rng: np.random.Generator) -> Rgb | None:
    if rng.random() > 0.07:
        return None
    return ((215, 222, 228), (150, 190, 215), (30, 30, 32))[int(rng.integers(3))]
