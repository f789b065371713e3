"""Segment an avatar's texture into parts of the dressed body, by colour and position of the texels."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reid_crops.rasteriser import Floats
from demo.reid_crops.skeleton import SIDES, joint

LIGHTNESS_WEIGHT = 0.35  # shading changes lightness more than a and b of Lab
SKIN_DISTANCE = 13.0
GARMENTS_DIFFER = 11.0  # tops and bottoms with closer colours are distinguished only by height


class Part(IntEnum):
    """The part of the body that a texel shows."""

    SKIN = 0
    FACE = 1  # eyes, brows, lips; never recoloured
    HAIR = 2
    TOP = 3
    BOTTOM = 4
    SHOES = 5


def find_parts(
    texture: NDArray[np.uint8], place: Floats, moved_by: NDArray[np.uint8], joints: Floats
) -> NDArray[np.uint8]:
    """Return a `Part` for each texel.

    Args:
        texture: (S, S, 3) uint8 RGB.
        place: (S, S, 3) position of the surface in the T-pose, metres, y up.
        moved_by: (S, S) the joint that moves it most.
        joints: (J, 3) in the T-pose.

    Returns:
        (S, S) uint8.
    """
    lab = np.asarray(cv2.cvtColor(texture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    lab[..., 0] *= LIGHTNESS_WEIGHT
    x, y, z = np.abs(place[..., 0]), place[..., 1], place[..., 2]
    head, hips = joints[joint("Head")], joints[joint("Hips")]
    above, before = y - head[1], z - head[2]

    def moved(*names: str) -> NDArray[np.bool_]:
        return np.isin(moved_by, [joint(name) for name in names])

    on_head = moved("Head", "Neck")
    cheeks = on_head & (x < 0.06) & (above > -0.01) & (above < 0.06) & (before > 0.05)
    skin_colour = _median(lab, cheeks)
    skin_like = _distance(lab, skin_colour) < SKIN_DISTANCE
    parts = np.full(moved_by.shape, Part.TOP, np.uint8)

    feet = moved(*(side + part for side in SIDES for part in ("Foot", "ToeBase")))
    legs = moved(*(side + part for side in SIDES for part in ("UpLeg", "Leg")))
    arms = moved(*(side + part for side in SIDES for part in ("Arm", "ForeArm")))
    hands = moved(*(side + part for side in SIDES for part in ("Hand", "FingerBase")))
    trunk = ~(on_head | feet | legs | arms | hands)

    chest = trunk & (y > hips[1] + 0.12) & (y < joints[joint("LeftArm"), 1] - 0.08) & ~skin_like
    top_colour = _median(lab, chest)
    knee = float(joints[joint("LeftLeg"), 1])
    shins = legs & (y < knee - 0.03) & (y > 0.25) & ~skin_like
    thighs = legs & (y < hips[1] - 0.1) & (y > knee + 0.05) & ~skin_like
    lower = shins if shins.sum() > 0.5 * (legs & (y < knee - 0.03) & (y > 0.25)).sum() else thighs
    bottom_colour = _median(lab, lower) if lower.any() else top_colour
    if np.linalg.norm(top_colour - bottom_colour) > GARMENTS_DIFFER:
        is_bottom = _distance(lab, bottom_colour) < _distance(lab, top_colour)
        # far from where garments meet, height decides
        is_bottom = np.where(y > hips[1] + 0.17, False, is_bottom)
        is_bottom = np.where(y < knee - 0.12, True, is_bottom)
    else:
        is_bottom = y < hips[1] - 0.02
    parts[(trunk | legs) & is_bottom] = Part.BOTTOM
    upper_thigh = legs & (y > hips[1] - 0.2)
    # if the upper thighs have the colour of skin, the trousers do: legs are never bare up to the hips
    covered = skin_like[upper_thigh].mean() > 0.5
    bare = (trunk | arms | (legs & ~covered)) & skin_like
    own_garment = np.where(parts == Part.BOTTOM, _distance(lab, bottom_colour), _distance(lab, top_colour))
    parts[bare & (_distance(lab, skin_colour) < own_garment)] = Part.SKIN
    parts[hands] = Part.SKIN

    parts[feet] = Part.SHOES
    parts[feet & skin_like & (y > 0.045)] = Part.SKIN
    shoe_colour = _median(lab, feet & (y < 0.06))
    low = legs & (y < 0.34)
    parts[low & (_distance(lab, shoe_colour) + 4 < _distance(lab, bottom_colour)) & (parts != Part.SKIN)] = (
        Part.SHOES
    )

    face = on_head & (x < 0.062) & (before > 0.035) & (above < 0.095) & (above > -0.07)
    parts[on_head] = Part.SKIN
    hairy = on_head & ~skin_like & (above > -0.05)
    parts[hairy & (_distance(lab, skin_colour) > SKIN_DISTANCE * 1.15)] = Part.HAIR
    parts[face & (parts == Part.HAIR)] = Part.FACE
    parts[on_head & (above < -0.055) & ~skin_like] = Part.TOP
    smooth = np.asarray(cv2.medianBlur(parts, 5), np.uint8)
    # smooth the border of top and bottom, which belts and folds make ragged
    is_top = (parts == Part.TOP).astype(np.float32)
    clothed = np.isin(parts, (Part.TOP, Part.BOTTOM)).astype(np.float32)
    share = cv2.GaussianBlur(is_top, (0, 0), 5) / (cv2.GaussianBlur(clothed, (0, 0), 5) + 1e-6)
    garments = np.isin(smooth, (Part.TOP, Part.BOTTOM))
    smooth[garments] = np.where(share[garments] > 0.5, Part.TOP, Part.BOTTOM)
    return smooth


def _median(lab: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Return the median colour (3,) of the texels; grey if there are none."""
    if not mask.any():
        return np.array([50 * LIGHTNESS_WEIGHT, 0, 0], np.float32)
    return np.asarray(np.median(lab[mask], axis=0), np.float32)


def _distance(lab: Floats, colour: Floats) -> Floats:
    return np.asarray(np.linalg.norm(lab - colour, axis=-1), np.float32)
