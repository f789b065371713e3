"""Options that users of other trackers know, as short ways to keys of the configuration."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from detectors.coco import COCO_CLASSES
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge

_PANEL = "Short ways to settings"

SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--source", help="The same as SOURCE; may be repeated.", metavar="SOURCE", rich_help_panel=_PANEL
    ),
]
ConfidenceOption = Annotated[
    float | None, typer.Option("--conf", help="detector.confidence_min", rich_help_panel=_PANEL)
]
ImageSizeOption = Annotated[
    int | None, typer.Option("--imgsz", help="detector.image_size_px", rich_help_panel=_PANEL)
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", help="detector.device and embedder.device: cpu, cuda, cuda:1", rich_help_panel=_PANEL
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="detector.classes: names, or numbers of COCO, as person,bicycle or 0,1",
        metavar="LIST",
        rich_help_panel=_PANEL,
    ),
]
HalfOption = Annotated[
    bool | None, typer.Option("--half/--no-half", help="detector.half and embedder.half", rich_help_panel=_PANEL)
]
StartOption = Annotated[
    float | None,
    typer.Option("--start", help="recording.start_s: seconds on the common clock", rich_help_panel=_PANEL),
]
EndOption = Annotated[float | None, typer.Option("--end", help="recording.end_s", rich_help_panel=_PANEL)]
StrideOption = Annotated[
    int | None, typer.Option("--stride", help="recording.stride: use every n-th frame", rich_help_panel=_PANEL)
]

ShowOption = Annotated[
    bool | None,
    typer.Option(
        "--show/--no-show",
        help="output.show: watch the cameras in a window. q or Esc closes it, and the run continues.",
        rich_help_panel=_PANEL,
    ),
]


def with_short_options(
    overrides: dict[str, Any],
    *,
    conf: float | None = None,
    imgsz: int | None = None,
    device: str | None = None,
    classes: str | None = None,
    half: bool | None = None,
    start: float | None = None,
    end: float | None = None,
    stride: int | None = None,
    show: bool | None = None,
) -> dict[str, Any]:
    """Return the overrides with these options added; `--set` of the same key takes precedence.

    Raises:
        InputError: a part of `classes` is empty, or a number in it is not one of COCO's.
    """
    given = {
        ("detector", "confidence_min"): conf,
        ("detector", "image_size_px"): imgsz,
        ("detector", "classes"): None if classes is None else _class_names(classes),
        ("detector", "device"): device,
        ("embedder", "device"): device,
        ("detector", "half"): half,
        ("embedder", "half"): half,
        ("recording", "start_s"): start,
        ("recording", "end_s"): end,
        ("recording", "stride"): stride,
        ("output", "show"): show,
    }
    below: dict[str, Any] = {}
    for (section, key), value in given.items():
        if value is not None:
            below.setdefault(section, {})[key] = value
    return merge(below, overrides)


def _class_names(text: str) -> list[str]:
    names = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            raise InputError(f"--classes {text!r}: expected names or numbers with commas between them")
        if part.isdecimal():
            if int(part) >= len(COCO_CLASSES):
                raise InputError(
                    f"--classes {text}: COCO has the numbers 0 to {len(COCO_CLASSES) - 1}, but not {part}"
                )
            part = COCO_CLASSES[int(part)]
        names.append(part)
    return names
