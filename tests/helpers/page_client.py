"""Requests to the page of finished runs, without a network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from pipeline.live.web.auth import TokenGate
from pipeline.view.app import build_app
from pipeline.view.found_runs import find_runs
from pipeline.view.library import Library

TOKEN = "a-token-of-some-length"
ORDER = {"authorization": f"Bearer {TOKEN}"}


def client_of(folder: Path, recordings: Mapping[str, str] | None = None) -> TestClient:
    """A client with the token."""
    library = Library(find_runs(folder), recordings or {})
    app = build_app(library, TokenGate(TOKEN), ["testserver"], own_user_only=False)
    return TestClient(app, headers=ORDER, follow_redirects=False)


def summary_of(client: TestClient, number: int = 0) -> Any:
    """What the page knows of a run, as soon as the run is read."""
    for _ in range(400):
        answer = client.get(f"/api/runs/{number}").json()
        if not answer.get("reading"):
            return answer
        time.sleep(0.05)
    raise AssertionError("the run is not read")
