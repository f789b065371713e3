"""The page over HTTP: its data, its guards, and that nothing in the folder changes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from pipeline.view.app import COOKIE
from tests.helpers.looped_scene import picture
from tests.helpers.page_client import TOKEN, client_of, summary_of
from tests.helpers.stored_runs import live_run, recorded_run, row


@pytest.fixture(scope="module")
def client(scene: Path) -> TestClient:
    opened = client_of(scene / "run")
    summary_of(opened)
    return opened


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def image_of(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(np.float32)


def test_a_run_with_timeline_details_pictures_and_frames_and_nothing_is_changed(scene: Path) -> None:
    before = hashes(scene)
    client = client_of(scene / "run")
    summary = summary_of(client)
    assert (summary["people"], summary["fragments"], summary["state"]) == (2, 3, "complete")
    assert summary["cameras"] == ["left", "right"]
    assert summary["no_recording"] == {}
    part = client.get("/api/runs/0/lanes", params={"from": 0, "to": summary["end_s"], "fragments": "0"}).json()
    assert [lane["global_id"] for lane in part["lanes"]] == [1, 2]
    assert part["hidden_fragments"] == 3
    camera, track = summary["cameras"][part["lanes"][0]["bars"][0][0]], part["lanes"][0]["bars"][0][5]
    visit = client.get(f"/api/runs/0/visits/{camera}/{track}").json()
    assert visit["global_id"] == 1
    assert visit["tracks"][0]["why"]
    cut = client.get(f"/api/runs/0/pictures/{camera}/{track}").json()
    assert cut["problems"] == []
    assert {one["camera_id"] for one in cut["pictures"]} == {"left", "right"}
    assert all(one["uri"].startswith("data:image/jpeg;base64,") for one in cut["pictures"])
    assert hashes(scene) == before


@pytest.mark.parametrize("frame", [0, 3, 40, 7, 41])
def test_frames_are_those_of_the_recording(client: TestClient, frame: int) -> None:
    answer = client.get("/api/runs/0/frames/left.jpg", params={"t": frame / 10, "width": 1920, "boxes": "0"})
    assert answer.status_code == 200
    assert float(answer.headers["x-frame-time"]) == pytest.approx(frame / 10)
    assert float(answer.headers["x-next-time"]) == pytest.approx(frame / 10 + 0.1)
    assert np.abs(image_of(answer.content) - picture("left", frame)).mean() < 4


def test_boxes_are_drawn_and_pictures_are_reduced(client: TestClient) -> None:
    path, query = "/api/runs/0/frames/left.jpg", {"t": 1.0, "width": 100}
    drawn, plain = (image_of(client.get(path, params={**query, "boxes": boxes}).content) for boxes in ("1", "0"))
    assert drawn.shape == plain.shape
    assert drawn.shape[1] == 100
    assert np.abs(drawn - plain).max() > 60


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/runs/1", 404, "no run"),
        ("/api/runs/x", 404, "no run"),
        ("/api/runs/0/lanes?from=0", 422, "to must be a number"),
        ("/api/runs/0/lanes?from=nan&to=1", 422, "from must be a number"),
        ("/api/runs/0/visits/left/999", 404, "no such track"),
        ("/api/runs/0/visits/..%2F..%2Fetc/1", 404, ""),
        ("/api/runs/0/frames/left.jpg?t=x", 422, "t must be a number"),
        ("/api/runs/0/frames/left.jpg?t=999", 404, "has ended"),
        ("/api/runs/0/frames/left.jpg?t=1e300", 404, "has ended"),
        ("/api/runs/0/frames/left.jpg?t=-9", 404, "begins"),
        ("/api/runs/0/frames/nowhere.jpg?t=1", 404, "no camera"),
        ("/static/../app.py", 404, ""),
    ],
)
def test_wrong_requests_have_an_answer(client: TestClient, path: str, status: int, text: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert text in answer.text


def test_the_token_is_needed_and_its_address_opens_a_session(scene: Path) -> None:
    client = client_of(scene / "run")
    client.headers.pop("authorization")
    assert client.get("/api/runs").status_code == 401
    assert client.get("/static/view.js").status_code == 401
    assert client.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"
    assert client.get("/login?token=wrong").status_code == 401
    answer = client.get(f"/login?token={TOKEN}")
    assert answer.status_code == 303
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert COOKIE in client.cookies
    answer = client.get("/api/runs")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/api/runs", headers={"host": "elsewhere.example"}).status_code == 400
    client.post("/logout")
    assert client.get("/api/runs").status_code == 401


def test_other_methods_are_refused(client: TestClient) -> None:
    for path in ("/", "/api/runs", "/api/runs/0", "/api/runs/0/lanes"):
        assert client.post(path).status_code == 405
        assert client.delete(path).status_code == 405


def test_a_moved_recording_is_told_and_found_again(scene: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(scene / "run", tmp_path / "run"))
    note = json.loads((folder / "run.json").read_text())
    for camera in note["config"]["cameras"]:
        camera["source"] = f"/moved/{camera['name']}.mp4"
    (folder / "run.json").write_text(json.dumps(note))
    moved = summary_of(client_of(folder))
    assert moved["no_recording"]["left"] == (
        "/moved/left.mp4 does not exist. `--recording left=PATH` says where the recording is now"
    )
    client = client_of(folder, {"left": str(scene / "left.mp4")})
    assert list(summary_of(client)["no_recording"]) == ["right"]
    assert client.get("/api/runs/0/frames/left.jpg?t=1").status_code == 200
    answer = client.get("/api/runs/0/frames/right.jpg?t=1")
    assert (answer.status_code, "does not exist" in answer.text) == (404, True)
    wrong = client_of(folder, {"left": str(scene / "run" / "run.json")})
    summary_of(wrong)
    assert "cannot be opened as a video" in wrong.get("/api/runs/0/frames/left.jpg?t=1").text


def test_a_live_run_has_people_but_no_recording(tmp_path: Path) -> None:
    rows = [row(1, "hall", 1, frame, time_s=1_777_000_000 + frame / 10) for frame in range(5)]
    client = client_of(live_run(tmp_path / "site", rows))
    summary = summary_of(client)
    assert (summary["people"], summary["epoch_s"], summary["start_s"]) == (1, 0, 1_777_000_000)
    assert summary["no_recording"] == {"hall": "this is a live run, whose streams are not recorded"}
    cut = client.get("/api/runs/0/pictures/hall/1").json()
    assert cut == {"pictures": [], "problems": ["hall: this is a live run, whose streams are not recorded"]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [("a,b\n1,2\n", "trajectories.csv"), ("", "trajectories.csv")],
    ids=["another version", "empty"],
)
def test_rows_that_cannot_be_read_are_told_in_a_line(tmp_path: Path, text: str, problem: str) -> None:
    folder = recorded_run(tmp_path / "run", [row(1, "hall", 1, 0)])
    (folder / "trajectories.csv").write_text(text)
    error = summary_of(client_of(folder))["error"]
    assert problem in error
    assert "\n" not in error


def test_a_run_that_has_not_ended_has_a_note(tmp_path: Path) -> None:
    summary = summary_of(client_of(recorded_run(tmp_path / "run", [row(1, "hall", 1, 0)], state="running")))
    assert any("still running" in gap for gap in summary["gaps"])
