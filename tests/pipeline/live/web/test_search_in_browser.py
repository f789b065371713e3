"""The search box of the page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import InputError
from pipeline.live.web.search_queue import SearchRequest
from pipeline.live.web.server import WebServer
from tests.helpers.live.browser import Browser, needs_browser
from tests.helpers.live.demo_page import ground_truth_rows, serve
from tests.helpers.searched_runs import write_picture

MATCHES = [
    {"global_id": 2, "camera_id": "hall", "end_s": 1.7e9, "meaning": "same person", "distance": 0.123},
    {"global_id": 5, "camera_id": "<b>corridor</b>", "end_s": 1.7e9, "meaning": "perhaps", "distance": 0.66},
    {"global_id": 7, "camera_id": "entrance", "end_s": 1.7e9, "meaning": "no", "distance": 1.05},
]


def answer(request: SearchRequest) -> Mapping[str, Any]:
    if request.camera_id == "hall":
        raise InputError("no person is found in the picture")
    if request.person is None:
        return {"choose": [[10, 0, 40, 90], [60, 0, 90, 90]], "size": [100, 100]}
    return {"matches": MATCHES, "people": 12, "notes": ["a note"], "meaning": "what it means"}


@pytest.fixture(scope="module")
def page() -> Iterator[WebServer]:
    needs_browser()
    server = serve(ground_truth_rows(), preview="off", search=answer)
    yield server
    server.close(10)


def test_a_person_of_a_picture_is_chosen_and_found(page: WebServer, tmp_path: Path) -> None:
    scene = write_picture(tmp_path / "scene.png", (100, 100), [((10, 0, 40, 90), (0, 0, 200))])
    with Browser(1200, 1000) as browser:
        browser.driver.get(page.url)
        browser.until(lambda: browser.find("#search").is_displayed(), "the box")
        browser.until(lambda: len(browser.all("#search-camera option")) == 4, "the cameras")
        browser.find("#search-file").send_keys(str(scene))
        browser.until(lambda: browser.find("#search-picture").is_displayed(), "the picture")
        browser.find("#search-form button").click()
        browser.until(lambda: len(browser.all("#search-choose button")) == 2, "the choice")
        browser.all("#search-choose button")[1].click()
        browser.until(lambda: len(browser.all("#search-matches li")) == 3, "the matches")
        assert browser.text("#search-status") == "12 known people were compared"
        assert browser.text("#search-notes") == "A note. What it means."
        badges = [badge.text for badge in browser.all("#search-matches .badge")]
        assert badges == ["same person", "perhaps", "no"]
        assert "<b>corridor</b>" in browser.all("#search-matches li")[1].text
        browser.all("#search-matches a")[0].click()
        browser.until(lambda: browser.text("#path-heading") == "Person 2", "the path")
        browser.find("#search-camera").send_keys("hall")
        browser.find("#search-form button").click()
        browser.until(
            lambda: browser.text("#search-status") == "not searched: no person is found in the picture",
            "the reason",
        )
        assert browser.all("#search-matches li") == []
        assert browser.complaints() == []


def test_the_box_fits_on_a_phone(page: WebServer) -> None:
    with Browser(360, 740) as browser:
        browser.driver.get(page.url)
        browser.until(lambda: browser.find("#search").is_displayed(), "the box")
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 360


def test_there_is_no_box_without_the_setting() -> None:
    needs_browser()
    server = serve(ground_truth_rows(), preview="off")
    with Browser(800, 700) as browser:
        browser.driver.get(server.url)
        browser.until(lambda: len(browser.all(".lane")) == 12, "people")
        assert not browser.find("#search").is_displayed()
    server.close(5)
