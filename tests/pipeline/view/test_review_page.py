"""The page of a review over HTTP: its steps and its guards, and that the page of `mtmc view` has no steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.live.web.auth import TokenGate
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.view.app import build_app
from pipeline.view.found_runs import find_runs
from pipeline.view.library import Library
from pipeline.view.review_routes import ReviewRoutes
from tests.helpers.stored_runs import recorded_run, row

TOKEN = "a-token-of-some-length"
ORDER = {"authorization": f"Bearer {TOKEN}"}
STEPS = "/api/review/steps"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """1 in hall and door, and 2 in hall, together from frame 5 on."""
    rows = [row(1, "hall", 1, frame) for frame in range(5)]
    for frame in range(5, 10):
        rows += [row(1, "hall", 1, frame), row(2, "hall", 2, frame), row(1, "door", 1, frame)]
    return recorded_run(tmp_path / "run", rows)


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with ReviewedRun(folder) as run:
        library = Library(find_runs(folder), {}, run.rows_path)
        app = build_app(
            library, TokenGate(TOKEN), ["testserver"], own_user_only=False, review=ReviewRoutes(run, library)
        )
        client = TestClient(app, headers=ORDER, follow_redirects=False)
        while client.get("/api/review").json().get("reading"):
            time.sleep(0.02)
        yield client


def people(answer: Any) -> dict[int, list[str]]:
    return {
        one["global_id"]: [f"{track['camera_id']}:{track['track_id']}" for track in one["tracks"]]
        for one in answer["people"]
    }


def test_each_step_answers_with_the_new_state(client: TestClient, folder: Path) -> None:
    assert people(client.get("/api/review").json()) == {1: ["hall:1", "door:1"], 2: ["hall:2"]}
    steps = [
        (
            {"step": "split", "camera_id": "hall", "track_id": 1, "from_s": 0.5},
            {1: ["door:1", "hall:1"], 3: ["hall:3"]},
        ),
        ({"step": "split", "camera_id": "door", "track_id": 1, "from_s": None}, {1: ["hall:1"], 4: ["door:1"]}),
        ({"step": "merge", "into": 3, "merged": 4}, {3: ["door:1", "hall:3"]}),
        ({"step": "delete", "camera_id": "hall", "track_id": 2}, {}),
        ({"step": "undo"}, {2: ["hall:2"]}),
    ]
    for step, expected in steps:
        answer = client.post(STEPS, json=step)
        assert answer.status_code == 200, answer.text
        found = {one: sorted(tracks) for one, tracks in people(answer.json()).items()}
        assert found | expected == found
    answer = client.post(STEPS, json={"step": "rename", "global_id": 3, "name": " Ana "}).json()
    assert [one["name"] for one in answer["people"]] == ["", "", "Ana"]
    assert (answer["told"], answer["undo"], answer["redo"]) == ("Named 3 'Ana'", "named 3 'Ana'", None)
    for _ in range(100):
        if client.get("/api/review/saved").json()["saved"]:
            break
        time.sleep(0.02)
    lines = (folder / "trajectories.csv").read_text().splitlines()[1:]
    assert sorted({",".join(line.split(",")[:3]) for line in lines}) == [
        "1,hall,1",
        "2,hall,2",
        "3,door,1",
        "3,hall,3",
    ]


@pytest.mark.parametrize(
    ("step", "status", "problem"),
    [
        ({"step": "merge", "into": 1, "merged": 2}, 409, "both are in camera hall in frame 5 (0.5 s)"),
        ({"step": "merge", "into": 1, "merged": 7}, 409, "nobody has the id 7"),
        ({"step": "undo"}, 409, "nothing to undo"),
        ({"step": "split", "camera_id": "hall", "track_id": 1, "from_s": 9}, 409, "from 0.0 to 0.9 s"),
        ({"step": "split", "camera_id": "hall", "track_id": 1, "from_s": "x"}, 422, "from_s is no number"),
        ({"step": "split", "camera_id": "hall", "track_id": 7, "from_s": 1}, 409, "there is no track hall:7"),
        ({"step": "paint"}, 422, "there is no step 'paint'"),
        ([], 422, "a step is a JSON object"),
        ({"step": "rename", "global_id": 1, "name": "a" * 5000}, 422, "longer than 4096 bytes"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_wrong_steps_have_an_answer_and_change_nothing(
    client: TestClient, folder: Path, step: object, status: int, problem: str
) -> None:
    answer = client.post(STEPS, json=step)
    assert answer.status_code == status
    assert problem in answer.json()["error"]
    assert client.get("/api/review").json()["steps"] == 0
    assert not (folder / "review.ndjson").exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://testserver"}, 200),
        ({"origin": "http://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"authorization": "Bearer wrong"}, 401),
        ({"host": "elsewhere.example"}, 400),
    ],
    ids=str,
)
def test_who_may_make_steps(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.post(STEPS, json={"step": "confirm", "global_id": 1}, headers=headers)
    assert answer.status_code == status
    assert client.get("/api/review").json()["steps"] == (status == 200)


def test_a_session_alone_needs_the_origin_and_steps_are_no_gets(client: TestClient) -> None:
    assert client.get(STEPS).status_code == 405
    client.headers.pop("authorization")
    assert client.post(STEPS, json={"step": "confirm", "global_id": 1}).status_code == 401
    client.get(f"/login?token={TOKEN}")
    assert client.post(STEPS, json={"step": "confirm", "global_id": 1}).status_code == 403
    origin = {"origin": "http://testserver"}
    assert client.post(STEPS, json={"step": "confirm", "global_id": 1}, headers=origin).status_code == 200


def test_the_page_of_finished_runs_has_no_steps(folder: Path) -> None:
    app = build_app(Library(find_runs(folder), {}), TokenGate(TOKEN), ["testserver"], own_user_only=False)
    client = TestClient(app, headers=ORDER)
    assert client.post(STEPS, json={"step": "confirm", "global_id": 1}).status_code == 404
    assert "mtmc view" in client.get("/").text
