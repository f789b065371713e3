"""`mtmc evaluate`: scores trajectories against ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from pipeline.commands.arguments import ConfigOption, camera_files
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.files.json_file import write_json
from pipeline.scoring.evaluation import evaluate as evaluate_files
from pipeline.scoring.evaluation_tables import linking_table, scores_table

_MOST_FRAMES = 1_000_000_000
_MOST_DIGITS = 9  # of a class number


def evaluate(
    trajectories: Annotated[
        list[Path],
        typer.Option(
            "--trajectories",
            "-t",
            help="trajectories.csv of a run or its folder; or MOT result text CAMERA.txt, once per camera, or a folder "
            "of such files.",
            metavar="FILE",
        ),
    ],
    ground_truth: Annotated[
        list[str],
        typer.Option(
            "--ground-truth",
            "-g",
            help="MOT ground truth of a camera; once per camera.",
            metavar="CAMERA=FILE",
        ),
    ],
    config: ConfigOption = None,
    class_name: Annotated[str, typer.Option(help="The class of the CSV to score.")] = "person",
    ground_truth_classes: Annotated[
        str | None,
        typer.Option(
            help="Class numbers of the ground truth to score, as 1,2, or all. Without this, people: 1, in VisDrone 1 "
            "and 2.",
            metavar="LIST",
        ),
    ] = None,
    ground_truth_stride: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_FRAMES,
            help="Every n-th frame has ground truth, and only these are scored; 1 scores all. Without this, the number "
            "is found in the ground truth.",
        ),
    ] = None,
    iou: Annotated[
        float, typer.Option(help="Smallest overlap (IoU) of a box and a person that match, for IDF1 and MOTA.")
    ] = 0.5,
    interpolated: Annotated[
        bool,
        typer.Option(
            "--interpolated/--observed-only",
            help="Also score interpolated rows, which were not known online.",
        ),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the scores to this file.", metavar="FILE")
    ] = None,
) -> None:
    """Score a run against ground truth: each camera, and all cameras as one with global ids.

    The score over all cameras is not the mean of the cameras: only this score counts different ids of a person in two
    cameras as an error. If the configuration crops a camera, its ground truth is cropped as well. The second table
    shows the same tracks without linking and with perfect linking. The effect of better boxes needs the detections; it
    is in the table of `mtmc benchmark trackers` ("perfect boxes").

    Example:

        mtmc evaluate -t results/trajectories.csv -g cam1=cam1_gt.txt -g cam2=cam2_gt.txt
    """
    files = camera_files("--ground-truth", ground_truth)
    crops = {
        camera.name: camera.crop_xyxy_px
        for camera in (() if config is None else load_config(config).cameras)
        if camera.crop_xyxy_px is not None
    }
    scores = evaluate_files(
        trajectories,
        files,
        iou_threshold=iou,
        class_name=class_name,
        ground_truth_classes=_classes(ground_truth_classes),
        ground_truth_stride=ground_truth_stride,
        crops_xyxy_px=crops,
        interpolated=interpolated,
    )
    console = Console(markup=False)
    for warning in scores.warnings:
        console.print(f"warning: {warning}", style="yellow")
    note = "with interpolated rows" if interpolated else "without interpolated rows"
    console.print(scores_table(scores, note))
    console.print(linking_table(scores))
    write_json(json_file, {"interpolated": interpolated, **scores.to_dict()})


def _classes(text: str | None) -> tuple[int, ...] | Literal["all"] | None:
    if text is None or text == "all":
        return None if text is None else "all"
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= _MOST_DIGITS for part in parts):
        raise InputError(
            f"--ground-truth-classes {shown(text)}: expected numbers with commas between them, or all"
        )
    return tuple(map(int, parts))
