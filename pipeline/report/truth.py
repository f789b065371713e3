"""Compares a run with ground truth, for its report: scores, and the worst mistakes of linking."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.decisions import TrackKey
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.track_boxes import crop_ground_truth
from pipeline.files.trajectory_boxes import TrajectoryBoxes, read_trajectory_boxes
from pipeline.scoring.evaluation import evaluate
from pipeline.scoring.perfect_linking import followed
from pipeline.scoring.scores import Scores, SequenceScores

_MOST_SHOWN = 8
# A track of another person with fewer boxes is not worth a look.
_FEWEST_BOXES = 3


@dataclass(frozen=True)
class Part:
    """What a mistake consists of: the boxes of one person with one id.

    Attributes:
        name: the person of the ground truth, or the global id, in words.
        boxes: number of boxes.
        track: the track with most of them.
    """

    name: str
    boxes: int
    track: TrackKey


@dataclass(frozen=True)
class Mistake:
    """An id that covers several people, or a person with several ids.

    Attributes:
        title: the id or the person, in words.
        parts: at least two, the largest one first.
        wrong_boxes: number of boxes outside the largest part.
    """

    title: str
    parts: Sequence[Part]

    @property
    def wrong_boxes(self) -> int:
        """Number of boxes outside the largest part."""
        return sum(part.boxes for part in self.parts[1:])


@dataclass(frozen=True, eq=False)
class Compared:
    """A run beside the truth.

    Attributes:
        steps: name -> scores over all cameras: the same tracks not linked, with the ids of the run, linked perfectly.
        merged: ids that cover several people, the worst first.
        split: people with several ids, the worst first.
    """

    scores: Scores
    steps: Mapping[str, SequenceScores]
    merged: Sequence[Mistake]
    split: Sequence[Mistake]
    merged_count: int
    split_count: int


def compare_with_truth(
    rows: Path,
    ground_truth: Mapping[str, Path],
    *,
    class_name: str,
    crops_xyxy_px: Mapping[str, Sequence[float]],
) -> Compared:
    """Score the rows of a run, and find its mistakes.

    Args:
        rows: trajectories.csv.
        ground_truth: camera -> MOTChallenge ground truth.
        class_name: of the rows that are scored.
        crops_xyxy_px: camera -> left, top, right, bottom of the part of the image that the run used.

    Raises:
        InputError: as for `evaluate`.
    """
    scores = evaluate([rows], ground_truth, class_name=class_name, crops_xyxy_px=crops_xyxy_px)
    # `evaluate` tells what is left out.
    predicted = read_trajectory_boxes(rows, class_name=class_name, interpolated=False, tell=lambda sentence: None)
    truth = {camera: read_ground_truth(path, tell=lambda sentence: None) for camera, path in ground_truth.items()}
    for camera, crop_xyxy_px in crops_xyxy_px.items():
        if camera in truth:
            truth[camera] = crop_ground_truth(truth[camera], crop_xyxy_px)
    boxes: Counter[tuple[int, int]] = Counter()
    of_track: Counter[tuple[int, int, TrackKey]] = Counter()
    for camera, whom in followed(predicted, truth).items():
        own = predicted.get(camera)
        if own is None:
            continue
        on = whom.on_person & (whom.person >= 0)
        _count(camera, own, np.flatnonzero(on).tolist(), whom.person.tolist(), boxes, of_track)
    merged = _mistakes(boxes, of_track, by_id=True)
    split = _mistakes(boxes, of_track, by_id=False)
    steps = {
        "not linked": scores.not_linked,
        "this run": scores.all_cameras,
        "perfect linking": scores.perfect_linking,
    }
    return Compared(scores, steps, merged[:_MOST_SHOWN], split[:_MOST_SHOWN], len(merged), len(split))


def _count(
    camera: str,
    own: TrajectoryBoxes,
    rows: Sequence[int],
    person: Sequence[int],
    boxes: Counter[tuple[int, int]],
    of_track: Counter[tuple[int, int, TrackKey]],
) -> None:
    for row in rows:
        global_id = int(own.boxes.ids[row])
        boxes[global_id, person[row]] += 1
        of_track[global_id, person[row], (camera, int(own.track_id[row]))] += 1


def _mistakes(
    boxes: Mapping[tuple[int, int], int], of_track: Mapping[tuple[int, int, TrackKey], int], *, by_id: bool
) -> list[Mistake]:
    """Return the ids that cover several people, or the people with several ids."""
    largest: dict[tuple[int, int], tuple[int, TrackKey]] = {}
    for (global_id, person, track), count in of_track.items():
        pair = (global_id, person)
        if pair not in largest or (-count, track) < (-largest[pair][0], largest[pair][1]):
            largest[pair] = (count, track)
    groups: dict[int, list[Part]] = defaultdict(list)
    for (global_id, person), count in boxes.items():
        if count >= _FEWEST_BOXES:
            name = f"person {person}" if by_id else f"id {global_id}"
            groups[global_id if by_id else person].append(Part(name, count, largest[global_id, person][1]))
    found = [
        Mistake(
            f"Id {whose}" if by_id else f"Person {whose}",
            sorted(parts, key=lambda part: (-part.boxes, part.name)),
        )
        for whose, parts in sorted(groups.items())
        if len(parts) > 1
    ]
    return sorted(found, key=lambda mistake: -mistake.wrong_boxes)
