"""The page of a live run, showing the made people of the demo scene; also makes the picture of the documentation.

mtmc track --config SITE --output TRACKED     # the demo scene, with any names of its three cameras
python -m tests.helpers.live.demo_page TRACKED docs/images/live_page.png
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipeline.config.config import load_config
from pipeline.core.datatypes import Frame, Link, LinkedRow, TrajectoryRow
from pipeline.files.mot_files import read_ground_truth
from pipeline.files.results_csv import read_trajectories
from pipeline.live.web.search_queue import Search
from pipeline.live.web.server import WebServer
from pipeline.sources.open import open_source
from tests.helpers.demo_clips import SCENE
from tests.helpers.live.browser import Browser
from tests.helpers.live.examples import FixedStatus, make_camera, make_status

CAMERAS = ("entrance", "hall", "corridor")
FRAME_RATE = 10.0


def ground_truth_rows() -> list[LinkedRow]:
    """The true boxes of the scene as rows, times from 0."""
    rows = []
    for number, camera in enumerate(CAMERAS, 1):
        truth = read_ground_truth(SCENE / f"cam{number}_gt.txt")
        for index, box_id, xyxy in zip(truth.frame_index, truth.ids, truth.xyxy, strict=True):
            row = TrajectoryRow(
                camera_id=camera,
                track_id=int(box_id),
                frame_index=int(index),
                time_s=float(index) / FRAME_RATE,
                class_name="person",
                xyxy=tuple(map(float, xyxy)),
                confidence=0.9,
            )
            rows.append(LinkedRow(row, Link(int(box_id), 0.95, True)))
    return sorted(rows, key=lambda linked: linked.row.time_s)


def serve(
    rows: Sequence[LinkedRow],
    *,
    token: str | None = None,
    preview: str = "blurred",
    search: Search | None = None,
    **changes: Any,
) -> WebServer:
    """The page, started: the scene has just reached the time of its last row. `changes` are fields of the status."""
    web = {"enabled": True, "port": 0, "preview": preview, "timeline_minutes": 5.0, "token": token}
    server = WebServer(load_config(None, {"live": {"web": web}}).live.web, token)
    last_s = max(linked.row.time_s for linked in rows)
    start_s = time.time() - last_s
    server.timeline.write(
        [linked._replace(row=linked.row._replace(time_s=start_s + linked.row.time_s)) for linked in rows]
    )
    cameras = []
    for number, camera in enumerate(CAMERAS, 1):
        newest = [
            linked
            for linked in rows
            if linked.row.camera_id == camera and linked.row.frame_index == round(last_s * FRAME_RATE)
        ]
        if server.preview_hook is not None:
            image = _picture(SCENE / f"cam{number}.mp4", round(last_s * FRAME_RATE))
            frame = Frame(camera, 0, last_s, (image.shape[1], image.shape[0]), image)
            server.preview_hook(frame, np.zeros((0, 4), np.float32), newest)
        cameras.append(make_camera(camera, people=len(newest), reconnects={}, dropped={}))
    status = make_status(
        *cameras,
        identities_now=len({linked.link.global_id for linked in rows if last_s - linked.row.time_s < 0.5}),
        identities_total=len({linked.link.global_id for linked in rows}),
        identities_by_class=dict(Counter({one.link.global_id: one.row.class_name for one in rows}.values())),
        rows_written=len(rows),
        uptime_s=last_s,
        **changes,
    )
    server.start(FixedStatus(status), time.time, search)
    return server


def _picture(path: Path, frame_index: int) -> np.ndarray:
    with open_source("demo", str(path)) as source:
        for frame in source:
            if frame.frame_index == frame_index and frame.image is not None:
                return frame.image
    raise AssertionError(f"{path} has no frame {frame_index}")


def make_picture(tracked: Path, target: Path, at_s: float = 27.0) -> None:
    """The page in a browser, with one person chosen."""
    rows = [row for row in read_trajectories(tracked / "trajectories.csv") if row.row.time_s <= at_s]
    server = serve(rows)
    with Browser(1180, 1065) as browser:
        browser.driver.get(server.url)
        browser.until(lambda: len(browser.all(".lane")) > 3, "people")
        browser.find("#window").send_keys("1 min")
        most = max({row.link.global_id for row in rows}, key=lambda one: len(_cameras_of(rows, one)))
        browser.find(f'[data-id="{most}"] button').click()
        browser.until(lambda: browser.all("#stops li"), "the path")
        browser.until(lambda: all(image.is_displayed() for image in browser.all(".camera img")), "pictures")
        browser.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
        picture = cv2.imdecode(np.frombuffer(browser.driver.get_screenshot_as_png(), np.uint8), cv2.IMREAD_COLOR)
    server.close(5)
    # Few colours suffice for a page and make a file of half the size.
    Image.fromarray(picture[:, :, ::-1]).quantize(256).save(target, optimize=True)


def _cameras_of(rows: Sequence[LinkedRow], global_id: int) -> set[tuple[str, int]]:
    return {(one.row.camera_id, one.row.track_id) for one in rows if one.link.global_id == global_id}


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]), Path(sys.argv[2]))
