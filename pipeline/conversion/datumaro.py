"""The JSON format of Datumaro: a folder with annotations/CAMERA.json, each camera being a subset."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.conversion.boxes import RunRows, attributes, file_of_frame, xywh
from pipeline.conversion.json_text import json_bytes


def datumaro_files(run: RunRows) -> Iterator[tuple[str, bytes]]:
    """Yield (path below the output folder, content) for each camera."""
    names = run.class_names
    labels = {
        "labels": [{"name": name, "parent": "", "attributes": []} for name in names],
        "label_groups": [],
        "attributes": [],
    }
    for camera in run.cameras:
        numbers, frames = camera.track_numbers, camera.frames
        items = []
        for index in camera.frame_indices:
            image: dict[str, object] = {"path": f"{file_of_frame(index)}.jpg"}
            if camera.stored.size_wh is not None:
                width, height = camera.stored.size_wh
                image["size"] = [height, width]
            annotations = [
                {
                    "id": number,
                    "type": "bbox",
                    "attributes": attributes(linked, numbers[linked.row.track_id], run.names),
                    "group": linked.link.global_id,
                    "label_id": names.index(linked.row.class_name),
                    "z_order": 0,
                    "bbox": xywh(linked),
                }
                for number, linked in enumerate(frames.get(index, ()))
            ]
            items.append(
                {
                    "id": file_of_frame(index),
                    "annotations": annotations,
                    "attr": {"frame": index},
                    "image": image,
                }
            )
        content = {
            "dm_format_version": "1.0",
            "media_type": 2,  # pictures
            "infos": {},  # the same in all subsets, as Datumaro requires
            "categories": {"label": labels},
            "items": items,
        }
        yield f"annotations/{camera.camera_id}.json", json_bytes(content)
