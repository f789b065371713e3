"""Figures of blocks, as the cache of avatars keeps them: enough to render without anybody's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from demo.reid_crops.avatars import CACHE_VERSION, TEXTURE_PX, WIG_TEXTURE_PX
from demo.reid_crops.parts import Part
from demo.reid_crops.rasteriser import Floats, Mesh
from demo.reid_crops.shapes import block, rounded
from demo.reid_crops.skeleton import JOINTS, SIDES, joint

# joint: low and high corner of its block in the T-pose, left side; metres
BLOCKS = {
    "Hips": ((-0.16, 0.88, -0.1), (0.16, 1.02, 0.1)),
    "Spine1": ((-0.16, 1.02, -0.1), (0.16, 1.2, 0.1)),
    "Spine2": ((-0.18, 1.2, -0.1), (0.18, 1.45, 0.1)),
    "Head": ((-0.08, 1.5, -0.08), (0.08, 1.74, 0.1)),
    "LeftArm": ((0.18, 1.35, -0.05), (0.43, 1.45, 0.05)),
    "LeftForeArm": ((0.43, 1.36, -0.04), (0.65, 1.44, 0.04)),
    "LeftHand": ((0.65, 1.37, -0.04), (0.8, 1.43, 0.04)),
    "LeftUpLeg": ((0.02, 0.5, -0.07), (0.15, 0.9, 0.07)),
    "LeftLeg": ((0.03, 0.08, -0.06), (0.14, 0.5, 0.06)),
    "LeftFoot": ((0.03, 0.0, -0.06), (0.14, 0.08, 0.2)),
}
PARTS = {"Head": Part.SKIN, "Hand": Part.SKIN, "Foot": Part.SHOES, "Leg": Part.BOTTOM, "Hips": Part.BOTTOM}


def write_tiny_avatars(avatars: Path, cache: Path, names: tuple[str, ...] = ("Tiny_M_1", "Tiny_F_1")) -> None:
    """GLB files without content, and the cache that spares reading them; women have a hair mesh."""
    avatars.mkdir()
    cache.mkdir()
    for name in names:
        (avatars / f"{name}.glb").touch()
        np.savez(cache / f"{name}.v{CACHE_VERSION}.npz", **_arrays(with_wig="_F_" in name))


def _arrays(with_wig: bool) -> dict[str, np.ndarray]:
    meshes, weights = [], []
    texel_place = np.zeros((TEXTURE_PX, TEXTURE_PX, 3), np.float32)
    texel_joint = np.zeros((TEXTURE_PX, TEXTURE_PX), np.uint8)
    texel_part = np.full((TEXTURE_PX, TEXTURE_PX), Part.TOP, np.uint8)
    blocks = dict(BLOCKS)
    for name, (low, high) in BLOCKS.items():
        if name.startswith("Left"):
            blocks[name.replace("Left", "Right")] = (-high[0], *low[1:]), (-low[0], *high[1:])
    cell = TEXTURE_PX // 5
    for number, (name, (low, high)) in enumerate(blocks.items()):
        row, column = divmod(number, 5)
        size = np.subtract(high, low)
        mesh = rounded(tuple(low + size / 2), tuple(size), np.ones(3, np.float32), power=10, rows=24)
        share = (mesh.position - low) / np.subtract(high, low)
        uv = (np.array([column, row]) + 0.1 + 0.8 * share[:, :2]) * cell / TEXTURE_PX
        meshes.append(Mesh(mesh.position, mesh.normal, uv.astype(np.float32), mesh.triangles, mesh.tint))
        one = np.zeros((len(mesh.position), len(JOINTS)), np.float16)
        one[:, joint(name)] = 1
        weights.append(one)
        area = (slice(row * cell, (row + 1) * cell), slice(column * cell, (column + 1) * cell))
        up, across = np.mgrid[0 : 1 : cell * 1j, 0 : 1 : cell * 1j]
        depth = np.full_like(up, 0.5)
        texel_place[area] = np.array(low) + np.stack([across, up, depth], -1) * np.subtract(high, low)
        texel_joint[area] = joint(name)
        texel_part[area] = next((part for word, part in PARTS.items() if word in name), Part.TOP)
        if name == "Head":
            texel_part[area][up > 0.7] = Part.HAIR
    body = Mesh.joined(meshes)
    arrays = {
        "position": body.position,
        "normal": body.normal.astype(np.float16),
        "uv": body.uv,
        "triangles": body.triangles,
        "weights": np.concatenate(weights),
        "joints": _joints(),
        "texture": np.full((TEXTURE_PX, TEXTURE_PX, 3), 120, np.uint8),
        "texel_position": texel_place.astype(np.float16),
        "texel_joint": texel_joint,
        "texel_part": texel_part,
    }
    if with_wig:
        hair = block((-0.1, 1.4, -0.12), (0.1, 1.76, -0.02), np.ones(3, np.float32))
        worn = np.zeros((len(hair.position), len(JOINTS)), np.float16)
        worn[:, joint("Head")] = 1
        arrays |= {
            "wig_position": hair.position,
            "wig_normal": hair.normal.astype(np.float16),
            "wig_uv": hair.uv,
            "wig_triangles": hair.triangles,
            "wig_weights": worn,
            "wig_texture": np.full((WIG_TEXTURE_PX, WIG_TEXTURE_PX, 3), 60, np.uint8),
        }
    return arrays


def _joints() -> Floats:
    places = {
        **{"Hips": (0, 0.98, 0), "Spine": (0, 1.02, 0), "Spine1": (0, 1.1, 0), "Spine2": (0, 1.2, 0)},
        **{"Neck": (0, 1.46, 0), "Head": (0, 1.54, 0)},
        **{"Shoulder": (0.05, 1.4, 0), "Arm": (0.18, 1.4, 0), "ForeArm": (0.43, 1.4, 0), "Hand": (0.65, 1.4, 0)},
        **{"FingerBase": (0.7, 1.4, 0), "UpLeg": (0.08, 0.9, 0), "Leg": (0.08, 0.5, 0)},
        **{"Foot": (0.08, 0.08, 0), "ToeBase": (0.08, 0.03, 0.15)},
    }
    rows = []
    for name in JOINTS:
        side = next((side for side in SIDES if name.startswith(side)), None)
        x, y, z = places[name if side is None else name.removeprefix(side)]
        rows.append((-x if side == "Right" else x, y, z))
    return np.array(rows, np.float32)
