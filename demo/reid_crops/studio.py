"""Render crops: one person in one camera, among other people and objects."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reid_crops.avatars import Avatar, load_avatar
from demo.reid_crops.figures import Figure, PosedFigure, dress, put
from demo.reid_crops.looks import Look, Wardrobe, draw_look
from demo.reid_crops.photograph import photograph
from demo.reid_crops.places import Place, SurveillanceCamera, light_at, to_walkers
from demo.reid_crops.poses import draw_pose
from demo.reid_crops.rasteriser import Floats, Piece, Rasteriser
from demo.reid_crops.scenery import Scenery, build_scenery, draw_obstacle
from demo.reid_crops.surfaces import draw_cloth, draw_panorama
from demo.reid_crops.views import lamp, look_at, window

CROP_WH = (128, 256)
SUPERSAMPLING = 2
PASSERS_BY = 48  # people who appear only beside or behind others
KEPT_AVATARS = 60
PANORAMAS = 10  # number of generated panoramas
BESIDE_SHARE, BEHIND_SHARE, OBSTACLE_SHARE = 0.24, 0.3, 0.14
LEAST_SEEN = 0.12  # share of a crop's pixels that must show its person; a whole person fills about 0.35
TRIES = 5  # attempts, with other people in other places, until the person is visible
LIT_M = 3.2  # radius of the area with shadows


@dataclass(frozen=True)
class Visit:
    """One person in front of one camera, in several crops.

    Attributes:
        person, camera: indices, from 0.
        seed: random seed of these crops.
        crops: number of crops.
    """

    person: int
    camera: int
    seed: tuple[int, ...]
    crops: int


@dataclass(frozen=True, eq=False)
class _Shown:
    """A figure with its uploaded textures."""

    figure: Figure
    skin: Any
    wig: Any

    def pieces(self, posed: PosedFigure, cloth: Any, marked: bool = False) -> list[Piece]:
        pieces = [Piece(posed.body, self.skin, marked=marked)]
        if posed.wig is not None:
            pieces.append(Piece(posed.wig, self.wig, 0.02, marked))
        if posed.worn is not None:
            pieces.append(Piece(posed.worn, cloth, marked=marked))
        return pieces

    def release(self) -> None:
        self.skin.release()
        if self.wig is not None:
            self.wig.release()


class Studio:
    """Renders crops of a population; caches avatars, sceneries and passers-by."""

    def __init__(
        self,
        *,
        rasteriser: Rasteriser,
        avatars: list[Path],
        people: list[Look],
        places: list[Place],
        cameras: list[SurveillanceCamera],
        wardrobe: Wardrobe,
        panoramas: list[NDArray[np.uint8]],
        seed: int,
    ) -> None:
        self._rasteriser, self._files, self._people = rasteriser, avatars, people
        self._places, self._cameras = places, cameras
        self._avatars: OrderedDict[int, Avatar] = OrderedDict()
        self._sceneries: dict[int, Scenery] = {}
        rng = np.random.default_rng([seed, 0x0B])
        self._panoramas = panoramas + [draw_panorama(rng) for _ in range(PANORAMAS)]
        self._cloth = rasteriser.texture(draw_cloth(rng))
        self._passers_by = [draw_look(rng, wardrobe) for _ in range(PASSERS_BY)]
        self._shown: dict[int, _Shown] = {}

    def crops(self, visits: list[Visit]) -> list[list[NDArray[np.uint8]]]:
        """Render crops (256, 128, 3) uint8 BGR of all visits of one person."""
        if not visits:
            return []
        target = self._show(self._people[visits[0].person])
        taken = [self._visit(target, visit) for visit in visits]
        target.release()
        return taken

    def _visit(self, target: _Shown, visit: Visit) -> list[NDArray[np.uint8]]:
        rng = np.random.default_rng(visit.seed)
        camera = self._cameras[visit.camera]
        place = self._places[camera.place]
        walks = bool(rng.random() < 0.78)
        heading = _draw_heading(rng, camera)
        way = float(rng.uniform(0.3, 1.0))  # metres between crops
        spot = rng.normal(0, (1.2, 1.0))
        pictures = []
        for _ in range(visit.crops):
            turned = heading + float(rng.normal(0, 0.16 if walks else 0.6))
            if walks:
                spot = spot + way * np.array([np.sin(turned), np.cos(turned)])
            spot = np.clip(spot, (-2.5, -1.2), (2.5, min(2.2, 0.4 * camera.away_m)))
            for _ in range(TRIES):
                picture, seen = self._crop(target, place, camera, spot, turned, walks, rng)
                if seen >= LEAST_SEEN:
                    break
            pictures.append(picture)
        return pictures

    def _crop(
        self,
        target: _Shown,
        place: Place,
        camera: SurveillanceCamera,
        spot: NDArray[np.float64],
        heading: float,
        walks: bool,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.uint8], float]:
        """Render a crop; return it with the share of its pixels that show the person."""
        scenery = self._scenery(camera)
        look = target.figure.look
        pose = draw_pose(rng, target.figure.arms(), walks, look.gait)
        posed = put(target.figure, pose, (float(spot[0]), float(spot[1])), heading)
        figures, contacts = target.pieces(posed, self._cloth, marked=True), [posed.contacts()]
        for other, other_spot in self._others(rng, place, spot, camera):
            alike = heading if rng.random() < 0.5 else float(rng.uniform(0, 2 * np.pi))
            other_pose = draw_pose(rng, other.figure.arms(), bool(rng.random() < 0.7), other.figure.look.gait)
            other_posed = put(other.figure, other_pose, other_spot, alike)
            figures += other.pieces(other_posed, self._cloth)
            contacts.append(other_posed.contacts())
        scene = list(scenery.pieces)
        if rng.random() < OBSTACLE_SHARE:
            scene.append(Piece(draw_obstacle(rng, spot, camera), self._cloth))
        eye = to_walkers(camera)
        view = look_at(eye, np.array([spot[0], 0.9, spot[1]], np.float32))
        box = _draw_box(rng, _slopes(posed.points(), view), camera)
        distance = float(np.linalg.norm(eye - np.array([0, 0.9, 0])))
        pixels_a_slope = camera.person_px * distance / 1.7
        width = max(8, round(float(box[2] - box[0]) * pixels_a_slope))
        height = max(16, round(float(box[3] - box[1]) * pixels_a_slope))
        shrink = min(1.0, 1.25 * CROP_WH[1] / height)
        width, height = max(8, round(width * shrink)), round(height * shrink)
        light = light_at(place, camera, rng)
        centre = np.array([spot[0], 0.9, spot[1]], np.float32)
        drawn, seen = self._rasteriser.draw(
            figures=figures,
            scene=scene,
            sky=scenery.sky,
            light=light,
            contacts=np.concatenate(contacts),
            to_clip=window(box[0], box[2], box[1], box[3], 0.2, 120) @ view,
            to_light=lamp(centre, light.to_sun, LIT_M),
            eye=eye,
            size_wh=(width * SUPERSAMPLING, height * SUPERSAMPLING),
            ground_pieces=1,
        )
        native = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        picture = photograph(native, camera, rng)
        return np.asarray(cv2.resize(picture, CROP_WH, interpolation=cv2.INTER_CUBIC), np.uint8), float(
            seen.mean()
        )

    def _others(
        self, rng: np.random.Generator, place: Place, spot: NDArray[np.float64], camera: SurveillanceCamera
    ) -> list[tuple[_Shown, tuple[float, float]]]:
        """Draw the other people in the picture, and their positions."""
        spots = []
        if rng.random() < BESIDE_SHARE * (0.5 + place.crowd):
            side = 1 if rng.random() < 0.5 else -1
            spots.append(spot + np.array([side * rng.uniform(0.36, 0.85), rng.uniform(-0.7, 0.8)]))
        if rng.random() < BEHIND_SHARE * (0.5 + place.crowd):
            for _ in range(int(rng.integers(1, 3))):
                spots.append(spot + np.array([rng.normal(0, 0.9), -rng.uniform(0.8, 5)]))
        return [
            (self._passer_by(int(rng.integers(PASSERS_BY))), (float(at[0]), float(min(at[1], camera.away_m - 2))))
            for at in spots
        ]

    def _passer_by(self, number: int) -> _Shown:
        if number not in self._shown:
            self._shown[number] = self._show(self._passers_by[number])
        return self._shown[number]

    def _show(self, look: Look) -> _Shown:
        wig = None if look.wig is None else self._avatar(look.wig).wig
        figure = dress(look, self._avatar(look.avatar), wig)
        texture = None if figure.wig_texture is None else self._rasteriser.texture(figure.wig_texture)
        return _Shown(figure, self._rasteriser.texture(figure.skin), texture)

    def _avatar(self, number: int) -> Avatar:
        if number not in self._avatars:
            self._avatars[number] = load_avatar(self._files[number])
            if len(self._avatars) > KEPT_AVATARS:
                self._avatars.popitem(last=False)
        self._avatars.move_to_end(number)
        return self._avatars[number]

    def _scenery(self, camera: SurveillanceCamera) -> Scenery:
        if camera.number not in self._sceneries:
            place = self._places[camera.place]
            self._sceneries[camera.number] = build_scenery(
                camera, place, self._panoramas, self._cloth, self._rasteriser
            )
        return self._sceneries[camera.number]


def _draw_heading(rng: np.random.Generator, camera: SurveillanceCamera) -> float:
    """Draw a heading; 0 faces the camera, pi shows the back."""
    if rng.random() < camera.front_share:
        return float((0 if rng.random() < 0.5 else np.pi) + rng.normal(0, 0.4))
    return float((np.pi / 2 if rng.random() < 0.5 else -np.pi / 2) + rng.normal(0, 0.35))


def _slopes(points: Floats, view: Floats) -> Floats:
    """Return the bounding box of points (N, 3) as slopes: left, bottom, right, top."""
    seen = points @ view[:3, :3].T + view[:3, 3]
    slopes = seen[:, :2] / np.maximum(-seen[:, 2:], 0.2)
    return np.concatenate([slopes.min(axis=0), slopes.max(axis=0)])


def _draw_box(rng: np.random.Generator, exact: Floats, camera: SurveillanceCamera) -> Floats:
    """Draw a box like that of a detector: tight or loose, shifted, sometimes without feet or head."""
    left, bottom, right, top = (float(v) for v in exact)
    high = top - bottom
    error = camera.box_error * high
    left, right = left + float(rng.normal(-0.01 * high, error)), right + float(rng.normal(0.01 * high, error))
    bottom, top = bottom + float(rng.normal(-0.5 * error, error)), top + float(rng.normal(0.5 * error, error))
    draw = rng.random()
    if draw < 0.08:
        bottom += float(rng.uniform(0.06, 0.3)) * high
    elif draw < 0.11:
        top -= float(rng.uniform(0.03, 0.12)) * high
    elif draw < 0.2:
        grow = float(rng.uniform(0.05, 0.16)) * high
        left, right, bottom, top = left - grow, right + grow, bottom - grow * 0.8, top + grow * 0.8
    middle, least = (left + right) / 2, float(rng.uniform(0.3, 0.46)) * high
    if right - left < least:
        left, right = middle - least / 2, middle + least / 2
    return np.array([left, bottom, right, top], np.float32)
