"""Effects of a cheap camera: exposure, colour cast, blur, noise, sharpening, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.reid_crops.places import SurveillanceCamera
from demo.reid_crops.rasteriser import Floats

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
LEAST_LIGHT = 0.06  # mean linear light below which the automatic gain is active


def photograph(light: Floats, camera: SurveillanceCamera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Convert linear light (H, W, 3) RGB at the camera's resolution to a picture (H, W, 3) uint8 BGR."""
    exposed = light * np.array(camera.cast, np.float32) * np.float32(camera.exposure * np.exp(rng.normal(0, 0.06)))
    # automatic gain, so that no picture is completely black
    exposed = exposed * np.float32(np.clip(LEAST_LIGHT / max(float(exposed.mean()), 1e-4), 1, 6) ** 0.8)
    exposed = exposed + np.float32(camera.haze)
    blur = camera.blur_px * float(rng.uniform(0.7, 1.4))
    if rng.random() < 0.08:  # motion blur
        length = max(2, round(float(rng.uniform(0.01, 0.03)) * len(light)))
        exposed = np.asarray(cv2.blur(exposed, (length, 1)), np.float32)
    exposed = np.asarray(cv2.GaussianBlur(exposed, (0, 0), max(blur, 0.1)), np.float32)
    # compress highlights
    over = np.maximum(exposed - 0.7, 0)
    exposed = np.minimum(exposed, 0.7) + over / (1 + over / 0.35)
    grain = rng.normal(size=exposed.shape).astype(np.float32)
    grain = 0.6 * grain + 0.4 * grain.mean(axis=2, keepdims=True)
    level = np.clip(exposed, 0, 1) ** np.float32(1 / (2.2 * camera.gamma))
    level = level + camera.noise * grain * (1.2 - 0.6 * level)
    level = (level - 0.42) * np.float32(camera.contrast) + 0.42
    grey = (level @ LUMA)[..., None]
    level = grey + (level - grey) * np.float32(camera.saturation)
    if camera.sharpening:
        level = level + camera.sharpening * (level - cv2.GaussianBlur(level, (0, 0), 1.1))
    picture = (np.clip(level, 0, 1) * 255).astype(np.uint8)[..., ::-1]
    quality = int(np.clip(camera.jpeg + rng.integers(-6, 7), 15, 98))
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
