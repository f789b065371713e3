"""Textures of people: those of the avatars, with hair, skin and clothes in the colours of a look."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reid_crops.avatars import Avatar
from demo.reid_crops.colours import Rgb, linear
from demo.reid_crops.looks import Look
from demo.reid_crops.parts import Part
from demo.reid_crops.rasteriser import Floats
from demo.reid_crops.skeleton import SIDES, joint

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
PRINT_PX = 64
WORDS = ("NYC", "LOVE", "23", "SPORT", "87", "ROCK", "A", "UNI", "07", "X", "BOSS", "10", "RUN", "K", "MILK")


def paint(avatar: Avatar, look: Look) -> NDArray[np.uint8]:
    """Paint the texture (S, S, 3) uint8 RGB of a person."""
    own = (avatar.texture.astype(np.float32) / 255) ** np.float32(2.2)
    luma = own @ LUMA
    part = avatar.texel_part.copy()
    place = avatar.texel_position
    _change_lengths(part, avatar, look)
    second = pattern_mask(avatar, look)
    skin = np.array([_median(own[..., c][avatar.texel_part == Part.SKIN]) for c in range(3)], np.float32)
    painted = own * np.array(look.skin, np.float32)
    was_skin = np.isin(avatar.texel_part, (Part.SKIN, Part.FACE))
    bared = (part == Part.SKIN) & ~was_skin
    painted[bared] = (0.85 * skin + 0.15 * skin.mean()) * np.array(look.skin, np.float32)

    top = part == Part.TOP
    ratio = _shading(luma, avatar.texel_part == Part.TOP, look.cloth)
    ratio[avatar.texel_part != Part.TOP] = 1
    colour = np.where(second[..., None], linear(look.second), linear(look.top))
    painted[top] = (colour * ratio[..., None])[top]
    bottom = part == Part.BOTTOM
    ratio = _shading(luma, avatar.texel_part == Part.BOTTOM, max(look.cloth, 0.5))
    ratio[avatar.texel_part != Part.BOTTOM] = 1
    worn = look.top if look.skirt and look.coat and look.trousers < 1 else look.bottom
    painted[bottom] = (linear(worn) * ratio[..., None])[bottom]
    shoes = part == Part.SHOES
    ratio = _shading(luma, shoes, 0.8)
    painted[shoes] = (linear(look.shoes) * ratio[..., None])[shoes]
    hair = part == Part.HAIR
    worn_hair = linear(look.hair if look.hat != "beanie" else look.hat_colour)
    painted[hair] = (worn_hair * _shading(luma, hair, 0.8)[..., None])[hair]
    if look.wig is not None:  # the scalp is visible between the strands
        scalp = (part == Part.SKIN) & (place[..., 1] > avatar.joints[joint("Head"), 1] + 0.1)
        painted[scalp] = worn_hair
    _paint_face(painted, avatar, look)
    _paint_straps(painted, top, avatar, look)
    return np.asarray(np.clip(painted, 0, 1) ** np.float32(1 / 2.2) * 255, np.uint8)


def paint_wig(texture: NDArray[np.uint8], colour: Rgb) -> NDArray[np.uint8]:
    """Paint the texture of a hair mesh in another colour, (S, S, 3) uint8 RGB."""
    luma = (texture.astype(np.float32) / 255) ** np.float32(2.2) @ LUMA
    shaded = linear(colour) * _shading(luma, luma >= 0, 0.8)[..., None]
    return np.asarray(np.clip(shaded, 0, 1) ** np.float32(1 / 2.2) * 255, np.uint8)


def pattern_mask(avatar: Avatar, look: Look) -> NDArray[np.bool_]:
    """Return (S, S), where the top has its second colour."""
    place, chest = avatar.texel_position, avatar.joints[joint("Spine2"), 1]
    x, y, z = place[..., 0], place[..., 1], place[..., 2]
    on_arm = np.isin(avatar.texel_joint, [joint(s + p) for s in SIDES for p in ("Arm", "ForeArm")])
    along = np.where(on_arm, np.abs(x) * 1.0, y)
    across = np.where(on_arm, y + z, x + 0.6 * z)
    rng = np.random.default_rng(look.print_seed)
    pitch = float(rng.uniform(0.028, 0.1))
    wide = float(rng.uniform(0.3, 0.6))
    match look.pattern:
        case "plain":
            return np.zeros(x.shape, bool)
        case "hoops":
            return np.asarray((along / pitch) % 1 < wide)
        case "pinstripes":
            return np.asarray((across / (0.6 * pitch)) % 1 < 0.3)
        case "checks":
            lines = ((along / pitch) % 1 < wide).astype(int) + ((across / pitch) % 1 < wide).astype(int)
            return np.asarray(lines == 1 if rng.random() < 0.5 else lines >= 1)
        case "block":
            return np.asarray((y < chest + float(rng.uniform(-0.1, 0.12))) & ~on_arm)
        case "band":
            low = chest + float(rng.uniform(-0.1, 0.1))
            return np.asarray((y > low) & (y < low + float(rng.uniform(0.05, 0.14))) & ~on_arm)
        case "yoke":
            return np.asarray(on_arm if rng.random() < 0.5 else (y > chest + 0.12))
        case "open":  # an open jacket over a shirt
            return np.asarray((np.abs(x) < float(rng.uniform(0.03, 0.075))) & (z > 0.0) & ~on_arm)
        case "flowers":
            grain = cv2.GaussianBlur(
                rng.normal(size=(96, 96)).astype(np.float32), (0, 0), float(rng.uniform(1, 3))
            )
            rows, columns = (along * 130).astype(int) % 96, (across * 130).astype(int) % 96
            return np.asarray(grain[rows, columns] > grain.std() * 0.4)
        case _:
            return _print(rng, x, y, z, chest) & ~on_arm


def _print(rng: np.random.Generator, x: Floats, y: Floats, z: Floats, chest: float) -> NDArray[np.bool_]:
    """Return the mask of a picture or word on the chest, and in some cases also on the back."""
    image = np.zeros((PRINT_PX, PRINT_PX), np.uint8)
    if rng.random() < 0.45:
        word = WORDS[int(rng.integers(len(WORDS)))]
        scale = 2.6 / len(word) + 0.25
        cv2.putText(image, word, (2, 44), cv2.FONT_HERSHEY_DUPLEX, scale, 255, 3 if len(word) > 2 else 5)
    else:
        for _ in range(int(rng.integers(1, 5))):
            corners = rng.integers(4, PRINT_PX - 4, (int(rng.integers(3, 6)), 2)).astype(np.int32)
            cv2.fillPoly(image, [corners], 255)
            centre = (int(rng.integers(12, 52)), int(rng.integers(12, 52)))
            cv2.circle(image, centre, int(rng.integers(4, 18)), int(rng.integers(0, 2)) * 255, -1)
    small = rng.random() < 0.25
    size = float(rng.uniform(0.07, 0.1) if small else rng.uniform(0.18, 0.3))
    middle_x = float(rng.choice([-0.08, 0.08])) if small else 0.0
    middle_y = chest + (0.1 if small else float(rng.uniform(-0.06, 0.05)))
    columns = ((x - middle_x) / size + 0.5) * PRINT_PX
    rows = (0.5 - (y - middle_y) / size) * PRINT_PX
    inside = (columns >= 0) & (columns < PRINT_PX) & (rows >= 0) & (rows < PRINT_PX)
    on_front = z > 0.0 if rng.random() < 0.8 else np.ones_like(inside)
    picked = image[np.clip(rows, 0, PRINT_PX - 1).astype(int), np.clip(columns, 0, PRINT_PX - 1).astype(int)]
    return np.asarray(inside & on_front & (picked > 0))


def _change_lengths(part: NDArray[np.uint8], avatar: Avatar, look: Look) -> None:
    """Shorten or lengthen sleeves and trousers, changing `part` in place."""
    x, y = np.abs(avatar.texel_position[..., 0]), avatar.texel_position[..., 1]
    shoulder, wrist = avatar.joints[joint("LeftArm"), 0], avatar.joints[joint("LeftHand"), 0]
    on_arm = np.isin(avatar.texel_joint, [joint(s + p) for s in SIDES for p in ("Arm", "ForeArm", "Hand")])
    on_arm &= x < wrist + 0.005
    end = shoulder + look.sleeves * (wrist - shoulder)
    part[on_arm & (x <= end)] = Part.TOP
    part[on_arm & (x > end)] = Part.SKIN
    hip, ankle = avatar.joints[joint("LeftUpLeg"), 1], avatar.joints[joint("LeftFoot"), 1]
    on_leg = np.isin(avatar.texel_joint, [joint(s + p) for s in SIDES for p in ("UpLeg", "Leg")])
    on_leg &= part != Part.SHOES
    end = hip - look.trousers * (hip - ankle)
    low = on_leg & (y < hip - 0.1)
    part[low & (y >= end)] = Part.BOTTOM
    part[low & (y < end)] = Part.SKIN
    if look.skirt and look.coat and look.trousers < 1:
        part[low & (part == Part.BOTTOM)] = Part.TOP


def _paint_face(painted: Floats, avatar: Avatar, look: Look) -> None:
    """Paint glasses and a mask, changing `painted` in place."""
    on_head = avatar.texel_joint == joint("Head")
    from_head = avatar.texel_position - avatar.joints[joint("Head")]
    x, up, before = np.abs(from_head[..., 0]), from_head[..., 1], from_head[..., 2]
    face = on_head & (before > 0.03)
    if look.mask is not None:
        painted[face & (up < 0.035) & (up > -0.06) & (x < 0.065)] = linear(look.mask)
    if look.glasses:
        rim = (np.abs(up - 0.06) < 0.016) & (x < 0.06) & (x > 0.008)
        painted[face & rim] *= 0.25


def _paint_straps(painted: Floats, top: NDArray[np.bool_], avatar: Avatar, look: Look) -> None:
    """Paint the straps of a bag on the top, changing `painted` in place."""
    x, y, z = (avatar.texel_position[..., axis] for axis in range(3))
    shoulder = avatar.joints[joint("LeftArm"), 1]
    hips = avatar.joints[joint("Hips"), 1]
    worn = np.isin(avatar.texel_joint, [joint(n) for n in ("Spine", "Spine1", "Spine2", "Hips")])
    worn |= np.isin(avatar.texel_joint, [joint(side + "Shoulder") for side in SIDES])
    strap = np.zeros(top.shape, bool)
    if look.bag == "backpack":
        strap = (np.abs(np.abs(x) - 0.1) < 0.022) & (y > shoulder - 0.3) & (z > -0.06)
    elif look.bag == "shoulder bag":
        strap = np.abs(x * look.bag_side - 0.13) < 0.016
    elif look.bag == "cross bag":
        share = (shoulder + 0.02 - y) / (shoulder - hips)
        strap = np.abs(x * look.bag_side - (-0.11 + 0.28 * share)) < 0.02
    painted[strap & worn & (y > hips)] = linear(look.bag_colour)


def _shading(luma: Floats, region: NDArray[np.bool_], kept: float) -> Floats:
    """Return the brightness relative to the median of the region, (S, S). The exponent `kept`, 0..1, reduces its
    contrast, so that prints on the cloth fade."""
    if not region.any():
        return np.ones_like(luma)
    middle = max(_median(luma[region]), 0.004)
    ratio = np.clip((luma + 0.01) / (middle + 0.01), 0.15, 1.7)
    return np.asarray(ratio**kept, np.float32)


def _median(values: Floats) -> float:
    return float(np.median(values)) if values.size else 0.2
