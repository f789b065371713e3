"""Walking: deform a still sprite of a person into a step.

In side views the legs' pixels are drawn twice, bent at hip and knee in opposite phase, the far leg darker. In front
and back views the legs are split in the middle and shortened alternately. Every row of a leg moves sideways as a
whole, so feet stay flat and the sprite stays sharp.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.people import BODY_PX, CANVAS_WH, FOOT_ROW, SpriteView, View

HIP_SHARE, KNEE_SHARE, ANKLE_SHARE = 0.53, 0.735, 0.945  # vertical positions on the body, 0 head, 1 sole
HIP_SWING_DEG = 21.0
KNEE_FLEX_DEG = 52.0
SWING_LEAD_DEG = 17.0  # the thigh leads while its foot is in the air
ARM_SWING_DEG = 17.0
FAR_LIMB_LIGHT = 0.62  # the limb on the far side of the body is in its shadow
LEG_PX = BODY_PX * (1 - HIP_SHARE)
HIP_ROW = FOOT_ROW - LEG_PX

Image = NDArray[np.float32]


def step_length_m(height_m: float) -> float:
    """Return the length of one step (half a gait cycle) at which the standing foot does not slide."""
    return 2 * height_m * (1 - HIP_SHARE) * math.sin(math.radians(HIP_SWING_DEG))


def walk(sprite: SpriteView, view: View, phase_rad: float, obliqueness: float) -> Image:
    """Deform the sprite into a step.

    Args:
        sprite: one view of a person.
        view: side of the person that it shows.
        phase_rad: phase of the gait cycle (two steps); at 0 one foot passes the other.
        obliqueness: -1..1, sine of the angle between walking direction and the view's own direction. It is positive if
            the person moves to the right in the image. Front and back views swing the legs sideways by it.

    Returns:
        (H, W, 4) float32, linear-light premultiplied BGRA, of CANVAS_WH; the lower foot stands on FOOT_ROW.

    Raises:
        ValueError: a side view has no arm.
    """
    if view in ("left", "right"):
        forward = 1.0 if view == "right" else -1.0
        return _side_walk(sprite, phase_rad, forward)
    return _frontal_walk(sprite, phase_rad, toward_camera=view == "front", obliqueness=obliqueness)


def _side_walk(sprite: SpriteView, phase_rad: float, forward: float) -> Image:
    legs: list[tuple[Image, float]] = []
    for leg_phase, light in ((phase_rad + math.pi, FAR_LIMB_LIGHT), (phase_rad, 1.0)):
        swing = max(0.0, math.cos(leg_phase)) ** 1.5  # 0 while the foot stands, 1 where it passes the other
        thigh = math.radians(HIP_SWING_DEG) * math.sin(leg_phase) + math.radians(SWING_LEAD_DEG) * swing
        flex = math.radians(KNEE_FLEX_DEG) * swing
        flex += math.radians(4.0)
        layer, reach = _bent_leg(sprite.body, sprite.middle_px, thigh, thigh - flex, forward)
        shade = np.array([light, light, light, 1], np.float32)
        legs.append((layer * shade, reach))
    arm_angle = -math.radians(ARM_SWING_DEG) * math.sin(phase_rad)
    body = sprite.body.copy()
    body[round(HIP_ROW) + 1 :] = 0
    if sprite.arm is None:
        raise ValueError("a side view needs its arm")
    far_arm = _swung_arm(sprite.arm, sprite.shoulder_row, -arm_angle, forward)
    far_arm = far_arm * np.array([FAR_LIMB_LIGHT, FAR_LIMB_LIGHT, FAR_LIMB_LIGHT, 1], np.float32)
    near_arm = _swung_arm(sprite.arm, sprite.shoulder_row, arm_angle, forward)
    image = far_arm
    for layer in (legs[0][0], legs[1][0], body, near_arm):
        image = over(layer, image)
    return _moved_down(image, LEG_PX - max(reach for _, reach in legs), 0.0)


def _frontal_walk(sprite: SpriteView, phase_rad: float, toward_camera: bool, obliqueness: float) -> Image:
    columns = np.arange(CANVAS_WH[0], dtype=np.float32)[None, :, None]
    right_half = np.clip(columns - sprite.middle_px + 0.5, 0, 1)
    layers, reaches = [], []
    for side, leg_phase in ((right_half, phase_rad), (1 - right_half, phase_rad + math.pi)):
        ahead = math.sin(leg_phase)
        near = ahead if toward_camera else -ahead
        lift = 0.022 * (1 - near) + 0.055 * max(0.0, math.cos(leg_phase)) ** 1.5
        aside = math.tan(math.radians(HIP_SWING_DEG)) * ahead * obliqueness
        layer, reach = _shortened_leg(sprite.body * side, lift, aside)
        light = 1.0 - 0.12 * (1 - near) / 2
        layers.append((near, layer * np.array([light, light, light, 1], np.float32)))
        reaches.append(reach)
    body = sprite.body.copy()
    body[round(HIP_ROW) + 1 :] = 0
    image = np.zeros_like(body)
    for _, layer in sorted(layers, key=lambda item: item[0]):
        image = over(layer, image)
    image = over(body, image)
    sway = 0.010 * BODY_PX * math.cos(phase_rad)
    return _moved_down(image, LEG_PX - max(reaches), sway)


def over(front: Image, back: Image) -> Image:
    """Composite premultiplied images (H, W, 4) with the Porter-Duff operator `over`."""
    return front + back * (1 - front[..., 3:])


def _bent_leg(
    body: Image, middle_px: float, thigh_rad: float, shank_rad: float, forward: float
) -> tuple[Image, float]:
    """Bend the rows below the hip; return the image and the distance from hip down to sole, in pixels."""
    along = np.arange(0, LEG_PX + 8, 1.0)  # pixels below the hip, on the straight leg
    knee, ankle = (BODY_PX * (share - HIP_SHARE) for share in (KNEE_SHARE, ANKLE_SHARE))
    bend = np.clip((along - knee) / 14 + 0.5, 0, 1)
    angle = thigh_rad * (1 - bend) + shank_rad * bend
    upright = np.clip((along - ankle) / 5, 0, 1)
    angle = angle * (1 - upright)
    aside = forward * np.concatenate([[0], np.cumsum(np.sin(angle))[:-1]])
    down = np.concatenate([[0], np.cumsum(np.cos(angle))[:-1]])
    rows = np.arange(CANVAS_WH[1], dtype=np.float64)
    source_along = np.interp(rows - HIP_ROW, down, along, left=-1, right=along[-1])
    shift = np.interp(source_along, along, aside)
    width = 1 / np.interp(source_along, along, np.cos(angle))  # a row cuts a tilted limb at a greater width
    layer = _remapped(body, source_along + HIP_ROW, shift, width, middle_px)
    layer[: round(HIP_ROW)] = 0
    sole = float(np.interp(LEG_PX, along, down))
    return layer, sole


def _shortened_leg(half_body: Image, lift: float, aside: float) -> tuple[Image, float]:
    """Draw one leg of a frontal view, shortened by the share `lift` and leaning sideways by the slope `aside`."""
    rows = np.arange(CANVAS_WH[1], dtype=np.float64) - HIP_ROW
    reach = LEG_PX * (1 - lift)
    source_along = rows / (1 - lift)
    shift = aside * np.clip(rows, 0, None)
    layer = _remapped(half_body, source_along + HIP_ROW, shift, np.ones_like(rows), 0.0)
    layer[: round(HIP_ROW)] = 0
    return layer, reach


def _swung_arm(arm: Image, shoulder_row: float, angle_rad: float, forward: float) -> Image:
    rows = np.arange(CANVAS_WH[1], dtype=np.float64) - shoulder_row
    elbow = 0.14 * BODY_PX
    slope = math.tan(angle_rad)
    bent = max(0.0, slope) * 0.5 + 0.12  # the forearm swings further forward than the upper arm
    shift = forward * (slope * np.clip(rows, 0, None) + bent * np.clip(rows - elbow, 0, None))
    return _remapped(arm, rows + shoulder_row, shift, np.ones_like(rows), 0.0)


def _remapped(
    image: Image,
    source_rows: NDArray[np.float64],
    shift_px: NDArray[np.float64],
    width: NDArray[np.float64],
    middle_px: float,
) -> Image:
    """Take every output row from `source_rows`, shifted right by `shift_px` and widened about the middle."""
    columns = np.arange(CANVAS_WH[0], dtype=np.float64)[None, :]
    map_x = (columns - shift_px[:, None] - middle_px) / width[:, None] + middle_px
    map_y = np.broadcast_to(source_rows[:, None], map_x.shape)
    remapped = cv2.remap(
        image, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderValue=0
    )
    return np.asarray(remapped, np.float32)


def _moved_down(image: Image, down_px: float, right_px: float) -> Image:
    transform = np.array([[1, 0, right_px], [0, 1, down_px]], np.float64)
    return np.asarray(cv2.warpAffine(image, transform, CANVAS_WH, flags=cv2.INTER_LINEAR), np.float32)
