"""MOTChallenge result text of each camera, with global ids."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.conversion.boxes import RunRows, Told
from pipeline.files.mot_files import result_line


def mot_files(run: RunRows, told: Told) -> Iterator[tuple[str, bytes]]:
    """Yield (path below the output folder, content) for each camera; a camera without rows has an empty file.

    An id occurs once in a frame. If two tracks of a frame have one id, the box with the surer link stays.
    """
    for camera in run.cameras:
        lines = []
        for index, rows in sorted(camera.frames.items()):
            taken: set[int] = set()
            for linked in sorted(rows, key=lambda linked: (-linked.link.confidence, linked.row.track_id)):
                row, global_id = linked.row, linked.link.global_id
                if global_id in taken:
                    told.left_out["whose id another box of the frame has"] += 1
                    continue
                taken.add(global_id)
                lines.append(result_line(index, global_id, row.xyxy, row.confidence) + "\n")
        yield f"{camera.camera_id}.txt", "".join(lines).encode()
