"""Simple solids as meshes: boxes with rounded edges, domes, tubes, discs; metres, y up."""

from __future__ import annotations

import numpy as np

from demo.reid_crops.rasteriser import Floats, Mesh

Vector = tuple[float, float, float]


def grid_mesh(position: Floats, normal: Floats, tint: Floats) -> Mesh:
    """Build the mesh of a grid (R, C, 3) of points; neighbours in rows and columns are connected."""
    rows, columns = position.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    return Mesh(
        position.reshape(-1, 3).astype(np.float32),
        normal.reshape(-1, 3).astype(np.float32),
        np.stack([u, v], -1).reshape(-1, 2).astype(np.float32),
        triangles.astype(np.int32),
        np.broadcast_to(np.asarray(tint, np.float32), (rows * columns, 3)).copy(),
    )


def rounded(centre: Vector, size: Vector, tint: Floats, power: float = 5.0, rows: int = 14) -> Mesh:
    """Build a box with rounded edges: a superellipsoid; power 2 gives an ellipsoid, a large power a box."""
    polar = np.linspace(0, np.pi, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, 2 * rows)[None, :]
    unit = np.stack(
        [np.sin(polar) * np.cos(around), np.cos(polar) + 0 * around, np.sin(polar) * np.sin(around)], axis=-1
    )
    length = (np.abs(unit) ** power).sum(axis=-1, keepdims=True) ** (1 / power)
    surface = unit / length
    normal = np.sign(surface) * np.abs(surface) ** (power - 1) / np.array(size)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    return grid_mesh(surface * np.array(size) / 2 + np.array(centre), normal, tint)


def dome(centre: Vector, radii: Vector, tint: Floats, reach: float, front: float = np.pi, rows: int = 10) -> Mesh:
    """Build the upper part of an ellipsoid, down to the polar angle `reach`.

    Args:
        centre, radii: centre and radii of the ellipsoid.
        tint: linear RGB.
        reach: polar angle; pi / 2 gives the upper half.
        front: polar angle at which the part towards +z ends, which leaves an opening as in a hood.
        rows: rows of the mesh.
    """
    around = np.linspace(0, 2 * np.pi, 2 * rows + 5)[None, :]
    ends = np.where(np.sin(around) > 0.35, min(front, reach), reach)
    polar = np.linspace(0.01, 1, rows)[:, None] * ends
    unit = np.stack([np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)], axis=-1)
    normal = unit / np.array(radii)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return grid_mesh(unit * np.array(radii) + np.array(centre), normal, tint)


def disc(centre: Vector, radii: tuple[float, float], tint: Floats, droop: float = 0.0, half: bool = False) -> Mesh:
    """Build a flat ellipse whose border is lower by `droop`; `half` keeps only the part towards +z."""
    around = np.linspace(0, np.pi if half else 2 * np.pi, 20)[None, :]
    out = np.linspace(0, 1, 4)[:, None]
    points = np.stack(
        [out * np.cos(around) * radii[0], -droop * out**2 + 0 * around, out * np.sin(around) * radii[1]], -1
    )
    up = np.zeros_like(points)
    up[..., 1] = 1
    return grid_mesh(points + np.array(centre), up, tint)


def tube(start: Vector, end: Vector, radius: float, tint: Floats, sides: int = 8) -> Mesh:
    """Build a tube between two points, without end caps."""
    axis = np.subtract(end, start) / max(float(np.linalg.norm(np.subtract(end, start))), 1e-6)
    helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.8 else np.array([0, 0, 1.0])
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
    ring = np.cos(angle) * first + np.sin(angle) * second
    points = np.stack([np.array(start) + radius * ring, np.array(end) + radius * ring])
    return grid_mesh(points, np.stack([ring, ring]), tint)


def block(low: Vector, high: Vector, tint: Floats, metres_a_tile: float = 1.0) -> Mesh:
    """Build a box with flat sides; its texture repeats every `metres_a_tile` metres."""
    meshes = []
    for axis in range(3):
        u, v = ((2, 1), (0, 2), (0, 1))[axis]
        for end, sign in ((low, -1.0), (high, 1.0)):
            corners = np.zeros((2, 2, 3), np.float32)
            corners[..., axis] = end[axis]
            corners[..., u] = np.array([[low[u], high[u]]] * 2)
            corners[..., v] = np.array([[low[v]] * 2, [high[v]] * 2])
            normal = np.zeros((2, 2, 3), np.float32)
            normal[..., axis] = sign
            side = grid_mesh(corners, normal, tint)
            uv = corners[..., [u, v]].reshape(-1, 2) / metres_a_tile
            meshes.append(Mesh(side.position, side.normal, uv.astype(np.float32), side.triangles, side.tint))
    return Mesh.joined(meshes)
