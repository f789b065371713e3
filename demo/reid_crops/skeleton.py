"""The joints of a body, their hierarchy, and skinning."""

from __future__ import annotations

import numpy as np

from demo.reid_crops.rasteriser import Floats

SIDES = ("Left", "Right")
JOINTS: tuple[str, ...] = (
    *("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head"),
    *(side + part for side in SIDES for part in ("Shoulder", "Arm", "ForeArm", "Hand", "FingerBase")),
    *(side + part for side in SIDES for part in ("UpLeg", "Leg", "Foot", "ToeBase")),
)
PARENTS: dict[str, str] = {
    "Spine": "Hips",
    "Spine1": "Spine",
    "Spine2": "Spine1",
    "Neck": "Spine2",
    "Head": "Neck",
    **{side + "Shoulder": "Spine2" for side in SIDES},
    **{side + "UpLeg": "Hips" for side in SIDES},
    **{
        side + child: side + parent
        for side in SIDES
        for parent, child in (
            ("Shoulder", "Arm"),
            ("Arm", "ForeArm"),
            ("ForeArm", "Hand"),
            ("Hand", "FingerBase"),
            ("UpLeg", "Leg"),
            ("Leg", "Foot"),
            ("Foot", "ToeBase"),
        )
    },
}


def joint(name: str) -> int:
    """Return the index of a joint in JOINTS."""
    return JOINTS.index(name)


def place_joints(rest: Floats, turns: Floats) -> tuple[Floats, Floats]:
    """Compute posed joints from the hips outwards (forward kinematics).

    Args:
        rest: (J, 3) joints in the T-pose.
        turns: (J, 3, 3) rotations relative to the parent.

    Returns:
        Positions (J, 3) and rotations (J, 3, 3) in the axes of the body.
    """
    places, turned = rest.copy(), turns.copy()
    for number, name in enumerate(JOINTS):
        if name in PARENTS:
            parent = JOINTS.index(PARENTS[name])
            turned[number] = turned[parent] @ turns[number]
            places[number] = places[parent] + turned[parent] @ (rest[number] - rest[parent])
    return places, turned


def skinned(points: Floats, weights: Floats, rest: Floats, places: Floats, turned: Floats) -> Floats:
    """Move points (V, 3) of the T-pose with the joints by linear blend skinning with weights (V, J)."""
    offsets = places - np.einsum("jab,jb->ja", turned, rest)
    blended = weights @ np.concatenate([turned.reshape(-1, 9), offsets], axis=1)
    moved = np.einsum("vab,vb->va", blended[:, :9].reshape(-1, 3, 3), points) + blended[:, 9:]
    return np.asarray(moved, np.float32)


def turned_normals(normals: Floats, weights: Floats, turned: Floats) -> Floats:
    """Rotate normals (V, 3) as `skinned` rotates points."""
    blended = (weights @ turned.reshape(-1, 9)).reshape(-1, 3, 3)
    return np.asarray(np.einsum("vab,vb->va", blended, normals), np.float32)
