"""`mtmc reid crops`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.arguments import camera_files, camera_texts
from pipeline.commands.reid.crop_export import CropRules, write_crops
from pipeline.core.errors import InputError
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.trajectory_boxes import read_trajectory_boxes
from pipeline.sources.open import open_source


def crops(
    video: Annotated[
        list[str],
        typer.Option(
            help="Recording of a camera: a video, a folder of images or a MOT sequence; once per camera. The first "
            "becomes c1.",
            metavar="CAMERA=SOURCE",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the crops; new or empty.")],
    ground_truth: Annotated[
        list[str] | None,
        typer.Option(
            "--ground-truth",
            "-g",
            help="MOT ground truth of a camera, with ids that all cameras share.",
            metavar="CAMERA=FILE",
        ),
    ] = None,
    trajectories: Annotated[
        Path | None,
        typer.Option(
            "--trajectories", "-t", help="Instead of ground truth: trajectories.csv of a run with verified ids."
        ),
    ] = None,
    frame_rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Frames per second of recordings that do not state it, such as images."),
    ] = None,
    interval_s: Annotated[
        float, typer.Option(min=0, help="Seconds between two crops of a person in a camera.")
    ] = 1.0,
    height_min_px: Annotated[float, typer.Option(min=1, help="Leave out boxes with a smaller height.")] = 64.0,
    overlap_max: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out boxes covered by another by more than this share.")
    ] = 0.4,
) -> None:
    """Cut labelled crops out of recordings: a data set from your own cameras for evaluate, calibrate or train.

    Example:

        mtmc reid crops --video cam1=cam1.mp4 --video cam2=cam2.mp4 -g cam1=cam1_gt.txt -g cam2=cam2_gt.txt
        --output crops
    """
    videos = camera_texts("--video", video, "SOURCE", "cam1.mp4")
    if (trajectories is None) == (not ground_truth):
        raise InputError("give either --ground-truth for every camera, or --trajectories")
    if trajectories is not None:
        boxes = {camera: found.boxes for camera, found in read_trajectory_boxes(trajectories).items()}
    else:
        boxes = {camera: read_ground_truth(path) for camera, path in camera_files("-g", ground_truth).items()}
    if missing := [camera for camera in videos if camera not in boxes]:
        raise InputError(f"camera {missing[0]} has no boxes; there are boxes of {', '.join(boxes) or 'no camera'}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} exists and is not an empty folder: give another name or remove it")
    rules = CropRules(interval_s=interval_s, height_min_px=height_min_px, overlap_max=overlap_max)
    console = Console(markup=False)
    with ExitStack() as opened:
        sources = [
            opened.enter_context(open_source(camera, path, frame_rate=frame_rate))
            for camera, path in videos.items()
        ]
        output.mkdir(parents=True, exist_ok=True)
        for number, source in enumerate(sources, start=1):
            count = write_crops(source, boxes[source.camera_id], output, camera_number=number, rules=rules)
            console.print(f"{source.camera_id} is c{number}: {count} crops")
