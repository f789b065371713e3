"""Build a training set in Ultralytics' YOLO layout from recordings with ground truth."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.yolo_dataset import Split, SplitName, YoloDataset
from pipeline.core.errors import InputError
from pipeline.files.frame_grid import FrameGrid
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.track_boxes import is_number, numbered_lines
from pipeline.sources.open import open_source

_log = logging.getLogger(__name__)


def add_sequence(
    sequence: Path,
    output: Path,
    *,
    every: int = 10,
    train_share: float = 0.5,
    until: float = 1.0,
    min_visibility: float = 0.25,
    class_name: str = "person",
) -> dict[str, Split]:
    """Add the frames of a sequence to the data set in `output`, creating the data set if necessary.

    The recording is split by time: frames up to `train_share` are for training, those from there to `until` for
    validation. With a random split, validation would measure memorisation, because neighbouring frames are similar.
    Every `every`-th frame is added with its ground truth. Rows that are flagged 0 or show no walking person are left
    out, and boxes are clipped to the image. If only every n-th frame has ground truth, the frames between are not used,
    because people in them have no labels: the next frame with ground truth is added instead.

    Args:
        sequence: MOTChallenge sequence folder with pictures or one video, gt/gt.txt and seqinfo.ini; or a video
            NAME.mp4 with its ground truth in NAME_gt.txt beside it, as `python -m demo render` writes them.
        output: folder of the data set: images/{train,val}, labels/{train,val} and data.yaml.
        every: smallest step between frames within each part, from its first frame with ground truth.
        train_share, until: shares of the recording, 0 <= train_share <= until <= 1.
        min_visibility: people with a lower visible share are not labelled (in MOT16 and later, which state it).
        class_name: name of the only class.

    Returns:
        The numbers of pictures and boxes added to each split.

    Raises:
        InputError: the sequence cannot be read or is already in the data set, or an argument is out of range.
    """
    if every < 1 or not 0 <= train_share <= until <= 1:
        raise InputError(
            f"every must be at least 1, and 0 <= train_share <= until <= 1, but every is {every}, "
            f"train_share {train_share} and until {until}"
        )
    boxes_of, grid = _boxes_by_frame(_ground_truth(sequence), min_visibility)
    name = sequence.resolve().stem if sequence.is_file() else sequence.resolve().name
    dataset = YoloDataset(output, class_name=class_name)
    dataset.refuse_again(name)
    frames = _frame_count(name, sequence)
    first_of_val, end = round(frames * train_share), round(frames * until)
    next_of: dict[SplitName, int] = {"train": 0, "val": 0}
    with open_source(name, str(sequence)) as source:
        for frame in source:
            if until < 1 and frame.frame_index >= end:
                break
            split: SplitName = "train" if frame.frame_index < first_of_val else "val"
            if (
                frame.frame_index < next_of[split]
                or frame.image is None
                or frame.frame_index % grid.stride != grid.first
            ):
                continue
            next_of[split] = frame.frame_index + every
            stem = f"{name}_{frame.frame_index + 1:06d}"  # frames count from 1, as in the sequence's files
            dataset.add(split, stem, frame.image, boxes_of.get(frame.frame_index, np.zeros((0, 4))))
    return dataset.added


def _frame_count(name: str, sequence: Path) -> int:
    """Return the number of frames that a recording states, or count them if it states none, as an unfinished video."""
    with open_source(name, str(sequence)) as source:
        return source.frame_count or sum(1 for _ in source)


def _ground_truth(sequence: Path) -> Path:
    """Return the path of the MOTChallenge text of a sequence folder or of a single video."""
    if sequence.is_file():
        return sequence.with_name(f"{sequence.stem}_gt.txt")
    return sequence / "gt" / "gt.txt"


def _boxes_by_frame(ground_truth: Path, min_visibility: float) -> tuple[dict[int, NDArray[np.float64]], FrameGrid]:
    """Return boxes xyxy (N, 4) of the people in each frame, frames counted from 0, and which frames are annotated."""
    boxes = read_ground_truth(ground_truth)
    grid = FrameGrid.of(boxes.frame_index)
    if grid.stride > 1:
        _log.warning("%s: only %s has ground truth, and only these are used", ground_truth, grid)
    hidden = _hidden(ground_truth, min_visibility)
    keep = np.array(
        [key not in hidden for key in zip(boxes.frame_index.tolist(), boxes.ids.tolist(), strict=True)], np.bool_
    )
    xyxy, frame_index = boxes.xyxy[keep], boxes.frame_index[keep]
    return {int(index): xyxy[frame_index == index] for index in np.unique(frame_index)}, grid


def _hidden(ground_truth: Path, min_visibility: float) -> set[tuple[int, int]]:
    """Return (frame index from 0, id) of the rows whose visibility, the ninth of nine columns, is too low."""
    rows = [line.split(",") for _, line in numbered_lines(ground_truth)]
    return {
        (int(float(row[0])) - 1, int(float(row[1])))
        for row in rows
        if len(row) == 9 and is_number(row[8], float) and float(row[8]) < min_visibility
    }
