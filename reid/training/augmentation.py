"""Augmentation that imitates cameras, on whole batches of crops, on any device.

All randomness comes from the given generator: the same generator state gives the same batch on every device, up to
rounding. The order follows the light: position of the box, occlusion, optics, sensor, compression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from reid.training.config import AugmentationConfig

#: ITU-R BT.601 luma, as in JPEG (JFIF).
_LUMA = (0.299, 0.587, 0.114)
_ERASE_AREA = (0.02, 1 / 3)  # share of the image; Zhong et al., Random Erasing Data Augmentation, AAAI 2020
_ERASE_ASPECT = (0.3, 1 / 0.3)  # height / width
_ERASE_TRIES = 10
_BLUR_TAPS = 11  # longest motion blur in pixels of the input
_STRIP_SHARE = (0.1, 0.4)  # share of the width, or of the height from below, that an occlusion covers
_JPEG_QUALITY = (20.0, 80.0)
#: Quantisation of luma at quality 50: annex K.1 of the JPEG standard (ITU-T T.81).
_JPEG_LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
#: The same for colour differences: the lowest frequencies; all others have 99.
_JPEG_COLOUR_TABLE = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))
_JPEG_COLOUR_REST = 99
_JPEG_BLOCK = 8


class BatchAugmentation:
    """Converts uint8 crops to randomly augmented input of a model."""

    def __init__(self, config: AugmentationConfig, mean: Sequence[float], std: Sequence[float]) -> None:
        """
        Args:
            mean, std: per RGB channel, for pixels in [0, 1].
        """
        self._config = config
        self._mean, self._std = mean, std
        self._noise_tile: Tensor | None = None

    def __call__(self, crops: Tensor, rng: np.random.Generator) -> Tensor:
        """Augment a batch.

        Args:
            crops: (B, 3, H, W) uint8, RGB, of the model's input size.

        Returns:
            (B, 3, H, W) float32 on the device of `crops`, normalised.
        """
        config = self._config
        pixels = crops.float() / 255
        pixels = self._placed(pixels, rng)
        if config.occlusion_probability:
            pixels = _somebody_in_front(pixels, _chosen(len(pixels), config.occlusion_probability, rng), rng)
        if config.low_resolution_probability:
            chosen = _chosen(len(pixels), config.low_resolution_probability, rng)
            pixels = _coarse(pixels, chosen, config.smallest_scale, rng)
        if config.blur_probability:
            pixels = _blurred(pixels, _chosen(len(pixels), config.blur_probability, rng), rng)
        pixels = self._coloured(pixels, rng)
        if config.noise:
            deviation = _column(rng.uniform(0, config.noise, len(pixels)), pixels)
            pixels = pixels + self._noise(pixels, rng) * deviation
        pixels = pixels.clamp(0, 1)
        if config.jpeg_probability:
            pixels = _coded(pixels, _chosen(len(pixels), config.jpeg_probability, rng), rng)
        mean, std = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (self._mean, self._std))
        pixels = (pixels - mean) / std
        for index in np.flatnonzero(_chosen(len(pixels), config.erasing_probability, rng)).tolist():
            erase_rectangle(pixels[index], rng)
        return pixels

    def _placed(self, pixels: Tensor, rng: np.random.Generator) -> Tensor:
        """Mirror crops, shift them within a zero border, and jitter size and position of the box."""
        config = self._config
        batch, _, height, width = pixels.shape
        flip = rng.random(batch) < config.flip_probability
        mirrored = torch.from_numpy(flip).to(pixels.device)[:, None, None, None]
        pixels = torch.where(mirrored, pixels.flip(3), pixels)
        if config.pad_px:
            corners = rng.integers(0, 2 * config.pad_px + 1, size=(batch, 2)).tolist()
            padded = functional.pad(pixels, [config.pad_px] * 4)
            pixels = torch.stack(
                [
                    one[:, top : top + height, left : left + width]
                    for one, (top, left) in zip(padded, corners, strict=True)
                ]
            )
        if config.box_jitter or config.box_shift:
            theta = np.zeros((batch, 2, 3), np.float32)
            zoom = np.exp(rng.uniform(-1, 1, (batch, 2)) * config.box_jitter)
            theta[:, 0, 0], theta[:, 1, 1] = zoom.T
            theta[:, :, 2] = rng.uniform(-1, 1, (batch, 2)) * 2 * config.box_shift  # grid sides are 2 long
            grid = functional.affine_grid(
                torch.from_numpy(theta).to(pixels.device), list(pixels.shape), align_corners=False
            )
            pixels = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        return pixels

    def _noise(self, pixels: Tensor, rng: np.random.Generator) -> Tensor:
        """Return N(0, 1) noise of the shape of `pixels`: windows of one tile, because drawing new noise would take more
        time than all other steps together."""
        batch, _, height, width = pixels.shape
        tile = self._noise_tile
        if tile is None or tile.shape[1:] != (2 * height, 2 * width) or tile.device != pixels.device:
            drawn = np.random.default_rng(0).standard_normal((3, 2 * height, 2 * width), dtype=np.float32)
            tile = self._noise_tile = torch.from_numpy(drawn).to(pixels.device)
        corners = zip(
            rng.integers(0, height + 1, batch).tolist(), rng.integers(0, width + 1, batch).tolist(), strict=True
        )
        windows = torch.stack([tile[:, top : top + height, left : left + width] for top, left in corners])
        return windows * _column(rng.choice([-1.0, 1.0], batch), pixels)

    def _coloured(self, pixels: Tensor, rng: np.random.Generator) -> Tensor:
        """Change exposure, colour cast, gamma, contrast and saturation, as another camera would."""
        config = self._config
        batch = len(pixels)

        def factor(strength: float, channels: int = 1) -> Tensor:
            """Draw (B, channels, 1, 1) factors, log-uniform in 1 / (1 + strength) to 1 + strength."""
            drawn = np.exp(rng.uniform(-1, 1, (batch, channels)) * math.log1p(strength))
            return torch.from_numpy(drawn.astype(np.float32))[:, :, None, None].to(pixels.device)

        if config.gamma_jitter:
            pixels = pixels.clamp_min(1e-4) ** factor(config.gamma_jitter)
        if config.brightness_jitter or config.colour_cast:
            pixels = pixels * (factor(config.brightness_jitter) * factor(config.colour_cast, 3))
        if config.contrast_jitter:
            middle = pixels.mean((1, 2, 3), keepdim=True)
            pixels = middle + (pixels - middle) * factor(config.contrast_jitter)
        if config.saturation_jitter or config.grey_probability:
            grey = (pixels * pixels.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
            keep = factor(config.saturation_jitter)
            is_grey = torch.from_numpy(_chosen(batch, config.grey_probability, rng)).to(pixels.device)
            keep = keep * (~is_grey)[:, None, None, None]
            pixels = grey + (pixels - grey) * keep
        return pixels


def _chosen(batch: int, probability: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    return np.asarray(rng.random(batch) < probability)


def _column(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, 1, 1) on the device of `like`."""
    return torch.from_numpy(values.astype(np.float32)).to(like.device)[:, None, None, None]


def _somebody_in_front(pixels: Tensor, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Tensor:
    """Cover the left, the right or the lower part of crops with a strip of another crop of the batch."""
    batch, _, height, width = pixels.shape
    result = pixels.clone()
    for index in np.flatnonzero(chosen).tolist():
        other = int(rng.integers(batch))
        side, share = int(rng.integers(3)), rng.uniform(*_STRIP_SHARE)
        w, h = max(1, round(share * width)), max(1, round(share * height))
        if side == 2:
            top = int(rng.integers(0, height - h + 1))
            result[index, :, -h:] = pixels[other, :, top : top + h]
            continue
        left = int(rng.integers(width // 4, width - w + 1)) if width - w >= width // 4 else 0
        strip = pixels[other, :, :, left : left + w]
        if side == 0:
            result[index, :, :, :w] = strip
        else:
            result[index, :, :, -w:] = strip
    return result


def _coarse(pixels: Tensor, chosen: NDArray[np.bool_], smallest: float, rng: np.random.Generator) -> Tensor:
    """Shrink crops by averaging, to a scale of at least `smallest`, and enlarge them again."""
    size = pixels.shape[2:]
    # a few sizes only, so that crops of one size are scaled together
    steps = np.exp(np.linspace(math.log(smallest), 0, 6)[:-1])
    step_of = rng.integers(len(steps), size=len(pixels))
    result = pixels.clone()
    for step, scale in enumerate(steps.tolist()):
        rows = np.flatnonzero(chosen & (step_of == step))
        if len(rows) == 0:
            continue
        index = torch.from_numpy(rows).to(pixels.device)
        small = [max(4, round(side * scale)) for side in size]
        shrunk = functional.interpolate(pixels[index], size=small, mode="area")
        result[index] = functional.interpolate(shrunk, size=size, mode="bilinear", align_corners=False)
    return result


def _blurred(pixels: Tensor, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Tensor:
    """Blur crops in both directions (out of focus) or in one direction (motion)."""
    batch = len(pixels)
    sigma = rng.uniform(0.3, 2.0, batch)
    motion = rng.random(batch) < 0.5
    vertical = rng.random(batch) < 0.3
    rows = np.flatnonzero(chosen)
    if len(rows) == 0:
        return pixels
    index = torch.from_numpy(rows).to(pixels.device)
    offsets = np.arange(_BLUR_TAPS) - _BLUR_TAPS // 2
    bell = np.exp(-0.5 * (offsets / sigma[rows, None]) ** 2)
    box = (np.abs(offsets) <= 1.5 * sigma[rows, None] + 0.5).astype(np.float64)
    point = (offsets == 0).astype(np.float64)[None]
    along_x = np.where(motion[rows, None], np.where(vertical[rows, None], point, box), bell)
    along_y = np.where(motion[rows, None], np.where(vertical[rows, None], box, point), bell)
    some = pixels[index]
    for kernel, axis in ((along_x, 3), (along_y, 2)):
        weights = torch.from_numpy((kernel / kernel.sum(1, keepdims=True)).astype(np.float32)).to(pixels.device)
        some = _filtered(some, weights, axis)
    result = pixels.clone()
    result[index] = some
    return result


def _filtered(pixels: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Filter each crop (B, 3, H, W) with its own taps (B, K) along one axis; the border is replicated."""
    height, width = pixels.shape[2:]
    taps = weights.shape[1]
    half = taps // 2
    padding = (half, half, 0, 0) if axis == 3 else (0, 0, half, half)
    padded = functional.pad(pixels, padding, mode="replicate")
    length = width if axis == 3 else height
    result = torch.zeros_like(pixels)
    for tap in range(taps):
        result += padded.narrow(axis, tap, length) * weights[:, tap, None, None, None]
    return result


def _coded(pixels: Tensor, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Tensor:
    """Apply the losses of JPEG at a random quality to crops (B, 3, H, W) in [0, 1]: quantised 8x8 cosine transforms.

    Colour differences have half the resolution, the default of encoders. Sides that are not multiples of 16 are padded
    to the next multiple by replicating the border.
    """
    quality = rng.uniform(*_JPEG_QUALITY, len(pixels))
    rows = np.flatnonzero(chosen)
    if len(rows) == 0:
        return pixels
    index = torch.from_numpy(rows).to(pixels.device)
    some = pixels[index]
    height, width = some.shape[2:]
    block = 2 * _JPEG_BLOCK
    some = functional.pad(some, (0, -width % block, 0, -height % block), mode="replicate")
    red, green, blue = some.unbind(1)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    differences = torch.stack([(blue - luma) / 1.772, (red - luma) / 1.402], 1)
    # the quality scale of the Independent JPEG Group's encoder
    scale = np.where(quality < 50, 50 / quality, 2 - quality / 50)[rows].astype(np.float32)
    scales = torch.from_numpy(scale).to(pixels.device)[:, None, None, None] / 255
    colour_table = np.full((_JPEG_BLOCK, _JPEG_BLOCK), _JPEG_COLOUR_REST)
    colour_table[: len(_JPEG_COLOUR_TABLE), : len(_JPEG_COLOUR_TABLE)] = _JPEG_COLOUR_TABLE
    coded_luma = _quantised((luma - 0.5)[:, None], scales * pixels.new_tensor(_JPEG_LUMA_TABLE)) + 0.5
    halved = functional.avg_pool2d(differences, 2)
    coded_differences = functional.interpolate(
        _quantised(halved, scales * pixels.new_tensor(colour_table)),
        scale_factor=2,
        mode="bilinear",
        align_corners=False,
    )
    y, cb, cr = coded_luma[:, 0], coded_differences[:, 0], coded_differences[:, 1]
    new_red, new_blue = y + 1.402 * cr, y + 1.772 * cb
    new_green = (y - _LUMA[0] * new_red - _LUMA[2] * new_blue) / _LUMA[1]
    coded = torch.stack([new_red, new_green, new_blue], 1).clamp(0, 1)[:, :, :height, :width]
    result = pixels.clone()
    result[index] = coded
    return result


def _quantised(planes: Tensor, steps: Tensor) -> Tensor:
    """Round the cosine coefficients of planes (B, C, H, W), whose sides are multiples of 8, to multiples of `steps`
    (B, 1, 8, 8)."""
    n = _JPEG_BLOCK
    batch, channels, height, width = planes.shape
    rows = torch.arange(n, device=planes.device, dtype=planes.dtype)
    transform = torch.cos(math.pi / n * (rows[None] + 0.5) * rows[:, None]) * math.sqrt(2 / n)
    transform[0] /= math.sqrt(2)
    blocks = planes.reshape(batch, channels * (height // n), n, width // n, n).transpose(2, 3)
    blocks = blocks.reshape(batch, -1, n, n)
    coefficients = transform @ blocks @ transform.T
    restored = transform.T @ (torch.round(coefficients / steps) * steps) @ transform
    restored = restored.reshape(batch, channels * (height // n), width // n, n, n).transpose(2, 3)
    return restored.reshape(batch, channels, height, width)


def erase_rectangle(pixels: Tensor, rng: np.random.Generator) -> None:
    """Fill one random rectangle of `pixels` (3, H, W) with N(0, 1) noise, in place.

    It covers 2 % to 33 % of the area; height / width is log-uniform in 0.3 to 3.3. Nothing changes if no rectangle fits
    in ten tries.
    """
    _, height, width = pixels.shape
    for _ in range(_ERASE_TRIES):
        area = rng.uniform(*_ERASE_AREA) * height * width
        aspect = math.exp(rng.uniform(math.log(_ERASE_ASPECT[0]), math.log(_ERASE_ASPECT[1])))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            noise = rng.standard_normal((3, h, w), dtype=np.float32)
            pixels[:, top : top + h, left : left + w] = torch.from_numpy(noise).to(pixels.device)
            return
