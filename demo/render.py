"""Draw a scene: background, shadows, people by depth, then the effects of lens and sensor of each camera."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from demo.background import Background, render_background
from demo.cameras import Camera
from demo.choreography import Scene, Standing
from demo.gait import step_length_m, walk
from demo.ground_truth import TruthBox, write_benchmark_set, write_cameras, write_floor, write_mot
from demo.hall import CEILING_M, Hall
from demo.light_map import LightMap, light_map
from demo.people import BODY_PX, CANVAS_WH, FOOT_ROW, Person, View, Wardrobe
from demo.settings import SceneSettings

Array = NDArray[np.float32]

CONTRAST = 1.12  # exponent on top of the sRGB curve
NEAR_M = 0.8  # nearer people are not drawn, because the camera would see them from above
VIEW_OF_QUARTER: tuple[View, ...] = ("front", "right", "back", "left")
VIEW_HYSTERESIS_DEG = 53.0  # a view is kept up to this angle from its axis, so that it does not flicker at 45
SHOE_DEPTH_M: dict[View, float] = {"front": 0.11, "back": 0.11, "left": 0.05, "right": 0.05}  # half the depth
SIDE_TO_FRONT_WIDTH = 0.62  # body depth over body width
VIDEO_QUALITY = "21"  # x264's crf


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The pixels of a person in the image: premultiplied linear BGRA (h, w, 4) with its top left corner."""

    standing: Standing
    view: View
    layer: Array
    left: int
    top: int
    distance_m: float
    whole_area: float  # sum of alpha, including parts outside the image
    extent_xyxy: tuple[float, float, float, float]  # of the whole person, may extend outside the image
    reflection: Array


@dataclass
class CameraRenderer:
    """Draws the frames of one camera in order.

    Attributes:
        camera, size_wh: the camera and its image size in pixels.
        background: picture of the empty hall.
        lights: light on the floor.
        hall: its lamps cast the shadows.
    """

    camera: Camera
    size_wh: tuple[int, int]
    background: Background
    lights: LightMap
    hall: Hall
    _views: dict[int, View] = field(default_factory=dict)

    def draw(
        self, people: dict[int, Person], standing: list[Standing], frame_index: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], list[TruthBox]]:
        """Draw one frame (H, W, 3) uint8 BGR; return it with the boxes of all people not fully hidden by scenery."""
        drawn = [self._sprite(people[s.global_id], s) for s in standing]
        near_first = sorted((d for d in drawn if d is not None), key=lambda d: d.distance_m)
        boxes = self._measure(near_first, frame_index)
        image = self.background.image.copy()
        for item in near_first:
            self._shadow(image, people[item.standing.global_id], item)
        for item in reversed(near_first):
            self._reflect(image, item)
        for item in reversed(near_first):
            self._composite(image, item)
        return self._develop(image, rng), boxes

    def _sprite(self, person: Person, standing: Standing) -> _Drawn | None:
        """Warp the sprite of a person to its position in the image; None if it is not visible."""
        x, y = standing.position_m
        axis = np.array([[x, y, 0.0], [x, y, person.height_m], [x, y, person.height_m / 2], [x, y, -1.0]])
        pixels, depth = self.camera.project(axis, self.size_wh)
        if depth.min() < NEAR_M:
            return None
        foot, head = pixels[0], pixels[1]
        view, obliqueness = self._view(standing)
        picture = walk(person.views[view], view, standing.phase_rad, obliqueness)

        scale_up = float(np.linalg.norm(foot - head)) / BODY_PX
        across = self.camera.focal_px(self.size_wh) / depth[2] * person.height_m / BODY_PX
        if view in ("front", "back"):
            across *= math.hypot(math.sqrt(1 - obliqueness**2), SIDE_TO_FRONT_WIDTH * obliqueness)
        up = (head - foot) / np.linalg.norm(head - foot)
        # The sprite stands upright in the world, parallel to the rows of the image: its rows remain rows, its columns
        # may lean. Its middle column at FOOT_ROW is mapped to the foot.
        linear = np.column_stack([np.array([across, 0.0]), -up * scale_up])
        origin = np.array([CANVAS_WH[0] / 2, FOOT_ROW])
        to_image = np.column_stack([linear, foot - linear @ origin])

        alpha = picture[..., 3]
        contours, _ = cv2.findContours((alpha > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = np.concatenate(contours)[:, 0].astype(np.float64)
        corners = np.concatenate([outline + np.array([dx, dy]) for dx in (0, 1) for dy in (0, 1)])
        corners[:, 1] = np.minimum(corners[:, 1], FOOT_ROW)
        placed = corners @ linear.T + to_image[:, 2]
        extent = (*placed.min(axis=0), *placed.max(axis=0))
        left, top = math.floor(extent[0]) - 2, math.floor(extent[1]) - 2
        width, height = math.ceil(extent[2]) + 3 - left, math.ceil(extent[3]) + 3 - top
        if left >= self.size_wh[0] or top >= self.size_wh[1] or left + width <= 0 or top + height <= 0:
            return None

        light = 0.30 + 0.75 * float(self.lights.at(np.array([x], np.float32), np.array([y], np.float32))[0])
        rows = np.linspace(0.92, 1.08, CANVAS_WH[1], dtype=np.float32)[::-1, None, None]
        lit = picture * np.concatenate([np.repeat(rows * light, 3, axis=2), np.ones_like(rows)], axis=2)
        antialias = max(0.0, 0.42 * (1 / scale_up - 1))
        if antialias > 0.1:
            lit = cv2.GaussianBlur(lit, (0, 0), antialias)
        layer = _warped(lit, linear, to_image[:, 2] - [left, top], (width, height))
        mirrored = np.column_stack([linear[:, 0], -linear[:, 1]])
        mirror_origin = foot - mirrored @ origin - [left, foot[1] - 1]
        reflection = _warped(lit, mirrored, mirror_origin, (width, height))
        camera_xy = np.array(self.camera.position_m[:2])
        return _Drawn(
            standing=standing,
            view=view,
            layer=layer,
            left=left,
            top=top,
            distance_m=float(np.linalg.norm(standing.position_m - camera_xy)),
            whole_area=float(layer[..., 3].sum()),
            extent_xyxy=(float(extent[0]), float(extent[1]), float(extent[2]), float(extent[3])),
            reflection=reflection,
        )

    def _view(self, standing: Standing) -> tuple[View, float]:
        """Return the visible side, and the sine of the angle between the walking direction and that view."""
        line = standing.position_m - np.array(self.camera.position_m[:2])
        line /= np.linalg.norm(line)
        to_right = float(standing.heading @ np.array([line[1], -line[0]]))
        angle = math.degrees(math.atan2(to_right, -float(standing.heading @ line)))  # 0 front, 90 right
        view = VIEW_OF_QUARTER[round(angle / 90) % 4]
        kept = self._views.get(standing.global_id)
        if kept is not None:
            off = (angle - 90 * VIEW_OF_QUARTER.index(kept) + 180) % 360 - 180
            view = kept if abs(off) < VIEW_HYSTERESIS_DEG else view
        self._views[standing.global_id] = view
        return view, to_right

    def _clip(self, item: _Drawn) -> tuple[slice, slice, slice, slice]:
        """Return the rows and columns that image and layer share, first of the image, then of the layer."""
        height, width = item.layer.shape[:2]
        rows = slice(max(item.top, 0), min(item.top + height, self.size_wh[1]))
        columns = slice(max(item.left, 0), min(item.left + width, self.size_wh[0]))
        return (
            rows,
            columns,
            slice(rows.start - item.top, rows.stop - item.top),
            slice(columns.start - item.left, columns.stop - item.left),
        )

    def _visible_alpha(self, item: _Drawn) -> tuple[slice, slice, Array]:
        """Return image rows and columns, and the person's alpha there, 0 where scenery hides the person."""
        rows, columns, own_rows, own_columns = self._clip(item)
        in_front = self.background.distance_m[rows, columns] < item.distance_m
        alpha = np.where(in_front, 0, item.layer[own_rows, own_columns, 3])
        return rows, columns, alpha.astype(np.float32)

    def _measure(self, near_first: list[_Drawn], frame_index: int) -> list[TruthBox]:
        covered = np.zeros((self.size_wh[1], self.size_wh[0]), np.float32)
        boxes = []
        for item in near_first:
            rows, columns, alpha = self._visible_alpha(item)
            seen = float((alpha * (1 - covered[rows, columns])).sum())
            covered[rows, columns] = np.maximum(covered[rows, columns], alpha)
            solid = alpha > 0.5
            if not solid.any() or item.whole_area <= 0:
                continue
            row_numbers = np.flatnonzero(solid.any(axis=1)) + rows.start
            column_numbers = np.flatnonzero(solid.any(axis=0)) + columns.start
            grid = (column_numbers[0], row_numbers[0], column_numbers[-1] + 1, row_numbers[-1] + 1)
            # the outline has subpixel accuracy; the pixel grid shows where scenery cuts it
            limits = (0, 0, self.size_wh[0], self.size_wh[1])
            exact = [min(max(outline, 0), limits[2 + side % 2]) for side, outline in enumerate(item.extent_xyxy)]
            left, top, right, bottom = (
                fine if abs(fine - coarse) < 2.0 else float(coarse)
                for fine, coarse in zip(exact, grid, strict=True)
            )
            boxes.append(
                TruthBox(
                    frame_index=frame_index,
                    global_id=item.standing.global_id,
                    tlwh=(left, top, right - left, bottom - top),
                    visibility=min(seen / item.whole_area, 1.0),
                )
            )
        return boxes

    def _composite(self, image: Array, item: _Drawn) -> None:
        rows, columns, alpha = self._visible_alpha(item)
        _, _, own_rows, own_columns = self._clip(item)
        layer = item.layer[own_rows, own_columns]
        shown = np.where(alpha > 0, 1, 0)[..., None].astype(np.float32)
        image[rows, columns] = image[rows, columns] * (1 - alpha[..., None]) + layer[..., :3] * shown

    def _reflect(self, image: Array, item: _Drawn) -> None:
        """Draw the reflection of the person in the polished floor, below the feet."""
        x, y = item.standing.position_m
        foot, _ = self.camera.project(np.array([[x, y, 0.0]]), self.size_wh)
        top = round(float(foot[0, 1]) - 1)
        height, width = item.reflection.shape[:2]
        rows = slice(max(top, 0), min(top + height, self.size_wh[1]))
        columns = slice(max(item.left, 0), min(item.left + width, self.size_wh[0]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        part = item.reflection[
            rows.start - top : rows.stop - top, columns.start - item.left : columns.stop - item.left
        ]
        # an object that hides the foot also hides the reflection
        foot_row = min(max(round(float(foot[0, 1])) - 1, 0), self.size_wh[1] - 1)
        in_sight = self.background.distance_m[foot_row, columns] >= item.distance_m
        fade = np.linspace(1, 0.25, height, dtype=np.float32)[rows.start - top : rows.stop - top, None]
        strength = 1.3 * self.background.gloss[rows, columns] * fade
        strength = strength * self.background.is_floor[rows, columns] * in_sight[None, :]
        mirrored = part[..., :3] + 0.25 * (1 - part[..., 3:])
        change = strength[..., None] * part[..., 3:] * (mirrored - 0.45)
        image[rows, columns] = np.maximum(image[rows, columns] + change, 0)

    def _shadow(self, image: Array, person: Person, item: _Drawn) -> None:
        """Darken the floor under the feet, around the body, and in the shadows from the two nearest lamps."""
        standing = item.standing
        x, y = standing.position_m
        reach = 1.3
        around = np.array([[x + dx, y + dy, 0.0] for dx in (-reach, reach) for dy in (-reach, reach)])
        pixels, depth = self.camera.project(around, self.size_wh)
        if depth.min() < NEAR_M:
            return
        low, high = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
        columns = slice(max(low[0], 0), min(high[0], self.size_wh[0]))
        rows = slice(max(low[1], 0), min(high[1], self.size_wh[1]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        # the lower edge of a sprite is the near edge of the shoes; the middle of the shadow is under their middle
        line = standing.position_m - np.array(self.camera.position_m[:2])
        middle = standing.position_m + line / np.linalg.norm(line) * SHOE_DEPTH_M[item.view]
        offset = self.background.floor_xy_m[rows, columns] - middle.astype(np.float32)
        # front and back views hardly show the steps, so the shadows of the feet stay together as well
        apart = 0.15 if item.view in ("front", "back") else 1.0
        half_step = apart * step_length_m(person.height_m) / 2 * math.sin(standing.phase_rad)
        kept = 1 - 0.42 * _blob(offset, standing.heading, (0.0, 0.0), (0.42, 0.34))
        for side in (-1.0, 1.0):
            place = (side * half_step, side * 0.08)
            kept = kept * (1 - 0.55 * _blob(offset, standing.heading, place, (0.15, 0.085)))
        lamps = [
            np.array([(lamp.low_m[0] + lamp.high_m[0]) / 2, (lamp.low_m[1] + lamp.high_m[1]) / 2])
            for lamp in self.hall.lamps
        ]
        lamps.sort(key=lambda lamp: float(np.linalg.norm(lamp - standing.position_m)))
        for lamp in lamps[:2]:
            away = standing.position_m - lamp
            distance = float(np.linalg.norm(away))
            length = min(person.height_m * distance / (CEILING_M - person.height_m), 1.1)
            if length < 0.15:
                continue
            kept = kept * (1 - 0.26 * _blob(offset, away / distance, (length / 2, 0.0), (length / 2, 0.2)))
        kept = np.where(self.background.is_floor[rows, columns], kept, 1)
        image[rows, columns] *= kept[..., None].astype(np.float32)

    def _develop(self, image: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Apply lens blur, vignetting, exposure, colour cast, tone curve and noise; linear light to sRGB bytes."""
        width, height = self.size_wh
        camera = self.camera
        blur = camera.blur_px * width / 640
        if blur > 0.15:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.float32)
        u = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
        v = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
        falloff = 1 - camera.vignette * ((u[None, :] ** 2 + v[:, None] ** 2) / 2) ** 1.4
        gains = np.array(camera.white_balance[::-1], np.float32) * np.float32(1.42 * camera.exposure)
        exposed = image * gains * falloff[..., None].astype(np.float32)
        if camera.saturation != 1:
            grey = exposed @ np.array([0.0722, 0.7152, 0.2126], np.float32)
            exposed = grey[..., None] + np.float32(camera.saturation) * (exposed - grey[..., None])
        exposed = np.maximum(exposed, 0)
        # linear up to 0.6, then compressed so that bright lamps do not clip
        knee = np.float32(0.6)
        bent = knee + (1 - knee) * (1 - np.exp(-(exposed - knee) / (1 - knee)))
        encoded = np.where(exposed > knee, bent, exposed) ** np.float32(CONTRAST / 2.2)
        grain = rng.standard_normal((height, width, 1), np.float32)
        grain = 0.8 * grain + 0.45 * rng.standard_normal((height, width, 3), np.float32)
        noisy = encoded * 255 + grain * np.float32(camera.noise) * (1.25 - 0.5 * encoded)
        developed: NDArray[np.uint8] = np.clip(noisy + 0.5, 0, 255).astype(np.uint8)
        return developed


def _blob(
    offset_m: Array, direction: NDArray[np.float64], middle_m: tuple[float, float], size_m: tuple[float, float]
) -> Array:
    """Return a Gaussian on the floor, 1 in its middle, with axes along and across `direction`."""
    along = offset_m[..., 0] * direction[0] + offset_m[..., 1] * direction[1] - middle_m[0]
    across = offset_m[..., 1] * direction[0] - offset_m[..., 0] * direction[1] - middle_m[1]
    blob: Array = np.exp(-0.5 * ((along / size_m[0]) ** 2 + (across / size_m[1]) ** 2) * 1.8)
    return blob


def _warped(
    picture: Array, linear: NDArray[np.float64], offset: NDArray[np.float64], size_wh: tuple[int, int]
) -> Array:
    """Warp a sprite by an affine map between image frames in which (0, 0) is the corner of a pixel."""
    # in warpAffine, (0, 0) is the centre of a pixel
    shift = offset + linear @ [0.5, 0.5] - 0.5
    warped = cv2.warpAffine(
        picture, np.column_stack([linear, shift]), size_wh, flags=cv2.INTER_LINEAR, borderValue=0
    )
    return np.asarray(warped, np.float32)


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """The frames of all cameras at one moment.

    Attributes:
        frame_index: 0-based.
        images: one (H, W, 3) uint8 BGR per camera.
        boxes: the true boxes per camera.
        standing: all people in the hall.
    """

    frame_index: int
    images: list[NDArray[np.uint8]]
    boxes: list[list[TruthBox]]
    standing: list[Standing]


def render_frames(settings: SceneSettings, wardrobe: Wardrobe | None = None) -> Iterator[RenderedFrame]:
    """Draw a scene frame by frame, deterministically.

    Args:
        settings: the scene.
        wardrobe: pass the same one for several scenes to cut out each person only once.

    Raises:
        InputError: openpeople is not installed, or does not have a person of `settings.source_ids`.
    """
    scene = Scene.of(settings)
    wardrobe = wardrobe or Wardrobe()
    sources = settings.source_ids or tuple(wardrobe.source_ids())
    people = {
        number + 1: wardrobe.dress(sources[number % len(sources)], outfit, scene.heights_m[number])
        for number, outfit in enumerate(scene.outfits)
    }
    lights = light_map(scene.hall)
    renderers = [
        CameraRenderer(
            camera=camera,
            size_wh=settings.size_wh,
            background=render_background(scene.hall, lights, camera, settings.size_wh, settings.supersampling),
            lights=lights,
            hall=scene.hall,
        )
        for camera in settings.cameras
    ]
    noise = [np.random.default_rng([settings.seed, 100 + number]) for number in range(len(renderers))]
    for frame_index in range(settings.frame_count):
        standing = scene.people_at(scene.time_s(frame_index))
        drawn = [
            renderer.draw(people, standing, frame_index, rng)
            for renderer, rng in zip(renderers, noise, strict=True)
        ]
        yield RenderedFrame(frame_index, [image for image, _ in drawn], [boxes for _, boxes in drawn], standing)


class VideoFile:
    """Writes an H.264 file in yuv420p frame by frame; a context manager."""

    def __init__(self, path: Path, size_wh: tuple[int, int], fps: int) -> None:
        self._container = av.open(str(path), "w")
        stream = self._container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        # one thread, so that the bytes do not depend on the number of cores
        stream.codec_context.thread_count = 1
        stream.options = {"crf": VIDEO_QUALITY, "preset": "slow"}
        self._stream = stream

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *_: object) -> None:
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one (H, W, 3) uint8 BGR frame."""
        for packet in self._stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
            self._container.mux(packet)


def render_scene(settings: SceneSettings, output: Path, wardrobe: Wardrobe | None = None) -> None:
    """Render to files in `output`: NAME.mp4 and NAME_gt.txt of each camera, floor.csv, cameras.yaml, set.yaml.

    Raises:
        InputError: as in `render_frames`.
    """
    truth: list[list[TruthBox]] = [[] for _ in settings.cameras]
    floor: list[tuple[int, float, int, float, float]] = []
    with ExitStack() as stack:
        videos: list[VideoFile] = []
        for frame in render_frames(settings, wardrobe):
            if not videos:  # opened here, so that an error before the first frame leaves no files
                output.mkdir(parents=True, exist_ok=True)
                paths = [output / f"{camera.name}.mp4" for camera in settings.cameras]
                videos = [stack.enter_context(VideoFile(path, settings.size_wh, settings.fps)) for path in paths]
            for number, video in enumerate(videos):
                video.write(frame.images[number])
                truth[number] += frame.boxes[number]
            time_s = frame.frame_index / settings.fps
            floor += [
                (frame.frame_index, time_s, s.global_id, float(s.position_m[0]), float(s.position_m[1]))
                for s in frame.standing
            ]
    for camera, boxes in zip(settings.cameras, truth, strict=True):
        write_mot(output / f"{camera.name}_gt.txt", boxes)
    write_floor(output / "floor.csv", floor)
    write_cameras(output / "cameras.yaml", settings.cameras, settings.size_wh)
    write_benchmark_set(output / "set.yaml", settings.cameras)
