"""The page in a real browser: the timeline, the details, playing, the list of runs, phones and dark colours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from pipeline.config.config import load_config
from pipeline.config.output_settings import WebSettings
from pipeline.view.found_runs import find_runs
from pipeline.view.library import Library
from pipeline.view.server import ViewServer
from tests.helpers.live.browser import Browser, needs_browser

# Whether each picture shows something.
_DRAWN = """
return [...document.querySelectorAll('.screen canvas')].map((canvas) =>
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    .some((value) => value > 0 && value < 255))
"""


@pytest.fixture(scope="module")
def address(scene: Path) -> Iterator[str]:
    needs_browser()
    with ViewServer(Library(find_runs(scene / "run"), {}), _settings()) as server:
        yield server.url


def _settings() -> WebSettings:
    return load_config(None, {}).live.web.model_copy(update={"port": 0})


def opened(browser: Browser, address: str) -> None:
    browser.driver.get(address)
    browser.until(lambda: browser.all(".visit"), "the timeline")
    browser.until(lambda: len(times(browser)) == 2, "the pictures")


def times(browser: Browser) -> list[float]:
    found = [canvas.get_attribute("data-time") for canvas in browser.all(".screen canvas")]
    return [float(one) for one in found if one is not None]


def test_a_visit_is_chosen_and_its_moment_plays(address: str) -> None:
    with Browser(1280, 1200) as browser:
        opened(browser, address)
        assert browser.text("h1") == "run"
        assert browser.text("#state") == "complete"
        assert len(browser.all(".lane")) == 2  # fragments are hidden
        assert "3 fragments are hidden" in browser.text("#shown")
        browser.find("#fragments").click()
        browser.until(lambda: len(browser.all(".lane")) == 5, "the fragments")
        assert browser.driver.execute_script(_DRAWN) == [True, True]

        browser.find('.visit[data-key^="right/"]').click()
        browser.until(lambda: browser.all(".pictures img"), "pictures of the person")
        assert browser.text("#path-heading").endswith("in right")
        assert all(image.get_property("naturalWidth") > 8 for image in browser.all(".pictures img"))
        browser.find("#tracks summary").click()
        assert "because" in browser.text("#tracks")
        moment = times(browser)
        browser.until(lambda: times(browser)[0] == times(browser)[1], "pictures of one moment")

        browser.find("#forward").click()
        browser.until(lambda: times(browser) != moment, "the next frame")
        before = times(browser)
        browser.find("#back").click()
        browser.until(lambda: max(times(browser)) < min(before), "the frame before")
        assert before[0] - times(browser)[0] == pytest.approx(0.1)
        browser.find("#play").click()
        browser.until(lambda: times(browser)[0] > before[0] + 0.5, "that it plays")
        assert browser.text("#play") == "Pause"
        browser.find("#play").click()
        assert browser.text("#play") == "Play"
        assert browser.complaints() == []


def test_the_timeline_moves_and_filters(address: str) -> None:
    with Browser(1280, 1200) as browser:
        opened(browser, address)
        whole = browser.text("#axis")
        plot = browser.find("#plot")
        plot.send_keys("+")
        browser.until(lambda: browser.text("#axis") != whole, "zooming in by key")
        zoomed = browser.text("#axis")
        plot.send_keys(Keys.ARROW_RIGHT)
        browser.until(lambda: browser.text("#axis") != zoomed, "moving by key")
        moved = browser.text("#axis")
        ActionChains(browser.driver).drag_and_drop_by_offset(plot, 150, 0).perform()
        browser.until(lambda: browser.text("#axis") != moved, "moving by mouse")
        assert not browser.find("#path").is_displayed()  # a drag is no click
        browser.find("#zoom-all").click()
        browser.until(lambda: browser.text("#axis") == whole, "the whole run")
        browser.find("#ids").send_keys("2")
        browser.until(lambda: [one.text.strip() for one in browser.all(".lane .id")] == ["2"], "one id")
        browser.find("#ids").send_keys(Keys.BACKSPACE)
        browser.find('#legend input[data-camera="left"]').click()
        browser.until(lambda: not browser.all('.visit[data-key^="left/"]'), "one camera")
        assert [item.is_displayed() for item in browser.all(".screen")] == [False, True]
        assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_too_wide_and_text_can_be_read(address: str, width: int, dark: bool) -> None:
    with Browser(width, 900, dark=dark) as browser:
        opened(browser, address)
        browser.driver.execute_script("document.querySelector('.visit').click()")
        browser.until(lambda: browser.all(".pictures img"), "pictures of the person")
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width
        texts = [".hint", ".figures dt", ".badge", ".axis span", ".screen h3", "output", ".stops strong", ".visit"]
        worst = browser.contrasts(texts)
        assert worst.keys() == set(texts)
        assert min(worst.values()) >= 4.5, worst
        assert browser.complaints() == []


def test_one_of_several_runs_is_chosen(scene: Path, tmp_path: Path) -> None:
    needs_browser()
    for name in ("monday", "<b>tuesday"):
        shutil.copytree(scene / "run", tmp_path / name)
    with ViewServer(Library(find_runs(tmp_path), {}), _settings()) as server, Browser(390, 900) as browser:
        browser.driver.get(server.url)
        browser.until(lambda: len(browser.all("#run-list a")) == 2, "the list")
        assert [one.text for one in browser.all("#run-list a")] == ["<b>tuesday", "monday"]
        assert "2 cameras: left, right" in browser.text("#run-list")
        browser.find('#run-list a[href="#run=0"]').click()
        browser.until(lambda: browser.all(".visit"), "the timeline")
        assert browser.text("h1") == "<b>tuesday"
        browser.find("#all-runs").click()
        browser.until(lambda: browser.find("#runs").is_displayed(), "the list again")
        assert not browser.find("#run").is_displayed()
        assert browser.complaints() == []
