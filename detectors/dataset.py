"""Build a training set in Ultralytics' YOLO layout from MOTChallenge sequences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.frames import open_source
from pipeline.mot_files import read_ground_truth

DATA_FILE = "data.yaml"


@dataclass(frozen=True)
class Split:
    """How much of a data set is there.

    Attributes:
        images: number of pictures.
        boxes: number of labelled people in them.
    """

    images: int
    boxes: int


def add_sequence(
    sequence: Path,
    output: Path,
    *,
    every: int = 10,
    train_share: float = 0.5,
    min_visibility: float = 0.25,
    class_name: str = "person",
) -> dict[str, Split]:
    """Add the frames of a sequence to the data set in `output`, making it if it is not there.

    The first `train_share` of the recording in time goes to training, the rest to validation: neighbouring frames
    look alike, so a random choice would measure memory. Every `every`-th frame is taken, with the ground truth of
    gt/gt.txt; rows that are flagged 0 or show no walking person are left out, boxes are cut at the image's border.

    Args:
        sequence: MOTChallenge sequence folder (pictures or one video, gt/gt.txt, seqinfo.ini).
        output: folder of the data set: images/{train,val}, labels/{train,val} and data.yaml.
        every: take every how many-th frame of each part, from its first.
        train_share: in 0..1.
        min_visibility: people of whom less than this share can be seen are no labels (MOT16 and later say so).
        class_name: name of the only class.

    Returns:
        What was added to each split.

    Raises:
        InputError: the sequence cannot be read, is in the data set already, or an argument is out of range.
    """
    if every < 1 or not 0 <= train_share <= 1:
        raise InputError(f"every must be at least 1 and train_share in 0..1, not {every} and {train_share}")
    boxes_of = _boxes_by_frame(sequence / "gt" / "gt.txt", min_visibility)
    name = sequence.resolve().name
    if any(output.glob(f"images/*/{name}_*.jpg")):
        raise InputError(f"{output} holds frames of {name} already: build the data set in an empty folder")
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (output / kind / split).mkdir(parents=True, exist_ok=True)
    added = {"train": [0, 0], "val": [0, 0]}
    with open_source(name, str(sequence)) as source:
        first_of_val = round((source.frame_count or 0) * train_share)
        for frame in source:
            split = "train" if frame.frame_index < first_of_val else "val"
            position = frame.frame_index - (0 if split == "train" else first_of_val)
            if position % every or frame.image is None:
                continue
            xyxy = _clipped(boxes_of.get(frame.frame_index, np.zeros((0, 4))), frame.size_wh)
            stem = f"{name}_{frame.frame_index + 1:06d}"  # frames count from 1, as in the sequence's files
            cv2.imwrite(
                str(output / "images" / split / f"{stem}.jpg"), frame.image, [cv2.IMWRITE_JPEG_QUALITY, 95]
            )
            lines = [f"0 {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n" for cx, cy, w, h in _relative(xyxy, frame.size_wh)]
            (output / "labels" / split / f"{stem}.txt").write_text("".join(lines))
            added[split][0] += 1
            added[split][1] += len(xyxy)
    # Without `path`, Ultralytics takes the folder of data.yaml, so the data set can be moved.
    text = yaml.safe_dump(
        {"train": "images/train", "val": "images/val", "names": {0: class_name}}, sort_keys=False
    )
    (output / DATA_FILE).write_text(text)
    return {split: Split(images=images, boxes=boxes) for split, (images, boxes) in added.items()}


def _boxes_by_frame(ground_truth: Path, min_visibility: float) -> dict[int, NDArray[np.float64]]:
    """Boxes xyxy (N, 4) of the people in each frame, frames counted from 0."""
    boxes = read_ground_truth(ground_truth)
    hidden = _hidden(ground_truth, min_visibility)
    keep = np.array(
        [key not in hidden for key in zip(boxes.frame_index.tolist(), boxes.ids.tolist(), strict=True)], np.bool_
    )
    xyxy, frame_index = boxes.xyxy[keep], boxes.frame_index[keep]
    return {int(index): xyxy[frame_index == index] for index in np.unique(frame_index)}


def _hidden(ground_truth: Path, min_visibility: float) -> set[tuple[int, int]]:
    """(frame index from 0, id) of the rows whose visibility, the ninth of nine columns, is too low."""
    rows = [line.split(",") for line in ground_truth.read_text().splitlines() if line.strip()]
    return {
        (int(float(row[0])) - 1, int(float(row[1])))
        for row in rows
        if len(row) == 9 and float(row[8]) < min_visibility
    }


def _clipped(xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes (N, 4) cut at the image's border, without those that lie outside."""
    clipped = np.clip(xyxy, 0, np.array([*size_wh, *size_wh], np.float64))
    kept: NDArray[np.float64] = clipped[(clipped[:, 2:] - clipped[:, :2] >= 1).all(axis=1)]
    return kept


def _relative(xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes xyxy in pixels to centre x, centre y, width, height as shares of the image: the YOLO label format."""
    size = np.array(size_wh, np.float64)
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / size
    return np.concatenate([centre, (xyxy[:, 2:] - xyxy[:, :2]) / size], axis=1)
