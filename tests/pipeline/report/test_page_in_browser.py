"""The page in a real browser: nothing is requested, nothing complains, nothing is wider than a phone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.report.page import write_report
from tests.helpers.live.browser import Browser, needs_browser
from tests.pipeline.report.test_page import write_truth


@pytest.fixture(scope="module")
def page(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_browser()
    folder = tmp_path_factory.mktemp("page")
    return write_report(scene / "run", folder / "report.html", ground_truth=write_truth(folder)).path


def requests(browser: Browser) -> list[str]:
    """The addresses that the page asked for, without pictures inside it."""
    script = "return performance.getEntriesByType('resource').map((one) => one.name)"
    return [name for name in browser.driver.execute_script(script) if not name.startswith("data:")]


def test_everything_is_shown_and_nothing_is_requested(page: Path) -> None:
    with Browser(1280, 900) as browser:
        browser.driver.get(page.as_uri())
        assert browser.text("h1") == "run"
        assert browser.text(".badge") == "complete"
        figures = dict(
            zip(
                browser.find(".figures").text.split("\n")[::2],
                browser.find(".figures").text.split("\n")[1::2],
                strict=True,
            )
        )
        assert figures["people"] == "2"
        assert figures["fragments"] == "3"
        assert len(browser.all(".lane")) == 3
        assert len(browser.all(".card")) == 2
        assert [item.text for item in browser.all(".card h3")] == ["Person 1", "Person 2"]
        assert all(image.get_property("naturalWidth") > 8 for image in browser.all("img"))
        fills = browser.driver.execute_script(
            "return [...document.querySelectorAll('.card .swatch')].map((one) => getComputedStyle(one).backgroundColor)"
        )
        assert set(fills) == {"rgb(31, 111, 178)", "rgb(179, 84, 30)"}
        assert requests(browser) == []
        assert browser.complaints() == []
        browser.find(".lane .id").click()
        assert browser.driver.current_url.endswith("#id-1")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_too_wide_and_text_can_be_read(page: Path, width: int, dark: bool) -> None:
    with Browser(width, 800, dark=dark) as browser:
        browser.driver.get(page.as_uri())
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width
        texts = [
            ".lead",
            ".hint",
            ".figures dt",
            ".badge",
            "td",
            "thead th",
            "a",
            "figcaption",
            ".reason",
            ".stops strong",
        ]
        worst = browser.contrasts(texts)
        assert worst.keys() == set(texts)
        assert min(worst.values()) >= 4.5, worst
        assert browser.complaints() == []


def test_a_long_name_of_a_camera_does_not_widen_the_page(scene: Path, tmp_path: Path) -> None:
    needs_browser()
    name = "entrance_of_the_eastern_building_behind_the_bicycle_stand"
    folder = tmp_path / ("run_" * 20)
    folder.mkdir()
    for file in ("trajectories.csv", "run.json"):
        (folder / file).write_text((scene / "run" / file).read_text().replace("left", name))
    assert name in json.loads((folder / "run.json").read_text())["cameras"]
    written = write_report(folder, pictures=False)
    with Browser(390, 800) as browser:
        browser.driver.get(written.path.as_uri())
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
