"""Ranked lists: queries with their nearest gallery crops, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from reid.datasets import Crop, CropSet, read_rgb
from reid.distances import Distance, Float32Array, squared_euclidean_distance
from reid.evaluation.retrieval import LabelledFeatures, comparable

RIGHT, WRONG, PLAIN = (26, 150, 65), (215, 48, 39), (120, 120, 120)
_CROP_WH, _FRAME_PX, _GAP_PX, _TEXT_PX = (64, 128), 4, 6, 13


@dataclass(frozen=True, eq=False)
class RankedList:
    """The nearest gallery crops of one query, without crops of the same person in the same camera.

    Attributes:
        query: index of the query.
        gallery: (K,) int64, indices of the gallery crops, nearest first.
        distances: (K,) float32, to the query.
        right: (K,) bool, whether the crop shows the same person.
    """

    query: int
    gallery: NDArray[np.int64]
    distances: Float32Array
    right: NDArray[np.bool_]


def ranked_lists(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    *,
    count: int,
    length: int = 10,
    distance: Distance = squared_euclidean_distance,
) -> list[RankedList]:
    """Rank up to `length` gallery crops for each of `count` queries, evenly spaced among those with a true match."""
    findable = np.flatnonzero(
        [
            (comparable(query, index, gallery) & (gallery.person_ids == person)).any()
            for index, person in enumerate(query.person_ids)
        ]
    )
    wanted = set(evenly_spaced(findable.tolist(), count))
    lists = []
    rows = (row for block in distance(query.features, gallery.features) for row in block)
    for index, distances in enumerate(rows):
        if index in wanted:
            candidates = np.flatnonzero(comparable(query, index, gallery))
            found = candidates[np.argsort(distances[candidates], kind="stable")[:length]]
            right = np.asarray(gallery.person_ids[found] == query.person_ids[index])
            lists.append(RankedList(index, found, distances[found], right))
    return lists


def evenly_spaced(items: Sequence[int], count: int) -> list[int]:
    """Return at most `count` of `items`, evenly spaced, in their order."""
    count = min(count, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def draw_ranked_lists(lists: Sequence[RankedList], query: CropSet, gallery: CropSet) -> Image.Image:
    """Draw one row per query: the query, then its ranked crops, green for the same person, red for another one.

    Under each crop is its camera, and under each ranked crop also the distance.
    """
    font = picture_font()
    cell_w, cell_h = _CROP_WH[0] + 2 * _FRAME_PX + _GAP_PX, _CROP_WH[1] + 2 * _FRAME_PX + _GAP_PX + _TEXT_PX
    columns = 1 + max(len(ranked.gallery) for ranked in lists)
    sheet = Image.new("RGB", (columns * cell_w + 3 * _GAP_PX, len(lists) * cell_h + _GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)

    def put(crop: Crop, left: int, top: int, frame: tuple[int, int, int], text: str) -> None:
        width, height = (side + 2 * _FRAME_PX for side in _CROP_WH)
        pen.rectangle((left, top, left + width - 1, top + height - 1), fill=frame)
        fitted = ImageOps.pad(read_rgb(crop.path), _CROP_WH, color=(235, 235, 235))
        sheet.paste(fitted, (left + _FRAME_PX, top + _FRAME_PX))
        pen.text((left + width // 2, top + height + 1), text, fill="black", font=font, anchor="ma")

    for row, ranked in enumerate(lists):
        top = row * cell_h + _GAP_PX
        asked = query.crops[ranked.query]
        put(asked, _GAP_PX, top, PLAIN, f"query {asked.camera}")
        for column, (index, distance, right) in enumerate(
            zip(ranked.gallery, ranked.distances, ranked.right, strict=True), start=1
        ):
            found = gallery.crops[index]
            left = column * cell_w + 2 * _GAP_PX
            put(found, left, top, RIGHT if right else WRONG, f"{found.camera}  {distance:.2f}")
    return sheet


def picture_font() -> ImageFont.FreeTypeFont:
    """Return a small font that every installation has, because matplotlib contains it."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 10)
