"""Searches of the page: bounded, limited, one after the other, and never the end of the run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from pipeline.core.errors import InputError
from pipeline.live.web.app import build_app
from pipeline.live.web.auth import TokenGate
from pipeline.live.web.search_queue import SearchQueue, SearchRequest, TooManySearches
from pipeline.live.web.search_routes import MAX_PICTURE_BYTES, SearchRoutes
from pipeline.live.web.timeline import Timeline
from tests.helpers.live.examples import NOW_S, FixedStatus, make_camera, make_status, watching
from tests.helpers.live.waiting import eventually

JPEG = {"content-type": "image/jpeg"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def done(searches: SearchQueue, job: str) -> Mapping[str, Any]:
    result: Mapping[str, Any] | None = {}

    def arrived() -> bool:
        nonlocal result
        result = searches.result(job)
        return result is None or bool(result)

    eventually(arrived, 30)
    assert result is not None
    return result


def test_a_search_runs_in_another_thread_and_its_result_is_kept_for_a_while() -> None:
    clock, threads = Clock(), []

    def search(request: SearchRequest) -> Mapping[str, Any]:
        threads.append(threading.current_thread().name)
        return {"matches": [request.camera_id, request.person, len(request.data)]}

    searches = SearchQueue(search, clock)
    job = searches.submit(SearchRequest(b"abc", "hall", 2), "me")
    assert done(searches, job) == {"matches": ["hall", 2, 3]}
    assert threads == ["search"]
    assert searches.result("another") is None
    clock.now = 301.0
    assert searches.result(job) is None
    searches.close()


def test_faults_are_answers() -> None:
    def search(request: SearchRequest) -> Mapping[str, Any]:
        if request.data == b"bad":
            raise InputError("the file is not a picture")
        raise RuntimeError("secret")

    searches = SearchQueue(search)
    assert done(searches, searches.submit(SearchRequest(b"bad"), "me")) == {"error": "the file is not a picture"}
    answer = done(searches, searches.submit(SearchRequest(b"worse"), "me"))
    assert answer == {"error": "the search failed; the log of the run says why"}
    searches.close()


def test_few_searches_wait_and_others_are_refused() -> None:
    began, go_on = threading.Event(), threading.Event()

    def search(request: SearchRequest) -> Mapping[str, Any]:
        began.set()
        assert go_on.wait(30)
        return {"matches": []}

    searches = SearchQueue(search)
    jobs = [searches.submit(SearchRequest(b"a"), "a")]
    assert began.wait(30)
    assert searches.searching
    jobs += [searches.submit(SearchRequest(b"a"), address) for address in "bc"]
    with pytest.raises(TooManySearches, match="other searches are waiting"):
        searches.submit(SearchRequest(b"a"), "d")
    go_on.set()
    for job in jobs:
        assert done(searches, job) == {"matches": []}
    assert not searches.searching
    searches.close()
    with pytest.raises(TooManySearches, match="the run is ending"):
        searches.submit(SearchRequest(b"a"), "d")


def test_an_address_may_start_six_searches_in_a_minute() -> None:
    clock = Clock()
    searches = SearchQueue(lambda request: {"matches": []}, clock)
    for _ in range(6):
        done(searches, searches.submit(SearchRequest(b"a"), "me"))
    with pytest.raises(TooManySearches, match="more than 6 searches in a minute"):
        searches.submit(SearchRequest(b"a"), "me")
    done(searches, searches.submit(SearchRequest(b"a"), "you"))
    clock.now = 61.0
    done(searches, searches.submit(SearchRequest(b"a"), "me"))
    searches.close()


# -- routes ------------------------------------------------------------------------------------------------------


def app(searches: SearchQueue | None, token: str | None = None) -> Starlette:
    source = FixedStatus(make_status(make_camera()))
    return build_app(
        source=source,
        metrics=watching(source),
        timeline=Timeline(600, 100),
        preview=None,
        gate=TokenGate(token),
        allowed_hosts=["testserver"],
        timeline_s=600,
        now_s=lambda: NOW_S,
        searches=searches,
    )


@pytest.fixture
def searches() -> Callable[[], None]:
    return SearchQueue(lambda request: {"matches": [request.camera_id, request.person]})  # type: ignore[return-value]


def test_a_picture_is_posted_and_its_result_fetched(searches: SearchQueue) -> None:
    with TestClient(app(searches)) as client:
        assert client.get("/api/status").json()["search"] is True
        answer = client.post("/api/find?camera=hall&person=3", content=b"picture", headers=JPEG)
        assert answer.status_code == 202
        job = answer.json()["job"]
        done(searches, job)
        assert client.get(f"/api/find/{job}").json() == {"done": True, "matches": ["hall", 3]}
        assert client.get("/api/find/other").status_code == 404
    searches.close()


def test_without_the_setting_there_is_nothing() -> None:
    with TestClient(app(None)) as client:
        assert client.get("/api/status").json()["search"] is False
        assert client.post("/api/find", content=b"a", headers=JPEG).json() == {"error": "live.web.search is off"}
        assert client.get("/api/find/x").status_code == 404


@pytest.mark.parametrize(
    ("headers", "query", "content", "status"),
    [
        ({"content-type": "text/plain"}, "", b"a", 415),  # what a form of another site could send
        ({}, "", b"a", 415),
        (JPEG | {"origin": "http://evil.example"}, "", b"a", 403),
        (JPEG | {"origin": "null"}, "", b"a", 403),
        (JPEG | {"origin": "http://testserver"}, "", b"a", 202),
        (JPEG, "", b"", 422),
        (JPEG, "?person=x", b"a", 422),
        (JPEG, "?person=" + "9" * 5000, b"a", 422),
        (JPEG, "", b"a" * (MAX_PICTURE_BYTES + 1), 413),
    ],
)
def test_what_may_be_posted(
    searches: SearchQueue, headers: dict[str, str], query: str, content: bytes, status: int
) -> None:
    with TestClient(app(searches)) as client:
        answer = client.post(f"/api/find{query}", content=content, headers=headers)
    assert answer.status_code == status
    assert ("error" in answer.json()) == (status != 202)
    searches.close()


def test_too_many_searches_are_answered_429(searches: SearchQueue) -> None:
    with TestClient(app(searches)) as client:
        for _ in range(6):
            job = client.post("/api/find", content=b"a", headers=JPEG).json()["job"]
            done(searches, job)
        assert client.post("/api/find", content=b"a", headers=JPEG).status_code == 429
    searches.close()


def test_few_pictures_are_received_at_a_time(searches: SearchQueue) -> None:
    statuses: list[int] = []

    async def post(routes: SearchRoutes, ends: asyncio.Event) -> None:
        async def receive() -> dict[str, object]:
            await ends.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": "POST",
            "headers": [(b"content-type", b"image/jpeg")],
            "query_string": b"",
        }
        statuses.append((await routes.start(Request(scope, receive))).status_code)

    async def many() -> None:
        routes, ends = SearchRoutes(searches), asyncio.Event()
        waiting = [asyncio.create_task(post(routes, ends)) for _ in range(4)]
        while len(statuses) < 1:
            await asyncio.sleep(0)
        ends.set()
        await asyncio.gather(*waiting)

    asyncio.run(many())
    assert statuses == [429, 422, 422, 422]


def test_the_token_guards_searches_as_everything_else(searches: SearchQueue) -> None:
    token = "a-token-of-some-length"
    with TestClient(app(searches, token)) as client:
        assert client.post("/api/find", content=b"a", headers=JPEG).status_code == 401
        assert client.get("/api/find/x").status_code == 401
        allowed = JPEG | {"authorization": f"Bearer {token}"}
        assert client.post("/api/find", content=b"a", headers=allowed).status_code == 202
    searches.close()
