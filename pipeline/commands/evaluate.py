"""`mtmc evaluate`: scores trajectories against ground truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from pipeline.commands.arguments import ConfigOption, camera_files
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.files.json_file import write_json
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.track_boxes import crop_ground_truth, thinned_boxes
from pipeline.files.trajectory_boxes import read_predicted_boxes
from pipeline.recorded.run_note import NOTE_NAME, noted_recording
from pipeline.scoring.evaluation import on_annotated_frames, score
from pipeline.scoring.evaluation_tables import linking_table, scores_table


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
    told: list[str] = []
    predicted = read_predicted_boxes(
        trajectories, class_name=class_name, interpolated=interpolated, tell=told.append
    )
    classes = _classes(ground_truth_classes)
    truth = {camera: read_ground_truth(path, classes=classes, tell=told.append) for camera, path in files.items()}
    if config is not None:
        for camera in load_config(config).cameras:
            if camera.crop_xyxy_px is not None and camera.name in truth:
                truth[camera.name] = crop_ground_truth(truth[camera.name], camera.crop_xyxy_px)
    console = Console(markup=False)
    part = noted_recording(_run_folder(trajectories[0]) / NOTE_NAME)
    if part.get("stride", 1) > 1:
        truth = {camera: thinned_boxes(boxes, part["stride"]) for camera, boxes in truth.items()}
        console.print(f"The ground truth is reduced to the frames that the run used: 1 in {part['stride']}.")
    if part.get("start_s") is not None or part.get("end_s") is not None:
        console.print(
            f"warning: the run used a part of its recordings, from {_second(part['start_s'], 'the beginning')} to "
            f"{_second(part['end_s'], 'the end')}: people of the ground truth outside it count as missed",
            style="yellow",
        )
    predicted = on_annotated_frames(predicted, truth, ground_truth_stride, tell=told.append)
    scores = score(predicted, truth, iou_threshold=iou)
    scores = replace(scores, warnings=(*told, *scores.warnings))
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
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--ground-truth-classes {text!r}: expected numbers with commas between them, or all")
    return tuple(map(int, parts))


def _run_folder(result: Path) -> Path:
    """Return the folder of the run that wrote a result: MOT text is in its folder `mot`."""
    folder = result if result.is_dir() else result.parent
    return folder.parent if folder.name == "mot" else folder


def _second(time_s: float | None, otherwise: str) -> str:
    return otherwise if time_s is None else f"{time_s:g} s"
