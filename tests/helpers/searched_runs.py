"""Folders of finished runs and live sites with chosen embeddings, for tests of searching."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import load_config
from pipeline.core.datatypes import FloatArray, Frame, Link, LinkedRow, Tracklet, TrajectoryRow
from pipeline.core.fake_models import FakeDetector, FakeEmbedder
from pipeline.core.yaml_file import merge
from pipeline.cross_camera.camera_centres import CentreState
from pipeline.cross_camera.gallery import Gallery
from pipeline.files.results_csv import COLUMNS, TrajectoryWriter
from pipeline.files.tracklet_file import TrackletFileInfo, TrackletWriter
from pipeline.live.output.gallery_file import GALLERY_NAME, save_gallery
from pipeline.live.output.segments import row_line
from tests.helpers.factories import make_detections

#: Up to this distance two tracks count as one person in these runs; no camera mean is subtracted.
LIMIT = 0.4
#: Hash of `FakeEmbedder`.
MODEL = "fake"


def settings_of(cameras: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A configuration as run.json holds it."""
    limits = {"max_cosine_distance": LIMIT, "max_centred_cosine_distance": None}
    chosen = {
        "cameras": [{"name": name, "source": f"{name}.mp4"} for name in cameras],
        "embedder": {"weights": None},
        "tracker": {"max_cosine_distance": LIMIT},
        "linker": limits,
        "second_pass": limits,
    }
    return load_config(None, merge(chosen, changes)).model_dump(mode="json", by_alias=True)


def write_run(
    folder: Path,
    tracklets: Sequence[Tracklet],
    people: Mapping[tuple[str, int], int],
    *,
    epoch_utc: datetime | None = None,
    model: str = MODEL,
    state: str = "complete",
    final: bool = True,
    **changes: Any,
) -> Path:
    """The folder of a run of `mtmc track`.

    Args:
        people: (camera, track) -> global id; tracks without one get no rows.
        changes: settings that differ from `settings_of`.
    """
    folder.mkdir(parents=True)
    cameras = sorted({tracklet.camera_id for tracklet in tracklets} | {camera for camera, _ in people})
    with TrajectoryWriter(folder, cameras, epoch_utc) as writer:
        for tracklet in tracklets:
            if tracklet.key not in people:
                continue
            for frame, time_s in enumerate((tracklet.start_s, tracklet.end_s)):
                row = TrajectoryRow(
                    camera_id=tracklet.camera_id,
                    track_id=tracklet.track_id,
                    frame_index=frame,
                    time_s=time_s,
                    class_name="person",
                    xyxy=(100.0, 100.0, 150.0, 250.0),
                    confidence=0.9,
                )
                writer.write(LinkedRow(row, Link(people[tracklet.key], 0.9, final)))
    with TrackletWriter(
        folder / "tracklets.arrow", TrackletFileInfo(tuple(cameras), {0: "person"}, model)
    ) as file:
        for tracklet in tracklets:
            file.write(tracklet)
    note = {
        "state": state,
        "epoch_utc": None if epoch_utc is None else epoch_utc.isoformat(),
        "cameras": {name: {"path": f"{name}.mp4"} for name in cameras},
        "config": settings_of(cameras, **changes),
    }
    (folder / "run.json").write_text(json.dumps(note))
    return folder


def write_site(
    folder: Path, people: Mapping[int, Mapping[str, FloatArray]], rows: Sequence[LinkedRow], *, model: str = MODEL
) -> Path:
    """The folder of a live site.

    Args:
        people: global id -> camera -> embeddings (K, D); the last row of a person in a camera is when it was seen last.
        rows: of one segment.
    """
    folder.mkdir(parents=True)
    cameras = sorted({camera for views in people.values() for camera in views})
    dim = next(len(e[0]) for views in people.values() for e in views.values())
    most = max(sum(map(len, views.values())) for views in people.values())
    count = len(people)
    features = np.zeros((count, most, dim), np.float32)
    has = np.zeros((count, most), np.bool_)
    camera_of = np.zeros((count, most), np.int64)
    seen_s = np.full((count, len(cameras)), -np.inf)
    for row, (person, views) in enumerate(people.items()):
        place = 0
        for camera, embeddings in views.items():
            for embedding in embeddings:
                features[row, place], has[row, place] = embedding, True
                camera_of[row, place] = cameras.index(camera)
                place += 1
            times = [
                one.row.time_s for one in rows if one.link.global_id == person and one.row.camera_id == camera
            ]
            seen_s[row, cameras.index(camera)] = max(times, default=1.0)
    gallery = Gallery(
        camera_ids=tuple(cameras),
        next_id=max(people) + 1,
        global_id=np.array(list(people), np.int64),
        class_id=np.zeros(count, np.int64),
        last_seen_s=seen_s,
        features=features,
        has_feature=has,
        feature_camera=camera_of,
        centres=CentreState(np.zeros((len(cameras), dim), np.float32), np.zeros(len(cameras))),
        last_floor_s=np.full(count, np.nan),
        last_floor_xy_m=np.full((count, 2), np.nan),
    )
    save_gallery(folder / GALLERY_NAME, gallery, model, closing=True)
    (folder / "manifest-20260501T100000Z-bb.json").write_text(json.dumps({"config": settings_of(cameras)}))
    text = ",".join(COLUMNS) + "\n" + "".join(map(row_line, rows))
    (folder / "traj-20260501T100000Z-bb-0001.csv").write_text(text)
    return folder


def colour_embedder(dim: int = 8) -> FakeEmbedder:
    """Embeds a box by its mean colour: blue, green and red are the first values, the others are 0."""

    def vectors(frame: Frame, xyxy: FloatArray) -> FloatArray:
        assert frame.image is not None
        found = np.zeros((len(xyxy), dim), np.float32)
        for row, (left, top, right, bottom) in enumerate(np.rint(xyxy).astype(int).tolist()):
            found[row, :3] = frame.image[top:bottom, left:right].reshape(-1, 3).mean(axis=0)
        return found

    return FakeEmbedder(vectors, dim)


def bright_detector() -> FakeDetector:
    """Finds a person in every separate patch that is not grey."""

    def boxes(frame: Frame) -> Any:
        assert frame.image is not None
        spread = np.ptp(frame.image.astype(int), axis=2) > 40
        count, _, stats, _ = cv2.connectedComponentsWithStats(spread.astype(np.uint8))
        corners = [[x, y, x + w, y + h] for x, y, w, h, area in stats[1:count].tolist() if area > 50]
        return make_detections(corners)

    return FakeDetector(boxes)


def write_picture(
    path: Path, size_wh: tuple[int, int], people: Sequence[tuple[tuple[int, int, int, int], tuple[int, int, int]]]
) -> Path:
    """A grey picture with rectangles (left, top, right, bottom) in BGR colours."""
    image: NDArray[np.uint8] = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    for (left, top, right, bottom), colour in people:
        image[top:bottom, left:right] = colour
    assert cv2.imwrite(str(path), image)
    return path
