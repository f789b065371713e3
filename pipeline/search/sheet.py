"""Draws a contact sheet: the query, and a picture of each match with a caption."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.search.find import Found, Match
from pipeline.search.meaning import Meaning
from pipeline.search.track_pictures import track_pictures

_TILE_WH = (168, 336)
_CAPTION_PX = 78
_GAP_PX = 14
_COLUMNS = 6
_TEXT_PX = 13
_GROUND, _TEXT, _QUIET, _EMPTY = (250, 250, 250), (25, 30, 36), (110, 118, 128), (226, 229, 233)
_FRAMES = {Meaning.SAME: (23, 130, 70), Meaning.PERHAPS: (200, 130, 0), Meaning.NO: (170, 176, 184)}
_QUERY_FRAME = (31, 95, 153)


def draw_sheet(found: Found) -> tuple[bytes, list[str]]:
    """Return the sheet of a result as PNG, and sentences about pictures that are missing.

    The query of a person of a run is shown by the picture of one of its tracks.
    """
    pictures: dict[tuple[str, str, int], NDArray[np.uint8]] = {}
    sentences: list[str] = []
    for name, run in found.runs.items():
        keys = {(m.camera_id, m.track_id) for m in found.matches if m.run == name and m.track_id is not None}
        if found.query_track is not None and found.query_track[0] == name:
            keys.add(found.query_track[1])
        if not any(match.run == name for match in found.matches) and not keys:
            continue
        cut, problems = track_pictures(run, keys)
        pictures |= {(name, camera, track): image for (camera, track), image in cut.items()}
        sentences += problems
    queries: list[NDArray[np.uint8] | None] = list(found.query_crops)
    if found.query_track is not None:
        name, (camera, track) = found.query_track
        queries = [pictures[name, camera, track]] if (name, camera, track) in pictures else []
    missing = [m for m in found.matches if (m.run, m.camera_id, m.track_id or 0) not in pictures]
    if missing and not sentences:
        sentences.append(f"{len(missing)} of {len(found.matches)} matches have no picture in the recordings")
    tiles = [_tile(image, ["query", *_wrapped(found.query)], _QUERY_FRAME) for image in queries or [None]]
    tiles += [
        _tile(
            pictures.get((m.run, m.camera_id, m.track_id or 0)),
            _caption(m, len(found.runs) > 1),
            _FRAMES[m.meaning],
        )
        for m in found.matches
    ]
    buffer = io.BytesIO()
    _joined(tiles).save(buffer, "PNG", optimize=True)
    return buffer.getvalue(), sentences


def _caption(match: Match, several: bool) -> list[str]:
    track = "" if match.track_id is None else f":{match.track_id}"
    when = (
        f"{match.start_s:.1f} to {match.end_s:.1f} s"
        if match.start_utc is None
        else f"{match.start_utc:%Y-%m-%d %H:%M:%S}Z"
    )
    place = f"{match.run}/" if several else ""
    return [
        f"{match.rank}. {match.meaning}, {match.distance:.3f}",
        f"person {match.person}",
        f"{place}{match.camera_id}{track}",
        when,
    ]


def _wrapped(text: str, width: int = 22, lines: int = 3) -> list[str]:
    """Return a text in short lines; the beginning of a long one, such as a path, is left out."""
    shown = text if len(text) <= width * lines else "…" + text[-(width * lines - 1) :]
    return [shown[at : at + width] for at in range(0, len(shown), width)]


def _tile(image: NDArray[np.uint8] | None, caption: Sequence[str], frame: tuple[int, int, int]) -> Image.Image:
    """Return a picture (BGR), fitted into a frame, above its caption."""
    width, height = _TILE_WH
    tile = Image.new("RGB", (width, height + _CAPTION_PX), _GROUND)
    draw = ImageDraw.Draw(tile)
    draw.rectangle((0, 0, width - 1, height - 1), fill=_EMPTY, outline=frame, width=3)
    inner = (width - 8, height - 8)
    if image is None:
        draw.text((width / 2, height / 2), "no picture", fill=_QUIET, font=_font(_TEXT_PX), anchor="mm")
    else:
        picture = Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
        scale = min(inner[0] / picture.width, inner[1] / picture.height)
        size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        tile.paste(picture, ((width - size[0]) // 2, (height - size[1]) // 2))
    for number, line in enumerate(caption):
        position = (2, height + 4 + number * (_TEXT_PX + 4))
        draw.text(
            position, _fitted(draw, line, width - 4), fill=_TEXT if number < 2 else _QUIET, font=_font(_TEXT_PX)
        )
    return tile


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """Return a text that fits into a width in px, cut off at its end if needed."""
    font = _font(_TEXT_PX)
    shown = text
    while shown and draw.textlength(shown + ("…" if shown != text else ""), font=font) > width:
        shown = shown[:-1]
    return shown if shown == text else shown + "…"


def _joined(tiles: Sequence[Image.Image]) -> Image.Image:
    columns = min(len(tiles), _COLUMNS)
    rows = -(-len(tiles) // columns)
    width, height = tiles[0].size
    sheet = Image.new("RGB", (columns * (width + _GAP_PX) + _GAP_PX, rows * (height + _GAP_PX) + _GAP_PX), _GROUND)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (_GAP_PX + column * (width + _GAP_PX), _GAP_PX + row * (height + _GAP_PX)))
    return sheet


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    """Return a font with the letters of most names; it comes with matplotlib."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size_px)
