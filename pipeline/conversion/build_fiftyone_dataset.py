"""Builds a FiftyOne dataset from fiftyone_data.json beside this script: one group, with one video for each camera.

It needs `pip install fiftyone`. Without options, the recordings must be where the run found them; with
`--videos FOLDER`, they are in FOLDER under the same names.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Build the dataset, and print its name."""
    parser = argparse.ArgumentParser(description="Build a FiftyOne dataset from fiftyone_data.json.")
    parser.add_argument("--videos", type=Path, help="folder with the recordings, if they were moved")
    parser.add_argument("--name", help="name of the dataset, which must be new")
    options = parser.parse_args()
    content = json.loads((Path(__file__).resolve().parent / "fiftyone_data.json").read_text(encoding="utf-8"))
    if not content["cameras"]:
        sys.exit("the run has no cameras")
    videos = {name: _video(name, camera, options.videos) for name, camera in content["cameras"].items()}

    slices = {name: name.replace(".", "_") for name in videos}  # a point separates fields
    if len(set(slices.values())) < len(slices):
        sys.exit(f"these cameras differ only in points and underscores; rename one: {', '.join(slices)}")

    import fiftyone as fo

    dataset = fo.Dataset(options.name or content["name"], persistent=True)
    dataset.add_group_field("group", default=next(iter(slices.values())))
    group = fo.Group()
    samples = []
    for name, camera in content["cameras"].items():
        sample = fo.Sample(filepath=str(videos[name]), group=group.element(slices[name]), camera_id=name)
        width, height = camera["size_wh"]
        for index, boxes in camera["frames"].items():
            # FiftyOne counts frames from 1, and measures boxes in shares of the picture.
            sample.frames[int(index) + 1] = fo.Frame(
                tracks=fo.Detections(detections=[_detection(fo, box, width, height) for box in boxes])
            )
        samples.append(sample)
    dataset.add_samples(samples)
    print(f"dataset {dataset.name}: {len(samples)} cameras; show it with: fiftyone app launch {dataset.name}")


def _detection(fo: Any, box: dict[str, Any], width: int, height: int) -> Any:
    x1, y1, x2, y2 = box["xyxy_px"]
    return fo.Detection(
        label=box["class_name"],
        bounding_box=[x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height],
        confidence=box["confidence"],
        index=box["global_id"],
        **box["attributes"],
    )


def _video(name: str, camera: dict[str, Any], folder: Path | None) -> Path:
    noted = camera["video"]
    if noted is None and folder is None:
        sys.exit(f"camera {name}: no recording is known; give --videos FOLDER with a file {name}.mp4")
    path = Path(noted or f"{name}.mp4")
    path = path if folder is None else folder / path.name
    if not path.is_file():
        sys.exit(f"camera {name}: there is no recording {path}; give --videos FOLDER")
    return path


if __name__ == "__main__":
    main()
