"""COCO JSON with the fields for videos and tracks that COCO-VID (MMTracking) and TAO add.

Plain readers of COCO ignore these fields. `track_id` is a track inside one video, `instance_id` the person, the same in
all videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.conversion.boxes import CameraRows, RunRows, attributes, file_of_frame, xywh
from pipeline.conversion.json_text import json_bytes

ALL_CAMERAS = "all_cameras.json"
# Where COCO itself and its readers have files of annotations.
_OF_A_CAMERA = "annotations/instances_{}.json"


def coco_files(run: RunRows) -> Iterator[tuple[str, bytes]]:
    """Yield (path below the output folder, content): one file for all cameras, and one for each.

    Raises:
        InputError: the picture size of a camera is unknown.
    """
    categories = [
        {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(run.class_names, start=1)
    ]
    number_of = {str(one["name"]): int(str(one["id"])) for one in categories}
    whole: dict[str, list[Any]] = {"videos": [], "images": [], "tracks": [], "annotations": []}
    next_ids = (1, 1)
    for video_id, camera in enumerate(run.cameras, start=1):
        part, next_ids = _of_camera(camera, video_id, number_of, run.names, next_ids)
        yield _OF_A_CAMERA.format(camera.camera_id), json_bytes({**part, "categories": categories})
        for image in part["images"]:
            image["file_name"] = f"{camera.camera_id}/{image['file_name']}"
        for key, values in part.items():
            whole[key] += values
    yield ALL_CAMERAS, json_bytes({**whole, "categories": categories})


def _of_camera(
    camera: CameraRows,
    video_id: int,
    categories: dict[str, int],
    names: Mapping[int, str],
    next_ids: tuple[int, int],
) -> tuple[dict[str, list[Any]], tuple[int, int]]:
    """Return the lists of one camera, and the next ids of images and annotations, which are unique over all cameras."""
    width, height = camera.size_wh("coco")
    image_id, annotation_id = next_ids
    name = camera.camera_id
    numbers = camera.track_numbers
    frames = camera.frames
    images, annotations = [], []
    for index in camera.frame_indices:
        images.append(
            {
                "id": image_id,
                "file_name": f"{file_of_frame(index)}.jpg",
                "width": width,
                "height": height,
                "video_id": video_id,
                "frame_id": index,
                "frame_index": index,
                "video": name,
            }
        )
        for linked in frames.get(index, ()):
            row = linked.row
            box = xywh(linked)
            annotations.append(
                {
                    "id": annotation_id,
                    "image_id": image_id,
                    "video_id": video_id,
                    "category_id": categories[row.class_name],
                    "bbox": box,
                    "area": round(box[2] * box[3], 6),
                    "segmentation": [],
                    "iscrowd": 0,
                    "score": row.confidence,
                    "track_id": numbers[row.track_id],
                    "instance_id": linked.link.global_id,
                    "attributes": attributes(linked, numbers[row.track_id], names),
                }
            )
            annotation_id += 1
        image_id += 1
    tracks = [
        {"id": numbers[track_id], "category_id": categories[rows[0].row.class_name], "video_id": video_id}
        for track_id, rows in camera.tracks.items()
    ]
    video = {"id": video_id, "name": name, "width": width, "height": height}
    return {"videos": [video], "images": images, "tracks": tracks, "annotations": annotations}, (
        image_id,
        annotation_id,
    )
