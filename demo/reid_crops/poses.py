"""Poses of standing and walking bodies: a rotation for every joint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from demo.reid_crops.rasteriser import Floats
from demo.reid_crops.skeleton import JOINTS, SIDES

ArmPose = Literal["swing", "pocket", "phone", "ear", "strap", "crossed", "carry", "hang", "behind", "hip"]


@dataclass(frozen=True)
class Pose:
    """Angles in radians.

    Attributes:
        phase: phase of the walk, 0..2 pi; the left leg is foremost at pi / 2.
        stride: amplitude of the thighs; 0 when standing.
        swing: amplitude of the arms.
        arms: poses of left and right arm.
        lean: of the trunk, forwards.
        twist: of the shoulders relative to the hips.
        nod, turn, tilt: of the head: down, to the left, to the shoulder.
        jitter: (6,) small random numbers, about -1..1, that vary the arms.
    """

    phase: float
    stride: float
    swing: float
    arms: tuple[ArmPose, ArmPose]
    lean: float
    twist: float
    nod: float
    turn: float
    tilt: float
    jitter: tuple[float, ...]


def draw_pose(
    rng: np.random.Generator, arms: tuple[ArmPose, ArmPose] | None, walks: bool, gait: tuple[float, float] = (1, 1)
) -> Pose:
    """Draw a pose at a random moment of standing or walking.

    Args:
        rng: random generator.
        arms: poses of the arms, if a bag requires them; None to draw them.
        walks: whether the person walks.
        gait: factors on stride and arm swing.
    """
    if arms is None:
        arms = _draw_arms(rng, walks)
    reads = "phone" in arms
    return Pose(
        phase=float(rng.uniform(0, 2 * np.pi)),
        stride=gait[0] * float(rng.uniform(0.28, 0.62)) if walks else float(rng.uniform(0, 0.09)),
        swing=gait[1] * float(rng.uniform(0.1, 0.6)) if walks else float(rng.uniform(0, 0.15)),
        arms=arms,
        lean=float(rng.normal(0.06, 0.06)),
        twist=float(rng.normal(0, 0.12)),
        nod=float(rng.normal(0.45 if reads else 0.12, 0.14)),
        turn=float(rng.normal(0, 0.28)),
        tilt=float(rng.normal(0, 0.06)),
        jitter=tuple(float(v) for v in np.clip(rng.normal(0, 0.6, 6), -1.5, 1.5)),
    )


def _draw_arms(rng: np.random.Generator, walks: bool) -> tuple[ArmPose, ArmPose]:
    both: ArmPose
    draw = rng.random()
    if draw < (0.62 if walks else 0.36):
        return ("swing", "swing")
    if draw < 0.72:
        return ("pocket", "pocket")
    if draw < 0.76 and not walks:
        return ("crossed", "crossed")
    if draw < 0.8:
        both = "phone" if rng.random() < 0.7 else "behind"
        return (both, both)
    single: tuple[ArmPose, ...] = ("pocket", "phone", "phone", "ear", "strap", "hip", "carry")
    one: ArmPose = single[int(rng.integers(len(single)))]
    return (one, "swing") if rng.random() < 0.5 else ("swing", one)


def rotations(pose: Pose) -> Floats:
    """Return the rotation of each joint relative to its parent, (J, 3, 3) float32, in the axes of the T-pose."""
    turn: dict[str, Floats] = {name: np.eye(3) for name in JOINTS}
    turn["Hips"] = _y(0.12 * pose.stride * np.sin(pose.phase)) @ _z(0.05 * pose.stride * np.cos(pose.phase))
    turn["Spine"] = _x(pose.lean * 0.5) @ _y(-0.1 * pose.stride * np.sin(pose.phase))
    turn["Spine1"] = _x(pose.lean * 0.5) @ _y(pose.twist * 0.5)
    turn["Spine2"] = _y(pose.twist * 0.5 - 0.25 * pose.stride * np.sin(pose.phase))
    turn["Neck"] = _x(pose.nod * 0.4) @ _y(pose.turn * 0.4)
    turn["Head"] = _x(pose.nod * 0.6 - pose.lean * 0.5) @ _y(pose.turn * 0.6) @ _z(pose.tilt)
    for side, sign, arm in zip(SIDES, (1.0, -1.0), pose.arms, strict=True):
        phase = pose.phase + (0 if sign > 0 else np.pi)
        thigh = pose.stride * np.sin(phase) + 0.05 * pose.stride
        lifted = max(0.0, float(np.cos(phase - 0.25)))
        knee = 0.06 + pose.stride * (0.18 + 1.7 * lifted**1.5)
        turn[side + "UpLeg"] = _z(sign * 0.02) @ _y(sign * 0.08) @ _x(-thigh - 0.3 * pose.stride * lifted)
        turn[side + "Leg"] = _x(knee)
        toe_off = max(0.0, float(-np.sin(phase))) * pose.stride
        turn[side + "Foot"] = _x(thigh * 0.5 - 0.5 * knee + 1.0 * toe_off * lifted)
        turn[side + "ToeBase"] = _x(-0.5 * toe_off)
        a, b, c = pose.jitter[:3] if sign > 0 else pose.jitter[3:]
        swing = -pose.swing * float(np.sin(phase))
        down, forward, bend, inward = _arm_angles(arm, swing, (a, b, c))
        turn[side + "Shoulder"] = _z(-sign * 0.08)
        turn[side + "Arm"] = _x(-forward) @ _z(-sign * down) @ _x(inward)
        turn[side + "ForeArm"] = _y(-sign * bend)
        turn[side + "Hand"] = _x(0.3 + 0.2 * a)
        turn[side + "FingerBase"] = _z(-sign * (0.5 + 0.3 * c))
    return np.stack([turn[name] for name in JOINTS]).astype(np.float32)


def _arm_angles(arm: ArmPose, swing: float, jitter: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Return the angles of an arm: down, forward, bend of the elbow, turn inward."""
    a, b, c = jitter
    match arm:
        case "swing":
            return 1.36 + 0.05 * a, swing - 0.02, 0.28 + 0.14 * b + max(0.0, swing) * 0.5, 0.1 + 0.1 * c
        case "hang":
            return 1.38 + 0.03 * a, 0.3 * swing, 0.12 + 0.05 * b, 0.1
        case "pocket":
            return 1.12 + 0.04 * a, -0.25 + 0.05 * b, 0.75 + 0.1 * c, 0.35
        case "phone":
            return 1.3 + 0.05 * a, 0.35 + 0.15 * b, 1.65 + 0.25 * c, 0.4 + 0.15 * a
        case "ear":
            return 1.0 + 0.15 * a, 0.45 + 0.2 * b, 2.35 + 0.1 * c, -0.1
        case "strap":
            return 1.3 + 0.05 * a, 0.1 + 0.1 * b, 2.1 + 0.15 * c, 0.35
        case "crossed":
            return 1.25, 0.35 + 0.05 * b, 1.65 + 0.1 * c, 1.05
        case "carry":
            return 1.3, 0.15 + 0.1 * b, 1.35 + 0.15 * c, 0.3
        case "behind":
            return 1.2, -0.45 + 0.05 * b, 0.55, 1.3
        case "hip":
            return 0.95 + 0.05 * a, -0.2, 1.5, 0.9


def _x(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)


def _y(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def _z(angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
