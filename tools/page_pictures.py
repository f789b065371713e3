"""Draws docs/images/homography.png and find.png of the demo scene: `python -m tools.page_pictures runs/demo`.

It needs the run of `make demo`, Chromium and its driver.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml

from pipeline.cli import main
from pipeline.homography_page.pictures import read_picture
from pipeline.homography_page.server import PointServer
from pipeline.homography_page.session import Session
from tests.helpers.live.browser import Browser

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
CAMERA, OTHER_CAMERA, FRAME = "cam1", "cam2", 120
# A plan of the floor seen from above, made of the pictures of two cameras.
SCALE_M_PER_PX = 0.02
FLOOR_PX = [(150, 330), (330, 345), (520, 330), (240, 235), (430, 240), (330, 190)]
CLICK_NOISE_PX = 0.6


def still(camera: str) -> np.ndarray:
    """Return the chosen frame of a camera, (H, W, 3) uint8, BGR."""
    video = cv2.VideoCapture(str(ROOT / "demo" / "scene" / f"{camera}.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, FRAME)
    read, image = video.read()
    video.release()
    if not read:
        raise SystemExit(f"demo/scene/{camera}.mp4 has no frame {FRAME}")
    return image


def homographies() -> dict[str, np.ndarray]:
    """Return the homographies of the demo, pixel to metres."""
    cameras = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())["cameras"]
    return {camera["name"]: np.array(camera["homography"], np.float64) for camera in cameras}


def floor_m(matrix: np.ndarray, points_px: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return floor positions (N, 2) in metres."""
    return cv2.perspectiveTransform(np.array(points_px, np.float64).reshape(-1, 1, 2), matrix).reshape(-1, 2)


def draw_page(folder: Path) -> None:
    """Open the page with points clicked about half a pixel beside the exact place, and take its picture."""
    to_floor = homographies()[CAMERA]
    points = floor_m(to_floor, FLOOR_PX)
    origin_m = np.floor(points.min(0)) - 1.0
    width, height = np.ceil((points.max(0) + 1.0 - origin_m) / SCALE_M_PER_PX).astype(int)
    to_plan = np.diag([1 / SCALE_M_PER_PX, 1 / SCALE_M_PER_PX, 1.0]) @ np.array(
        [[1, 0, -origin_m[0]], [0, 1, -origin_m[1]], [0, 0, 1]]
    )
    plan = np.full((height, width, 3), 235, np.uint8)
    for camera in (OTHER_CAMERA, CAMERA):
        size = (int(width), int(height))
        matrix = to_plan @ homographies()[camera]
        # What is above the horizon of the camera would be mirrored onto the floor.
        image = still(camera)
        below = np.zeros(image.shape[:2], np.uint8)
        below[150:] = 255
        seen = cv2.warpPerspective(below, matrix, size)
        plan[seen > 0] = cv2.warpPerspective(image, matrix, size)[seen > 0]
    picture, plan_file = folder / f"{CAMERA}.png", folder / "plan.png"
    if not (cv2.imwrite(str(picture), still(CAMERA)) and cv2.imwrite(str(plan_file), plan)):
        raise SystemExit(f"{folder} cannot be written")
    session = Session(read_picture(picture), read_picture(plan_file), SCALE_M_PER_PX, folder / "points.csv", None)
    clicked = np.array(FLOOR_PX) + np.random.default_rng(0).normal(0, CLICK_NOISE_PX, (len(FLOOR_PX), 2))
    session.save(np.hstack([clicked, points - origin_m]).round(3).tolist(), None)
    with PointServer(session) as server, Browser(1280, 1000) as browser:
        browser.driver.get(server.url)
        browser.until(lambda: f"{len(FLOOR_PX)} of" in browser.text("#summary"), "the fit")
        browser.until(lambda: browser.find("#picture img").get_property("naturalWidth") != 0, "the picture")
        browser.driver.save_screenshot(str(IMAGES / "homography.png"))


def draw_matches(run: Path, folder: Path) -> None:
    """Search the first person of the still in the run; the sheet has all tracks of that person, and two others."""
    if not cv2.imwrite(str(folder / "scene.jpg"), still(CAMERA)):
        raise SystemExit(f"{folder} cannot be written")
    with contextlib.chdir(folder), contextlib.suppress(SystemExit):  # raised at the end of every command
        main(
            f"find {run} --image scene.jpg --camera {CAMERA} --person 1 --tracks --top 5 --sheet find.png".split()
        )
    (IMAGES / "find.png").write_bytes((folder / "find.png").read_bytes())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        draw_page(Path(name))
        draw_matches(Path(sys.argv[1]).resolve(), Path(name))
