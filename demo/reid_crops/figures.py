"""Three-dimensional bodies of people with clothes and bags, in any pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.reid_crops import shapes
from demo.reid_crops.avatars import Avatar, Wig
from demo.reid_crops.colours import linear
from demo.reid_crops.looks import Look
from demo.reid_crops.painting import paint, paint_wig
from demo.reid_crops.parts import Part
from demo.reid_crops.poses import ArmPose, Pose, rotations
from demo.reid_crops.rasteriser import Floats, Mesh
from demo.reid_crops.skeleton import JOINTS, SIDES, joint, place_joints, skinned, turned_normals

TRUNK = ("Hips", "Spine", "Spine1", "Spine2")


@dataclass(frozen=True, eq=False)
class Layer:
    """A mesh in the T-pose that follows the joints with weights (V, J)."""

    mesh: Mesh
    weights: Floats


@dataclass(frozen=True, eq=False)
class Figure:
    """One person, ready to be posed.

    Attributes:
        body: body mesh with the texture `skin`.
        wig: hair mesh with the texture `wig_texture`, or None.
        worn: hats, skirts, bags on the body; tinted, without their own texture.
        joints: (J, 3) in the T-pose.
        height: in metres.
        look: the look of the person.
    """

    body: Layer
    skin: NDArray[np.uint8]
    wig: Layer | None
    wig_texture: NDArray[np.uint8] | None
    worn: Layer | None
    joints: Floats
    height: float
    look: Look

    def arms(self) -> tuple[ArmPose, ArmPose] | None:
        """Return the poses of left and right arm that the bag requires, or None for free arms."""
        left = self.look.bag_side > 0
        match self.look.bag:
            case "handbag" | "tote" | "umbrella" | "suitcase":
                return ("hang", "swing") if left else ("swing", "hang")
            case "box":
                return ("carry", "carry")
        return None


@dataclass(frozen=True, eq=False)
class PosedFigure:
    """Posed meshes of a figure at its place, in metres, and its posed `joints` (J, 3)."""

    body: Mesh
    wig: Mesh | None
    worn: Mesh | None
    joints: Floats

    def contacts(self) -> Floats:
        """Return the contact shadows of both feet on the ground: x, z and radius in metres, (2, 3)."""
        feet = [self.joints[[joint(side + "Foot"), joint(side + "ToeBase")]].mean(axis=0) for side in SIDES]
        return np.array([[foot[0], foot[2], 0.16] for foot in feet], np.float32)

    def points(self) -> Floats:
        """Return every eighth vertex of all meshes, (N, 3)."""
        meshes = [mesh for mesh in (self.body, self.wig, self.worn) if mesh is not None]
        return np.concatenate([mesh.position[::8] for mesh in meshes])


def dress(look: Look, avatar: Avatar, wig: Wig | None) -> Figure:
    """Build the figure of a look from its avatar and its hair mesh, if it has one."""
    shaped, joints = _shape(avatar, look)
    scale = look.height / float(shaped[:, 1].max())
    shaped, joints = shaped * scale, joints * scale
    head = joints[joint("Head")]
    layer = None
    if wig is not None:
        moved = (wig.position - wig.head) * look.head * scale * 1.03 + head
        white = np.ones_like(moved)
        layer = Layer(Mesh(moved, wig.normal, wig.uv, wig.triangles, white), wig.weights)
    body = Mesh(shaped, avatar.normal, avatar.uv, avatar.triangles, np.ones_like(shaped))
    worn = _hat(look, shaped, avatar, joints) + _skirt(look, shaped, avatar, joints) + _bag(look, shaped, joints)
    return Figure(
        body=Layer(body, avatar.weights),
        skin=paint(avatar, look),
        wig=layer,
        wig_texture=None if wig is None else paint_wig(wig.texture, look.hair),
        worn=_joined(worn),
        joints=joints,
        height=look.height,
        look=look,
    )


def put(figure: Figure, pose: Pose, place: tuple[float, float], heading: float) -> PosedFigure:
    """Pose a figure and place it on the ground at `place`, x and z in metres; heading 0 faces +z, pi / 2 faces +x."""
    turns = rotations(pose)
    c, s = np.cos(heading), np.sin(heading)
    turns[0] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32) @ turns[0]
    places, turned = place_joints(figure.joints, turns)

    def posed(layer: Layer) -> Mesh:
        mesh = layer.mesh
        position = skinned(mesh.position, layer.weights, figure.joints, places, turned)
        normal = turned_normals(mesh.normal, layer.weights, turned)
        return Mesh(position, normal, mesh.uv, mesh.triangles, mesh.tint)

    body = posed(figure.body)
    wig = None if figure.wig is None else posed(figure.wig)
    worn = [] if figure.worn is None else [posed(figure.worn)]
    hips = figure.joints[0]
    shift = np.array([place[0] - hips[0], -body.position[:, 1].min(), place[1] - hips[2]], np.float32)
    for mesh in (body, *([] if wig is None else [wig]), *worn):
        mesh.position[:] += shift
    standing = places + shift
    worn += _in_hand(figure.look, standing, heading)
    return PosedFigure(body, wig, Mesh.joined(worn) if worn else None, standing)


def _shape(avatar: Avatar, look: Look) -> tuple[Floats, Floats]:
    """Return body and joints in the proportions of a look, before scaling to its height."""
    weights, joints = avatar.weights, avatar.joints.copy()
    position = avatar.position.copy()
    trunk = weights[:, [joint(name) for name in TRUNK]].sum(axis=1)
    arms = weights[:, [joint(s + p) for s in SIDES for p in ("Arm", "ForeArm")]].sum(axis=1)
    legs = weights[:, [joint(s + p) for s in SIDES for p in ("UpLeg", "Leg")]].sum(axis=1)
    size = avatar.texel_part.shape[0]
    texel = np.clip((avatar.uv * size).astype(int), 0, size - 1)
    part = avatar.texel_part[texel[:, 1], texel[:, 0]]
    # where garments meet, only the height decides; otherwise the border would be ragged
    above_hips = np.clip((position[:, 1] - joints[joint("Hips"), 1] + 0.06) / 0.1, 0, 1)
    loose = look.loose_bottom + (look.loose_top - look.loose_bottom) * np.where(trunk + legs > 0.5, above_hips, 1)
    loose = np.where((part == Part.TOP) | (part == Part.BOTTOM), loose, 0)
    slim = np.ones(len(position), np.float32)
    if look.trousers < 1:  # trouser legs that are painted as skin are too wide for bare legs
        hip, ankle = joints[joint("LeftUpLeg"), 1], joints[joint("LeftFoot"), 1]
        bared = (part == Part.BOTTOM) & (position[:, 1] < hip - look.trousers * (hip - ankle)) & (legs > 0.5)
        loose = np.where(bared, 0, loose)
        slim[bared] = 0.76
    position += avatar.normal * loose[:, None].astype(np.float32)
    middle = joints[joint("Spine1"), 2]
    wider = 1 + (look.girth - 1) * trunk
    position[:, 0] *= wider
    position[:, 2] = middle + (position[:, 2] - middle) * wider
    waist = joints[joint("Spine1"), 1]
    bulge = np.exp(-(((position[:, 1] - waist) / 0.14) ** 2)) * trunk
    position[:, 2] += 0.085 * look.belly * bulge * np.clip(avatar.normal[:, 2] + 0.3, 0, 1)
    position[:, 0] *= 1 + 0.12 * look.belly * bulge
    arm = joints[joint("LeftArm")]
    for axis in (1, 2):
        position[:, axis] += (position[:, axis] - arm[axis]) * (look.limbs - 1) * arms
    for axis, centre in (
        (0, np.sign(position[:, 0]) * joints[joint("LeftUpLeg"), 0]),
        (2, joints[joint("LeftLeg"), 2]),
    ):
        position[:, axis] += (position[:, axis] - centre) * (look.limbs * slim - 1) * legs
    head = joints[joint("Head")].copy()
    position += (position - head) * ((look.head - 1) * weights[:, joint("Head")])[:, None]
    broad = 0.16
    hip = joints[joint("LeftUpLeg"), 1]
    for points in (position, joints):
        x = points[:, 0]
        upper = np.clip((points[:, 1] - hip - 0.1) / 0.2, 0, 1)
        points[:, 0] = x + np.clip(x, -broad, broad) * (look.shoulders - 1) * upper
        points[:, 1] = np.where(points[:, 1] < hip, points[:, 1] * look.legs, points[:, 1] + hip * (look.legs - 1))
    return position.astype(np.float32), joints.astype(np.float32)


def _joined(layers: list[Layer]) -> Layer | None:
    if not layers:
        return None
    return Layer(
        Mesh.joined([layer.mesh for layer in layers]), np.concatenate([layer.weights for layer in layers])
    )


def _rigid(mesh: Mesh, name: str) -> Layer:
    weights = np.zeros((len(mesh.position), len(JOINTS)), np.float32)
    weights[:, joint(name)] = 1
    return Layer(mesh, weights)


def _hat(look: Look, position: Floats, avatar: Avatar, joints: Floats) -> list[Layer]:
    if look.hat == "none":
        return []
    skull = position[(avatar.weights[:, joint("Head")] > 0.9) & (position[:, 1] > joints[joint("Head"), 1] + 0.05)]
    low, high = skull.min(axis=0), skull.max(axis=0)
    wide, deep = float(high[0] - low[0]) / 2, float(high[2] - low[2]) / 2
    centre = (0.0, float(high[1]) - 0.09, float(low[2] + high[2]) / 2 - 0.005)
    tint = linear(look.hat_colour)
    match look.hat:
        case "cap":
            brim = (centre[0], centre[1] + 0.01, centre[2] + deep * 0.75)
            meshes = [
                shapes.dome(centre, (wide + 0.012, 0.108, deep + 0.012), tint, 1.62),
                shapes.disc(brim, (wide * 0.9, 0.105), tint * 0.8, 0.03, half=True),
            ]
        case "beanie":
            meshes = [shapes.dome(centre, (wide + 0.014, 0.125, deep + 0.012), tint, 1.75)]
        case "brim":
            meshes = [
                shapes.dome(centre, (wide + 0.012, 0.115, deep + 0.012), tint, 1.6),
                shapes.disc((centre[0], centre[1] + 0.01, centre[2]), (wide + 0.1, deep + 0.09), tint, 0.03),
            ]
        case "hood":
            tint = linear(look.top)
            hood = (centre[0], centre[1] - 0.015, centre[2] - 0.02)
            meshes = [shapes.dome(hood, (wide + 0.03, 0.13, deep + 0.03), tint, 2.5, front=1.0)]
        case _:
            meshes = [shapes.dome(centre, (wide + 0.035, 0.14, deep + 0.035), tint, 1.7)]
    return [_rigid(mesh, "Head") for mesh in meshes]


def _skirt(look: Look, position: Floats, avatar: Avatar, joints: Floats) -> list[Layer]:
    """Build a skirt, or the part of a coat or dress below the waist."""
    if not look.skirt:
        return []
    hips = joints[joint("Hips")]
    trunk = avatar.weights[:, [joint(name) for name in TRUNK]].sum(axis=1) > 0.4
    ring = position[trunk & (np.abs(position[:, 1] - hips[1]) < 0.1)]
    wide, deep = float(np.abs(ring[:, 0]).max()), float(np.ptp(ring[:, 2])) / 2
    middle = float(ring[:, 2].min()) + deep
    flare = 0.02 + 0.22 * (look.print_seed % 97) / 97
    rows, columns = 9, 29
    down = np.linspace(0, 1, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns)[None, :]
    hip_bulge = np.minimum(down * look.skirt / 0.12, 1)
    folds = 1 + 0.05 * down * np.sin(9 * around + look.print_seed % 7)
    spread = (0.012 + 0.02 * hip_bulge + flare * down * look.skirt) * folds
    points = np.stack(
        [
            (wide * (0.86 + 0.16 * hip_bulge) + spread) * np.cos(around),
            hips[1] + 0.12 - down * (look.skirt + 0.12) + 0 * around,
            middle + (deep * (0.9 + 0.12 * hip_bulge) + spread) * np.sin(around),
        ],
        axis=-1,
    )
    normal = np.stack(
        [np.cos(around) + 0 * down, 0.15 + 0 * around + 0 * down, np.sin(around) + 0 * down], axis=-1
    )
    shade = 0.85 + 0.15 * np.sin(9 * around + look.print_seed % 7) * down
    tint = linear(look.top if look.coat else look.bottom) * shade[..., None]
    mesh = shapes.grid_mesh(
        points, normal / np.linalg.norm(normal, axis=-1, keepdims=True), np.ones(3, np.float32)
    )
    mesh = Mesh(mesh.position, mesh.normal, mesh.uv, mesh.triangles, tint.reshape(-1, 3).astype(np.float32))
    weights = np.zeros((rows, columns, len(JOINTS)), np.float32)
    left = 0.5 + 0.5 * np.clip(np.cos(around) * 1.3, -1, 1)
    follow = np.clip(down * (look.skirt + 0.12) / 0.5, 0, 0.85)
    weights[..., joint("Hips")] = 1 - follow + 0 * around
    weights[..., joint("LeftUpLeg")] = follow * left
    weights[..., joint("RightUpLeg")] = follow * (1 - left)
    return [Layer(mesh, weights.reshape(-1, len(JOINTS)))]


def _bag(look: Look, position: Floats, joints: Floats) -> list[Layer]:
    """Build a bag that hangs on the body; `_in_hand` builds those that hang from a hand."""
    tint, size, side = linear(look.bag_colour), look.bag_size, look.bag_side
    chest, hips = joints[joint("Spine2")], joints[joint("Hips")]
    torso = position[np.abs(position[:, 0]) < 0.1]
    high = torso[(torso[:, 1] > chest[1] - 0.1) & (torso[:, 1] < chest[1] + 0.15)]
    mid = position[(np.abs(position[:, 1] - hips[1]) < 0.08) & (np.abs(position[:, 0]) < 0.35)]
    match look.bag:
        case "backpack":
            deep = 0.15 * size
            centre = (0.0, float(chest[1]) + 0.02, float(high[:, 2].min()) - 0.4 * deep)
            pocket = (0.0, centre[1] - 0.09 * size, centre[2] - 0.45 * deep)
            meshes = [
                shapes.rounded(centre, (0.3 * size, 0.44 * size, deep), tint, 4),
                shapes.rounded(pocket, (0.22 * size, 0.18 * size, 0.09), tint * 0.7, 4),
            ]
            return [_rigid(mesh, "Spine2") for mesh in meshes]
        case "shoulder bag" | "cross bag":
            out = float(np.abs(mid[:, 0]).max()) + 0.05
            small = 0.75 if look.bag == "cross bag" else 1.0
            spot = (side * out, float(hips[1]) + (0.08 if small == 1.0 else -0.02), float(mid[:, 2].mean()) - 0.03)
            box = (0.11 * size, 0.26 * size * small, 0.34 * size * small)
            return [_rigid(shapes.rounded(spot, box, tint, 5), "Hips")]
        case "box":
            front = float(torso[np.abs(torso[:, 1] - float(joints[joint("Spine1"), 1])) < 0.1][:, 2].max())
            spot = (0.0, float(joints[joint("Spine1"), 1]) + 0.05, front + 0.17 * size)
            return [_rigid(shapes.rounded(spot, (0.36 * size, 0.22 * size, 0.28 * size), tint, 12), "Spine")]
    return []


def _in_hand(look: Look, joints: Floats, heading: float) -> list[Mesh]:
    """Build a bag that hangs from a hand, at its position in the world."""
    hand = joints[joint(("Left" if look.bag_side > 0 else "Right") + "FingerBase")]
    tint, size = linear(look.bag_colour), look.bag_size
    x, y, z = (float(v) for v in hand)
    forward = np.array([np.sin(heading), 0, np.cos(heading)])
    out = np.array([np.cos(heading), 0, -np.sin(heading)]) * look.bag_side

    def turned(mesh: Mesh) -> Mesh:
        """Rotate about the hand, from the z axis to the heading."""
        c, s = np.cos(heading), np.sin(heading)
        matrix = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
        centre = np.array([x, 0, z], np.float32)
        position = (mesh.position - centre) @ matrix.T + centre
        return Mesh(position, mesh.normal @ matrix.T, mesh.uv, mesh.triangles, mesh.tint)

    match look.bag:
        case "handbag":
            return [
                turned(shapes.rounded((x, y - 0.24 * size, z), (0.1, 0.22 * size, 0.32 * size), tint, 5)),
                turned(shapes.tube((x, y - 0.02, z), (x, y - 0.18 * size, z + 0.07), 0.008, tint)),
                turned(shapes.tube((x, y - 0.02, z), (x, y - 0.18 * size, z - 0.07), 0.008, tint)),
            ]
        case "tote":
            return [turned(shapes.rounded((x, y - 0.26 * size, z), (0.08, 0.36 * size, 0.3 * size), tint, 4))]
        case "suitcase":
            spot = hand - forward * 0.35 + out * 0.08
            case = shapes.rounded((float(spot[0]), 0.32, float(spot[2])), (0.24, 0.58, 0.38), tint, 9)
            handle = shapes.tube((float(spot[0]), 0.6, float(spot[2])), (x, y, z), 0.012, tint * 0.5)
            return [case, handle]
        case "umbrella":
            tip = hand + forward * 0.12 - np.array([0, 0.68, 0])
            low = (float(tip[0]), max(float(tip[1]), 0.05), float(tip[2]))
            return [shapes.tube((x, y + 0.1, z), low, 0.022, tint)]
    return []
