"""Sprites of synthetic people: four views each, cut out, dressed and split into moving parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.clothes import Outfit, Regions, find_regions, linear_bgr, mix, shading, shirt_paint
from demo.matting import extend_colours, person_alpha
from pipeline.core.errors import InputError

View = Literal["front", "right", "back", "left"]  # right and left: the side of the image that the person faces
VIEWS: tuple[View, ...] = ("front", "right", "back", "left")

# the four full-body pictures of a character sheet of 2400 x 1792 pixels: left edges, top edge and size
SHEET_WH = (2400, 1792)
PANEL_LEFT_PX = {"front": 64, "left": 658, "back": 1252, "right": 1846}
PANEL_TOP_PX, PANEL_WH = 871, (490, 771)
PANEL_FRAME_PX = 8

BODY_PX = 256  # body height in a sprite
CANVAS_WH = (240, 288)
FOOT_ROW = 280.0  # row of the soles in the canvas; the rows below only hold antialiasing


@dataclass(frozen=True, eq=False)
class SpriteView:
    """One view of one person in a canvas of CANVAS_WH, body height BODY_PX, soles at FOOT_ROW.

    All arrays are linear-light BGRA, (H, W, 4) float32, with colours premultiplied by alpha.

    Attributes:
        body: the person; in side views the swinging arm is replaced by cloth.
        arm: the near arm of a side view, from sleeve to hand; None in front and back views.
        middle_px: column of the vertical axis of the body.
        shoulder_row: row about which the arm swings.
    """

    body: NDArray[np.float32]
    arm: NDArray[np.float32] | None
    middle_px: float
    shoulder_row: float


@dataclass(frozen=True, eq=False)
class Person:
    """A dressed person with a body height; `views` has all four of VIEWS."""

    source_id: str
    outfit: Outfit
    height_m: float
    views: dict[View, SpriteView]


@dataclass
class Wardrobe:
    """Loads studio pictures of `openpeople` and dresses the people in them; each person is cut out only once.

    Raises:
        InputError: openpeople is not installed, does not have the person, or has sheets of another layout.
    """

    _panels: dict[str, dict[View, _Panel]] = field(default_factory=dict)

    def source_ids(self) -> list[str]:
        """Return the ids of all people in openpeople, in its order."""
        return [person.person_id for person in _openpeople().curated.list()]

    def dress(self, source_id: str, outfit: Outfit, height_m: float) -> Person:
        """Return the person `source_id` in `outfit`, `height_m` metres tall."""
        if source_id not in self._panels:
            self._panels[source_id] = _load_panels(source_id)
        views = {view: _dress_view(panel, outfit, view) for view, panel in self._panels[source_id].items()}
        return Person(source_id, outfit, height_m, views)


@dataclass(frozen=True, eq=False)
class _Panel:
    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    regions: Regions


def _openpeople() -> ModuleType:
    try:
        import openpeople
    except ModuleNotFoundError as error:
        if error.name != "openpeople":
            raise
        raise InputError(
            "rendering the demo scene needs the pictures of the package openpeople, which is not installed: "
            "pip install -e .[demo-scene]"
        ) from error
    module: ModuleType = openpeople
    return module


def _load_panels(source_id: str) -> dict[View, _Panel]:
    openpeople = _openpeople()
    known = [person.person_id for person in openpeople.curated.list()]
    if source_id not in known:
        raise InputError(f"openpeople has no person {source_id!r}: choose among {', '.join(known)}")
    assert openpeople.__file__ is not None
    path = Path(openpeople.__file__).parent / "data/curated" / source_id / "assets/character_sheet.jpg"
    sheet = cv2.imread(str(path))
    if sheet is None or (sheet.shape[1], sheet.shape[0]) != SHEET_WH:
        found = "unreadable" if sheet is None else f"{sheet.shape[1]}x{sheet.shape[0]} pixels"
        raise InputError(
            f"{path} is {found}, but a sheet of {SHEET_WH[0]}x{SHEET_WH[1]} pixels is needed: "
            "install openpeople 0.1.2"
        )
    panels: dict[str, _Panel] = {}
    for label, left in PANEL_LEFT_PX.items():
        inset = PANEL_FRAME_PX
        image: NDArray[np.uint8] = np.ascontiguousarray(
            sheet[
                PANEL_TOP_PX + inset : PANEL_TOP_PX + PANEL_WH[1] - inset,
                left + inset : left + PANEL_WH[0] - inset,
            ]
        )
        alpha = person_alpha(image)
        panels[label] = _Panel(image, alpha, find_regions(image, alpha))

    # the labels "left" and "right" of the sheets are not reliable; the toes show where the person faces
    sides = [panels["left"], panels["right"]]
    facing_right = [panel for panel in sides if _toes_point_right(panel.alpha)]
    facing_left = [panel for panel in sides if not _toes_point_right(panel.alpha)]
    right = facing_right[0] if facing_right else _mirrored(sides[0])
    left_view = facing_left[0] if facing_left else _mirrored(sides[1])
    return {"front": panels["front"], "right": right, "back": panels["back"], "left": left_view}


def _toes_point_right(alpha: NDArray[np.float32]) -> bool:
    body = alpha > 0.5
    rows = np.flatnonzero(body.any(axis=1))
    height = rows[-1] - rows[0]
    feet = np.flatnonzero(body[rows[-1] - int(0.025 * height) :].any(axis=0))
    ankles = np.flatnonzero(body[rows[-1] - int(0.09 * height)])
    return bool(feet[-1] - ankles[-1] > ankles[0] - feet[0])


def _mirrored(panel: _Panel) -> _Panel:
    def flip(mask: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(mask[:, ::-1])

    regions = Regions(**{name: flip(mask) for name, mask in vars(panel.regions).items()})
    return _Panel(np.ascontiguousarray(panel.image[:, ::-1]), flip(panel.alpha), regions)


def _dress_view(panel: _Panel, outfit: Outfit, view: View) -> SpriteView:
    """Recolour one studio picture, add trousers, shoes and backpack, and resize it to the canvas."""
    alpha, regions = panel.alpha, panel.regions
    body = alpha > 0.5
    rows = np.flatnonzero(body.any(axis=1))
    top, height = float(rows[0]), float(rows[-1] + 1 - rows[0])
    share = ((np.arange(len(body)) + 0.5 - top) / height).astype(np.float32)[:, None]
    hips = np.flatnonzero(body[int(top + 0.5 * height)])
    middle = float(hips[0] + hips[-1]) / 2
    across = ((np.arange(body.shape[1]) - middle) / height).astype(np.float32)[None, :]

    colours = extend_colours(panel.image.astype(np.float32), alpha > 0.95)
    image = np.asarray((colours / 255) ** np.float32(2.2), np.float32)
    lightness = image.mean(axis=2)

    def cloth(paint: NDArray[np.float32], region: NDArray[np.float32], contrast: float) -> NDArray[np.float32]:
        shaded: NDArray[np.float32] = paint * shading(lightness, region, contrast)[..., None]
        return shaded

    image = mix(image, image * outfit.hair, regions.hair)
    paint = shirt_paint(outfit, share, across)
    bottom_paint = np.broadcast_to(linear_bgr(outfit.bottom), image.shape).astype(np.float32)
    shirt, shorts = cloth(paint, regions.shirt, 1.25), cloth(bottom_paint, regions.shorts, 1.1)
    dressed = mix(image, shorts, regions.shorts)

    sleeves = cloth(paint, regions.arms, 0.55) * 0.92
    if outfit.long_sleeves:
        dressed = mix(dressed, sleeves, regions.arms)
    dressed = mix(dressed, shirt, regions.shirt)
    if outfit.trousers:
        covered = np.maximum(_widened(regions.legs, 0.011 * height, smooth_px=0.012 * height), regions.shorts)
        # straight from the shorts down to the calf, not narrower above the knee
        tall = np.ones((round(0.10 * height), 1), np.uint8)
        closed = np.asarray(cv2.morphologyEx(covered, cv2.MORPH_CLOSE, tall), np.float32)
        leg_mask = np.where((share > 0.56) & (share < 0.955), closed, 0).astype(np.float32)
        leg_mask = np.asarray(cv2.GaussianBlur(leg_mask, (0, 0), 1.0), np.float32)
        leg_cloth = cloth(bottom_paint, regions.legs, 0.6)
        dressed = mix(dressed, extend_colours(leg_cloth, regions.legs > 0.5), leg_mask * (1 - regions.hands))
        dressed = mix(dressed, shorts, regions.shorts)
        alpha = np.maximum(alpha, leg_mask)
    shoe_mask = _widened(regions.feet, 0.005 * height, smooth_px=1.0)
    shoe = np.broadcast_to(linear_bgr(outfit.shoes), image.shape).astype(np.float32)
    shoe = extend_colours(cloth(shoe, regions.feet, 0.5), regions.feet > 0.5)
    sole = np.broadcast_to((share > 0.988).astype(np.float32), shoe_mask.shape)
    shoe = mix(shoe, np.asarray(0.25 * (0.4 + shoe), np.float32), sole)
    dressed = mix(dressed, shoe, shoe_mask)
    alpha = np.maximum(alpha, shoe_mask)

    arm: NDArray[np.float32] | None = None
    if view in ("left", "right"):
        arm_mask = np.clip(regions.arms + regions.hands, 0, 1) * alpha
        arm = np.dstack([dressed * arm_mask[..., None], arm_mask]).astype(np.float32)
        # below the arm: shirt down to the hem, then the bottoms
        under = np.where(share[..., None] < 0.5, sleeves, cloth(bottom_paint, regions.hands, 0.5))
        dressed = mix(dressed, np.asarray(under * 0.9, np.float32), arm_mask)
        alpha = alpha * (1 - _before_hips(body, share, facing_right=view == "right"))  # only the hand was there

    if outfit.backpack is not None:
        dressed, alpha = _with_backpack(dressed, alpha, outfit.backpack, view, share, across)

    premultiplied = np.dstack([dressed * alpha[..., None], alpha]).astype(np.float32)
    to_canvas = _canvas_transform(top, height, middle)
    return SpriteView(
        body=_resized(premultiplied, to_canvas),
        arm=None if arm is None else _resized(arm, to_canvas),
        middle_px=CANVAS_WH[0] / 2,
        shoulder_row=FOOT_ROW - BODY_PX * (1 - 0.235),
    )


def _before_hips(body: NDArray[np.bool_], share: NDArray[np.float32], facing_right: bool) -> NDArray[np.float32]:
    """Return (H, W), 1 for pixels of a side view in front of waist and thigh, at the height of the hands."""
    outside = np.zeros(body.shape, np.float32)
    waist, thigh = (int(np.argmin(np.abs(share - at))) for at in (0.45, 0.63))
    edges = [np.flatnonzero(body[row])[-1 if facing_right else 0] for row in (waist, thigh)]
    for row in range(waist, thigh):
        edge = round(edges[0] + (edges[1] - edges[0]) * (row - waist) / (thigh - waist))
        outside[row, slice(edge + 1, None) if facing_right else slice(0, edge)] = 1
    return np.asarray(cv2.GaussianBlur(outside, (0, 0), 1.0), np.float32)


def _canvas_transform(top: float, height: float, middle: float) -> NDArray[np.float64]:
    scale = BODY_PX / height
    return np.array([[scale, 0, CANVAS_WH[0] / 2 - scale * middle], [0, scale, FOOT_ROW - scale * (top + height)]])


def _resized(image: NDArray[np.float32], transform: NDArray[np.float64]) -> NDArray[np.float32]:
    scale = float(transform[0, 0])
    blurred = cv2.GaussianBlur(image, (0, 0), max(0.3, 0.4 / scale))  # antialiasing before decimation
    return np.asarray(cv2.warpAffine(blurred, transform, CANVAS_WH, flags=cv2.INTER_LINEAR), np.float32)


def _widened(mask: NDArray[np.float32], by_px: float, smooth_px: float) -> NDArray[np.float32]:
    """Widen a mask, for cloth that is wider than the limb, and smooth its outline along the limb."""
    size = 2 * round(by_px) + 1
    grown = cv2.dilate(mask, np.ones((1, size), np.uint8))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), sigmaX=1.0, sigmaY=smooth_px), np.float32)


def _with_backpack(
    image: NDArray[np.float32],
    alpha: NDArray[np.float32],
    colour: tuple[int, int, int],
    view: View,
    share: NDArray[np.float32],
    across: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw a backpack: all of it from behind, half of it from the side, two straps from the front."""
    if view == "front":
        strap = (np.abs(np.abs(across) - 0.062) < 0.0095) & (share > 0.175) & (share < 0.33)
        mask = strap.astype(np.float32)
        light = np.ones_like(alpha)
    else:
        behind = {"back": 0.0, "right": -0.085, "left": 0.085}[view]
        half_width = 0.078 if view == "back" else 0.05
        # superellipse: a box with rounded corners
        u, v = (across - behind) / half_width, (share - 0.30) / 0.118
        inside = 1 - (np.abs(u) ** 4 + np.abs(v) ** 4)
        mask = np.clip(inside * 6, 0, 1).astype(np.float32)
        pocket = (np.abs(v - 0.42) < 0.035) & (np.abs(u) < 0.75)
        light = (0.75 + 0.3 * np.clip(-v, -0.6, 0.9)) * (1 - 0.35 * u**2) * np.where(pocket, 0.55, 1.0)
        if view != "back":
            covered = np.clip((alpha - 0.5) * 2, 0, 1) * (np.sign(behind) * across < 0.04)
            mask = mask * (1 - covered)
    mask = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0), np.float32)
    if view == "front":
        mask = mask * alpha
    paint = (linear_bgr(colour) * light.astype(np.float32)[..., None]).astype(np.float32)
    return mix(image, paint, mask), np.maximum(alpha, mask)
