"""Intersect rays of a camera with the hall: floor, ceiling, boxes, leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from demo.hall import CEILING_M, Hall, Plant, solid_boxes

Array = NDArray[np.float32]

FLOOR, CEILING, LEAF = -1, -2, -3  # instead of the index of a box


def blocked(origin: Array, towards: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Return (N,), whether a box lies between `origin` (N, 3) and `origin + towards` (N, 3), all in metres.

    Args:
        low, high: (B, 3) corners of the boxes.
    """
    blocked = np.zeros(len(origin), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_t, origin_t = (
            np.ascontiguousarray((1 / towards).astype(np.float32).T),
            np.ascontiguousarray(origin.T),
        )
        for box_low, box_high in zip(low, high, strict=True):
            enter, leave = _slabs(box_low, box_high, origin_t, inverse_t)
            blocked |= (enter < leave) & (leave > 0) & (enter < 1)
    return blocked


def cast(
    hall: Hall, viewpoint: Array, origin: Array, direction: Array, with_leaves: bool
) -> tuple[Array, NDArray[np.int64], Array]:
    """Return the nearest hit of every ray from `origin` (N, 3) along `direction` (N, 3).

    Seen from above, all rays must stay in the sector that `direction` spans around `viewpoint` (3,).

    Returns:
        distance: (N,) in multiples of the direction.
        index: (N,), the index of the box, or FLOOR, CEILING or LEAF.
        leaf_colour: (N, 3), linear RGB; 0 where no leaf is hit.
    """
    if len(direction) == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    nearest = np.full(len(origin), 1e4, np.float32)
    index = np.full(len(origin), CEILING, np.int64)
    leaf_colour = np.zeros((len(origin), 3), np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (1 / direction).astype(np.float32)
        to_floor, to_ceiling = -origin[:, 2] * inverse[:, 2], (CEILING_M - origin[:, 2]) * inverse[:, 2]
        for plane, code in ((to_floor, FLOOR), (to_ceiling, CEILING)):
            closer = (plane > 1e-4) & (plane < nearest)
            nearest[closer], index[closer] = plane[closer], code
        low, high = solid_boxes(hall)
        origin_t, inverse_t = np.ascontiguousarray(origin.T), np.ascontiguousarray(inverse.T)
        for number in _in_sector(hall, viewpoint, direction):
            enter, leave = _slabs(low[number], high[number], origin_t, inverse_t)
            closer = (enter < leave) & (enter > 1e-4) & (enter < nearest)
            nearest[closer], index[closer] = enter[closer], number
        if with_leaves:
            for plant in hall.plants:
                _cast_leaves(plant, origin, direction, nearest, index, leaf_colour)
    return nearest, index, leaf_colour


def _in_sector(hall: Hall, viewpoint: Array, direction: Array) -> list[int]:
    """Return the indices of the boxes that rays from `viewpoint` (3,) can hit, judged on the plan."""
    low, high = solid_boxes(hall)
    axis = direction[:, :2].mean(axis=0)
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    side = np.array([-axis[1], axis[0]])
    angles = np.arctan2(direction[:, :2] @ side, direction[:, :2] @ axis)
    first, last = float(angles.min()) - 0.06, float(angles.max()) + 0.06
    if last - first > 2.8:
        return list(range(len(hall.boxes)))
    corners = np.stack([(a[:, 0], b[:, 1]) for a in (low, high) for b in (low, high)]).transpose(2, 0, 1)
    offset = corners - viewpoint[:2]
    ahead, beside = offset @ axis, offset @ side
    # a box is outside if all its corners lie beyond one edge of the sector, or behind
    beyond_last = (beside * np.cos(last) - ahead * np.sin(last) > 0).all(axis=1)
    beyond_first = (beside * np.cos(first) - ahead * np.sin(first) < 0).all(axis=1)
    behind = (ahead < -0.5).all(axis=1)
    return [int(n) for n in np.flatnonzero(~(beyond_last | beyond_first | behind))]


def _cast_leaves(
    plant: Plant,
    origin: Array,
    direction: Array,
    nearest: Array,
    index: NDArray[np.int64],
    leaf_colour: Array,
) -> None:
    """Update the hits with the leaves of a plant, which are flat lens shapes around its middle."""
    x_m, y_m, height_m = plant.x_m, plant.y_m, plant.height_m
    middle = np.array([x_m, y_m, (0.42 + height_m) / 2 + 0.1], np.float32)
    radius = height_m * 0.62
    offset = middle - origin
    along = (offset * direction).sum(axis=1)
    apart = (offset * offset).sum(axis=1) - along**2
    rays = np.flatnonzero((apart < radius**2) & (along > 0))
    if len(rays) == 0:
        return
    rng = np.random.default_rng(plant.seed)
    green = np.array([0.045, 0.13, 0.03]) * rng.uniform(0.7, 1.4, 3)
    for _ in range(plant.leaves):
        azimuth, rise = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.35)
        length = height_m * rng.uniform(0.16, 0.30)
        spine = np.array([np.cos(azimuth) * np.cos(rise), np.sin(azimuth) * np.cos(rise), np.sin(rise)])
        stem = rng.uniform(0.1, 0.55) * (height_m - 0.42)
        centre = np.array([x_m, y_m, 0.42]) + spine * (stem * 0.75 + length * 0.6) + [0, 0, stem * 0.35]
        drooped = spine + np.array([0, 0, -rng.uniform(0.3, 1.0)])
        drooped /= np.linalg.norm(drooped)
        sideways = np.cross(drooped, [0, 0, 1.0])
        sideways /= np.linalg.norm(sideways)
        normal = np.cross(sideways, drooped).astype(np.float32)
        facing = direction[rays] @ normal
        with np.errstate(divide="ignore", invalid="ignore"):
            t = ((centre.astype(np.float32) - origin[rays]) @ normal) / facing
        local = origin[rays] + t[:, None] * direction[rays] - centre.astype(np.float32)
        u, w = local @ drooped / length, local @ sideways / (0.33 * length)
        inside = (np.abs(u) < 1) & (np.abs(w) < 1 - u**2) & (t > 0) & (t < nearest[rays])
        chosen = rays[inside]
        nearest[chosen], index[chosen] = t[inside], LEAF
        rib = 1 - 0.25 * (np.abs(w[inside]) < 0.07)
        tone = (0.55 + 0.75 * abs(float(normal[2]))) * rng.uniform(0.7, 1.3) * (0.8 + 0.3 * u[inside]) * rib
        leaf_colour[chosen] = (green * tone[:, None]).astype(np.float32)


def _slabs(low: Array, high: Array, origin: Array, inverse: Array) -> tuple[Array, Array]:
    """Return where rays enter and leave a box (Kay and Kajiya, SIGGRAPH 1986); for a miss, enter > leave.

    Args:
        low, high: (3,) corners.
        origin: (3, N) starts of the rays.
        inverse: (3, N) 1 / direction.

    Returns:
        Two arrays (N,), in multiples of the direction.
    """
    enter, leave = np.empty(0, np.float32), np.empty(0, np.float32)
    for axis in range(3):
        t1, t2 = (low[axis] - origin[axis]) * inverse[axis], (high[axis] - origin[axis]) * inverse[axis]
        near, far = np.minimum(t1, t2), np.maximum(t1, t2)
        enter, leave = (near, far) if axis == 0 else (np.maximum(enter, near), np.minimum(leave, far))
    return enter, leave
