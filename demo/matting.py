"""Cut a person out of a studio picture with a plain, softly lit background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BORDER_COLUMNS = 0.10  # share of the picture's width, left and right, that shows only background
SURE_PERSON_LAB = 26.0  # minimum CIE76 distance to the background at which a pixel is certainly the person

# rows of a studio picture, as shares of its height; all ten sheets have the same framing
HEM = 0.49  # just above the shirt's hem
CROTCH = 0.60
LEGS_FROM = 0.60
THIGHS = 0.70  # below the shorts
MIN_GAP_PX = 6


def background_plate(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Estimate the empty studio behind the person.

    Each row is interpolated linearly between its left and right border, then smoothed over the rows. This works because
    the light of the studio varies slowly and the person does not touch these borders.

    Args:
        image: (H, W, 3) uint8, BGR.

    Returns:
        (H, W, 3) float32, BGR, values 0..255.
    """
    width = image.shape[1]
    border = max(2, int(width * BORDER_COLUMNS))
    left = np.median(image[:, :border], axis=1).astype(np.float32)
    right = np.median(image[:, -border:], axis=1).astype(np.float32)
    left = cv2.GaussianBlur(left[:, None], (1, 0), sigmaX=1, sigmaY=6)[:, 0]
    right = cv2.GaussianBlur(right[:, None], (1, 0), sigmaX=1, sigmaY=6)[:, 0]
    weight = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    plate: NDArray[np.float32] = (1 - weight) * left[:, None] + weight * right[:, None]
    return plate


def guided_filter(
    guide: NDArray[np.float32], source: NDArray[np.float32], radius_px: int, epsilon: float
) -> NDArray[np.float32]:
    """Smooth `source` (H, W) along the edges of `guide` (H, W), both in 0..1 (He et al., ECCV 2010, Alg. 1)."""
    size = (2 * radius_px + 1, 2 * radius_px + 1)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, size), np.float32)

    guide_mean, source_mean = mean(guide), mean(source)
    variance = mean(guide * guide) - guide_mean**2
    covariance = mean(guide * source) - guide_mean * source_mean
    slope = covariance / (variance + epsilon)
    return mean(slope) * guide + mean(source_mean - slope * guide_mean)


def person_alpha(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the soft mask of the standing person in a studio picture.

    GrabCut (Rother et al., SIGGRAPH 2004) is initialised with the colour distance to the background plate. The largest
    component is kept, and a guided filter softens its border.

    Args:
        image: (H, W, 3) uint8, BGR; the person stands in the middle and fills the height of the picture.

    Returns:
        (H, W) float32 in 0..1.
    """
    height, width = image.shape[:2]
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB), np.float32)
    difference = lab - cv2.cvtColor(background_plate(image) / 255, cv2.COLOR_BGR2LAB)
    chroma = np.linalg.norm(difference[..., 1:], axis=2)
    # the body darkens the grey wall and floor around the legs, so dark grey pixels there are not evidence of a person
    below_hips = np.arange(height)[:, None] > LEGS_FROM * height
    lightness = np.where(below_hips & (difference[..., 0] < 0), 0.2, 1.0) * np.abs(difference[..., 0])
    distance = np.hypot(np.where(below_hips, 1.6, 1.0) * chroma, lightness)

    labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    labels[distance > 0.45 * SURE_PERSON_LAB] = cv2.GC_PR_FGD
    labels[distance > SURE_PERSON_LAB] = cv2.GC_FGD
    labels[distance < 3.0] = cv2.GC_BGD
    border = int(width * BORDER_COLUMNS)
    labels[:, :border] = cv2.GC_BGD
    labels[:, -border:] = cv2.GC_BGD
    columns = np.flatnonzero((distance > SURE_PERSON_LAB).any(axis=0))
    near = slice(max(columns[0] - 3 * border // 4, 0), columns[-1] + 3 * border // 4)  # the rest is background
    part = np.ascontiguousarray(labels[:, near])
    cv2.setRNGSeed(0)  # GrabCut's mixture models start from k-means with OpenCV's global generator
    cv2.grabCut(
        np.ascontiguousarray(image[:, near]),
        part,
        (0, 0, 0, 0),
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        3,
        cv2.GC_INIT_WITH_MASK,
    )
    labels[:] = cv2.GC_BGD
    labels[:, near] = part
    person = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    hips, gap = _hips_and_gap(lab, person)
    grey = (cv2.blur(chroma, (5, 5)) < 6) & (difference[..., 0] < 0)
    below_shorts = np.arange(height)[:, None] > THIGHS * height
    person[grey & ((gap > 0) | below_shorts)] = 0
    person |= hips & ~gap

    closed = cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    person = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.uint8)
    _, components, stats, _ = cv2.connectedComponentsWithStats(person)
    person = (components == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    person = _fill_holes(person, max_area_px=height * width // 1500)

    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) / np.float32(255)
    soft = guided_filter(gray, cv2.erode(person, np.ones((3, 3), np.uint8)).astype(np.float32), 3, 1e-3)
    grown = cv2.dilate(person, np.ones((3, 3), np.uint8))
    alpha: NDArray[np.float32] = np.clip((soft - 0.1) / 0.8, 0, 1) * grown
    return alpha


def _hips_and_gap(
    lab: NDArray[np.float32], person: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return masks of the hips, between the white shirt's hem and the bare thighs, and of the gap between the thighs.

    Grey shorts look like the wall of the studio, so colour alone leaves a hole there. The hips are therefore drawn as
    a quadrilateral, the gap as a triangle below the crotch (empty if one leg hides the other).
    """
    height = len(person)
    hem, thigh, crotch = (int(share * height) for share in (HEM, THIGHS, CROTCH))
    shirt = np.median(_extents(person[hem - 8 : hem] * (lab[hem - 8 : hem, :, 0] > 70)).astype(np.float64), axis=0)
    skin = cv2.medianBlur((lab[..., 1] > 4).astype(np.uint8), 5)[thigh : thigh + 8].astype(np.uint8)
    thighs = np.median(_extents(skin).astype(np.float64), axis=0)
    hips, gap = np.zeros_like(person), np.zeros_like(person)
    corners = [(shirt[0], hem), (shirt[1], hem), (thighs[1], thigh), (thighs[0], thigh)]
    cv2.fillPoly(hips, [np.array(corners).round().astype(np.int32)], 1)
    between = np.asarray(~skin.any(axis=0))
    between[: int(thighs[0])] = between[int(thighs[1]) :] = False
    if between.sum() >= MIN_GAP_PX:
        first, last = np.flatnonzero(between)[[0, -1]]
        triangle = [((first + last) / 2, crotch), (last, thigh), (first, thigh)]
        cv2.fillPoly(gap, [np.array(triangle).round().astype(np.int32)], 1)
    return hips, gap


def _extents(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return (first, last) non-zero column of every row that has one, (K, 2)."""
    found = [np.flatnonzero(row)[[0, -1]] for row in rows if row.any()]
    return np.array(found, np.int64).reshape(-1, 2)


def _fill_holes(mask: NDArray[np.uint8], max_area_px: int) -> NDArray[np.uint8]:
    """Fill enclosed holes of up to `max_area_px` pixels, and larger ones beside the hips.

    Large gaps higher up stay open: they show the wall between arm and waist.
    """
    _, components, stats, _ = cv2.connectedComponentsWithStats(1 - mask)
    tops = stats[:, cv2.CC_STAT_TOP]
    bottoms = tops + stats[:, cv2.CC_STAT_HEIGHT]
    beside_hips = (tops > HEM * len(mask)) & (bottoms < THIGHS * len(mask))
    filled_ones = (stats[:, cv2.CC_STAT_AREA] <= max_area_px) | beside_hips
    filled: NDArray[np.uint8] = np.where(filled_ones[components], 1, mask).astype(np.uint8)
    return filled


def extend_colours(image: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Set every pixel outside `inside` (H, W) to the colour of the nearest pixel inside.

    This removes the colour of the studio from half-transparent border pixels. `image` is (H, W, 3) float32.
    """
    _, nearest = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index_of_label = np.zeros(int(nearest.max()) + 1, np.int64)
    flat = np.flatnonzero(inside)
    index_of_label[nearest.ravel()[flat]] = flat
    extended: NDArray[np.float32] = image.reshape(-1, 3)[index_of_label[nearest]]
    return extended
