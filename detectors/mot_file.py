"""Detections of one camera as a MOTChallenge text file (det.txt)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from pipeline.core.datatypes import Detections
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown

_FORM = "frame,id,left,top,width,height[,confidence[,x,y,z]]"
_COLUMNS = range(6, 11)
_LAST_FRAME = 10**9
_LARGEST = 1e9
_log = logging.getLogger(__name__)


def read_mot_detections(path: str | Path) -> dict[int, Detections]:
    """Read rows `frame,id,left,top,width,height[,confidence[,x,y,z]]`, frames counted from 1 and in any order.

    A confidence that is absent or -1 counts as 1. Coordinates are not shifted although MOTChallenge counts pixels from
    1: one pixel is less than the accuracy of its boxes, and its own evaluation ignores it as well. Of boxes that are
    equal in one frame, the most confident is kept, and a warning counts the others.

    Returns:
        Detections of class 0 by frame index, counted from 0; frames without rows are absent.

    Raises:
        InputError: the file is missing, or a row is not a valid box; the message names the line.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"the detections {path} do not exist; check the path")
    rows: dict[int, dict[tuple[float, ...], float]] = {}  # frame index -> left, top, width, height -> confidence
    repeated = 0
    columns = 0
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8; save it as plain text in UTF-8") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        values = _numbers(f"{path}, line {number}", line)
        columns = columns or len(values)
        if len(values) != columns:
            raise InputError(f"{path}, line {number}: {len(values)} columns, but the lines before have {columns}")
        frame, box = _checked(f"{path}, line {number}", values)
        boxes = rows.setdefault(frame - 1, {})
        *tlwh, confidence = box
        repeated += tuple(tlwh) in boxes
        boxes[tuple(tlwh)] = max(confidence, boxes.get(tuple(tlwh), 0.0))
    if repeated:
        _log.warning("%s: %d boxes are equal to another one of their frame and are left out", path, repeated)
    return {
        frame_index: _detections(np.array([[*tlwh, confidence] for tlwh, confidence in boxes.items()]))
        for frame_index, boxes in rows.items()
    }


def _numbers(where: str, line: str) -> list[float]:
    fields = line.split(",")
    if len(fields) not in _COLUMNS:
        raise InputError(f"{where}: {len(fields)} columns, but a row is {_FORM}: {shown(line.strip())}")
    values = []
    for field in fields:
        try:
            values.append(float(field))
        except ValueError as error:
            raise InputError(f"{where}: {shown(field.strip())} is not a number; a row is {_FORM}") from error
    if not all(abs(value) <= _LARGEST for value in values[:7]):  # False for NaN
        raise InputError(f"{where}: not a finite number, or one above {_LARGEST:g}, in {shown(line.strip())}")
    return values


def _checked(where: str, values: list[float]) -> tuple[int, list[float]]:
    """Check a row; return the frame (from 1) and [left, top, width, height, confidence]."""
    frame, _, left, top, width, height = values[:6]
    confidence = values[6] if len(values) > 6 and values[6] != -1 else 1.0
    if not 1 <= frame <= _LAST_FRAME or frame != int(frame):
        raise InputError(f"{where}: frame {frame:g}; frames are whole numbers from 1 to {_LAST_FRAME}")
    if width <= 0 or height <= 0:
        raise InputError(f"{where}: a box of {width:g} x {height:g} pixels; width and height must be above 0")
    if not 0 <= confidence <= 1:
        raise InputError(f"{where}: confidence {confidence:g}; scale the file's confidences to 0..1 first")
    return int(frame), [left, top, width, height, confidence]


def _detections(tlwh_confidence: np.ndarray) -> Detections:
    left, top, width, height, confidence = tlwh_confidence.T
    return Detections(
        xyxy=np.stack([left, top, left + width, top + height], axis=1).astype(np.float32),
        confidence=confidence.astype(np.float32),
        class_id=np.zeros(len(confidence), np.int64),
    )
