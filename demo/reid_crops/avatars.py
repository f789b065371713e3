"""Rigged avatars: unpacked once from their GLB files, then read from a cache.

The files of the VALID library are compressed with EXT_meshopt_compression; the Node script in `decode_glb`
decompresses them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from demo.reid_crops.parts import find_parts
from demo.reid_crops.rasteriser import Floats, Mesh, Rasteriser
from demo.reid_crops.skeleton import JOINTS
from pipeline.core.errors import InputError
from pipeline.files.whole_files import replacing

TEXTURE_PX, WIG_TEXTURE_PX = 512, 256
LAYER = ("position", "normal", "uv", "triangles", "weights")
SKIPPED_MESHES = ("Teeth", "gland")  # inside the head
CACHE_VERSION = 4
FILES_A_CALL = 24  # the memory of the script grows with the number of files


@dataclass(frozen=True, eq=False)
class Wig:
    """Hair as a mesh, in the pose of its avatar; arrays as in `Avatar`."""

    position: Floats
    normal: Floats
    uv: Floats
    triangles: NDArray[np.int32]
    weights: Floats
    texture: NDArray[np.uint8]
    head: Floats


@dataclass(frozen=True, eq=False)
class Avatar:
    """A person in a T-pose: y up, facing +z, the left arm along +x; metres.

    Attributes:
        name: file name without suffix, such as "White_M_1_Busi".
        position, normal: (V, 3) float32.
        uv: (V, 2) float32 in 0..1.
        triangles: (T, 3) int32.
        weights: (V, J) float32, rows sum to 1; J as in JOINTS.
        joints: (J, 3) float32, positions of the joints.
        texture: (S, S, 3) uint8 RGB; row 0 is v = 0.
        texel_position: (S, S, 3) float32, the position in the T-pose of the surface that a texel colours.
        texel_joint: (S, S) uint8, the joint that moves it most.
        texel_part: (S, S) uint8, a `Part`.
        wig: hair that is a separate mesh; None if the hair is painted on the head.
    """

    name: str
    position: Floats
    normal: Floats
    uv: Floats
    triangles: NDArray[np.int32]
    weights: Floats
    joints: Floats
    texture: NDArray[np.uint8]
    texel_position: Floats
    texel_joint: NDArray[np.uint8]
    texel_part: NDArray[np.uint8]
    wig: Wig | None

    @property
    def is_woman(self) -> bool:
        """Whether the file name marks a woman, as in the VALID library; unknown files count as men."""
        return "_F_" in self.name


def prepare_avatars(folder: Path, cache: Path) -> list[Path]:
    """Unpack the GLB files below `folder` into `cache`, except those that it already has.

    Returns:
        Files for `load_avatar`, sorted by name.

    Raises:
        InputError: there is no GLB file, or Node, its packages or OpenGL are missing.
    """
    files = sorted(folder.rglob("*.glb"), key=lambda file: file.stem)
    if not files:
        raise InputError(f"no .glb file below {folder}: give the folder of a clone of c-frame/valid-avatars-glb")
    cache.mkdir(parents=True, exist_ok=True)
    target = {file: cache / f"{file.stem}.v{CACHE_VERSION}.npz" for file in files}
    missing = [file for file in files if not target[file].is_file()]
    if missing:
        with Rasteriser() as rasteriser:
            for start in range(0, len(missing), FILES_A_CALL):
                some = missing[start : start + FILES_A_CALL]
                with tempfile.TemporaryDirectory(dir=cache) as raw:
                    _decode(some, Path(raw), cache)
                    for file in some:
                        arrays = _packed(Path(raw) / file.stem, rasteriser)
                        with replacing(target[file]) as part, part.open("wb") as whole:
                            np.savez(whole, allow_pickle=False, **arrays)
    return [target[file] for file in files]


def load_avatar(file: Path) -> Avatar:
    """Read a file that `prepare_avatars` wrote."""
    with np.load(file) as arrays:
        body = {name: arrays[name] for name in (*LAYER, "joints", "texture")}
        wig = None
        if "wig_position" in arrays:
            worn = {name: arrays[f"wig_{name}"] for name in (*LAYER, "texture")}
            wig = Wig(**_widened(worn), head=body["joints"][JOINTS.index("Head")])
        return Avatar(
            name=file.name.split(".")[0],
            **_widened(body),
            texel_position=arrays["texel_position"].astype(np.float32),
            texel_joint=arrays["texel_joint"],
            texel_part=arrays["texel_part"],
            wig=wig,
        )


def _widened(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Convert the float16 arrays of a file to float32."""
    return {n: a.astype(np.float32) if a.dtype == np.float16 else a for n, a in arrays.items()}


def _decode(files: list[Path], output: Path, cache: Path) -> None:
    """Run the Node script; its packages are installed in the cache, not in the source tree."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise InputError("node and npm, which unpack the GLB files, are missing: install Node.js 20 or newer")
    scripts, packages = Path(__file__).parent / "decode_glb", cache / "node"
    if not (packages / "node_modules").is_dir():
        packages.mkdir(exist_ok=True)
        shutil.copy(scripts / "package.json", packages)
        _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(packages)], {})
    command = [node, str(scripts / "decode.mjs"), str(output), *(str(file) for file in files)]
    _run(command, {"NODE_PACKAGES": str(packages.resolve())})


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        raise InputError(f"{' '.join(command[:3])} ... failed: {done.stderr.strip()[-500:]}")


def _packed(raw: Path, rasteriser: Rasteriser) -> dict[str, NDArray[Any]]:
    """Return the arrays that the cache stores, from NAME.json and NAME.bin."""
    header = json.loads(raw.with_suffix(".json").read_text())
    data, arrays, offset = raw.with_suffix(".bin").read_bytes(), {}, 0
    for entry in header["arrays"]:
        dtype, count = np.dtype(entry["dtype"]), int(np.prod(entry["shape"]))
        arrays[entry["name"]] = np.frombuffer(data, dtype, count, offset).reshape(entry["shape"])
        offset += count * dtype.itemsize
    worlds = {joint["name"]: np.array(joint["world"]).reshape(4, 4).T for joint in header["skeleton"]}
    parents = {joint["name"]: joint["parent"] for joint in header["skeleton"]}
    meshes = [
        _bound(number, mesh, arrays, worlds, parents)
        for number, mesh in enumerate(header["meshes"])
        if not any(word in mesh["name"] for word in SKIPPED_MESHES)
    ]
    material = str(header["meshes"][0]["material"])
    floor = min(float(mesh.position[:, 1].min()) for mesh in meshes)
    joints = (np.array([worlds[name][:3, 3] for name in JOINTS]) - [0, floor, 0]).astype(np.float32)
    kept = {
        **_layer([mesh for mesh in meshes if mesh.material == material], floor),
        "joints": joints,
        "texture": _texture(arrays[f"texture/{material}"], TEXTURE_PX),
    }
    wig = [mesh for mesh in meshes if mesh.material != material]
    if wig:
        layer = _layer(wig, floor) | {"texture": _texture(arrays[f"texture/{wig[0].material}"], WIG_TEXTURE_PX)}
        kept |= {f"wig_{name}": value for name, value in layer.items()}
    position, uv, corners = kept["position"], kept["uv"], kept["triangles"]
    joint = kept["weights"].argmax(axis=1).astype(np.float32)
    place, used = rasteriser.values_over_uv(Mesh(position, position, uv, corners, position), TEXTURE_PX)
    numbers = np.repeat(joint[:, None], 3, axis=1)
    which, _ = rasteriser.values_over_uv(Mesh(position, numbers, uv, corners, position), TEXTURE_PX)
    # texels at the border of an island are blended with texels outside: extend the island
    rows, columns = distance_transform_edt(~used, return_distances=False, return_indices=True)
    place = place[rows, columns]
    texel_joint = np.rint(which[rows, columns, 0]).astype(np.uint8)
    return {
        **kept,
        "texel_position": place.astype(np.float16),
        "texel_joint": texel_joint,
        "texel_part": find_parts(kept["texture"], place, texel_joint, joints),
    }


@dataclass(frozen=True, eq=False)
class _BoundMesh:
    """A mesh in the T-pose, in metres, with weights (V, J)."""

    material: str
    position: Floats
    uv: Floats
    triangles: NDArray[np.int32]
    weights: Floats


def _bound(
    number: int,
    mesh: dict[str, Any],
    arrays: dict[str, NDArray[Any]],
    worlds: dict[str, NDArray[np.float64]],
    parents: dict[str, str | None],
) -> _BoundMesh:
    """Place a mesh by the bind matrices of its skin, and move its weights to the joints in JOINTS."""
    joints = arrays[f"{number}/joints"].astype(int)
    share = arrays[f"{number}/weights"] / arrays[f"{number}/weights"].sum(axis=1, keepdims=True)
    binds = arrays[f"{number}/inverse_bind"].transpose(0, 2, 1).astype(np.float64)
    matrices = np.array([worlds[name] for name in mesh["joints"]]) @ binds
    position = np.c_[arrays[f"{number}/position"], np.ones(len(joints))]
    moved = np.einsum("vkij,vj->vki", matrices[joints], position)[..., :3]
    kept = np.array([JOINTS.index(_kept_joint(name, parents)) for name in mesh["joints"]])
    weights = np.zeros((len(joints), len(JOINTS)), np.float32)
    np.add.at(weights, (np.arange(len(joints))[:, None], kept[joints]), share)
    return _BoundMesh(
        str(mesh["material"]),
        (moved * share[..., None]).sum(axis=1).astype(np.float32),
        arrays[f"{number}/uv"],
        arrays[f"{number}/triangles"].astype(np.int32),
        weights,
    )


def _layer(meshes: list[_BoundMesh], floor: float) -> dict[str, NDArray[Any]]:
    """Join the arrays of meshes with a common texture; the result stands on y = 0."""
    starts = np.cumsum([0] + [len(mesh.position) for mesh in meshes[:-1]])
    position = np.concatenate([mesh.position for mesh in meshes]) - np.array([0, floor, 0], np.float32)
    triangles = np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=True)]).astype(np.int32)
    return {
        "position": position,
        "normal": smooth_normals(position, triangles).astype(np.float16),
        "uv": np.concatenate([mesh.uv for mesh in meshes]),
        "triangles": triangles,
        "weights": np.concatenate([mesh.weights for mesh in meshes]).astype(np.float16),
    }


def _texture(data: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(data.tobytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise InputError("OpenCV cannot read a texture: clone the avatars again")
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)


def smooth_normals(position: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Return unit normals (V, 3) of vertices; vertices at one position, on both sides of a texture seam, share one."""
    _, welded = np.unique(np.round(position * 1e5).astype(np.int64), axis=0, return_inverse=True)
    a, b, c = (position[triangles[:, i]] for i in range(3))
    of_triangle = np.cross(b - a, c - a)
    corners = welded.ravel()[triangles].ravel()
    total = np.stack(
        [np.bincount(corners, np.repeat(of_triangle[:, i], 3), welded.max() + 1) for i in range(3)], axis=1
    )
    length = np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return np.asarray((total / length)[welded.ravel()], np.float32)


def _kept_joint(name: str, parents: dict[str, str | None]) -> str:
    """Return `name`, or its nearest ancestor that is in JOINTS."""
    above: str | None = name
    while above is not None and above not in JOINTS:
        above = parents.get(above)
    return above or "Hips"
