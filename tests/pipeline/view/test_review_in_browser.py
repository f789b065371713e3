"""The page of a review in a real browser: mistakes of a run are repaired by keyboard, and its scores rise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from pipeline.config.config import load_config
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.scoring.evaluation import evaluate
from pipeline.view.found_runs import find_runs
from pipeline.view.library import Library
from pipeline.view.review_routes import ReviewRoutes
from pipeline.view.server import ViewServer
from tests.helpers.live.browser import Browser, needs_browser
from tests.helpers.wrong_identities import LOST_ID, with_mistakes, write_truth


@contextmanager
def reviewed(folder: Path) -> Iterator[str]:
    """The address of the page."""
    settings = load_config(None, {}).live.web.model_copy(update={"port": 0})
    with ReviewedRun(folder) as run:
        library = Library(find_runs(folder), {}, run.rows_path)
        with ViewServer(library, settings, ReviewRoutes(run, library)) as server:
            yield server.url


def idf1(folder: Path, truth: dict[str, Path]) -> float:
    score = evaluate([folder / "trajectories.csv"], truth).all_cameras.idf1
    assert score is not None
    return score


def opened(browser: Browser, address: str) -> None:
    browser.driver.get(address)
    browser.until(lambda: browser.all("#list button"), "the list")
    browser.until(lambda: len(browser.all(".side .pictures img")) >= 2, "pictures of both sides")


def press(browser: Browser, *keys: str) -> None:
    browser.find("body").send_keys(*keys)


def told(browser: Browser, text: str) -> None:
    browser.until(lambda: text in browser.text("#told"), text)


def test_mistakes_are_repaired_by_keyboard_and_the_score_rises(scene: Path, tmp_path: Path) -> None:
    needs_browser()
    folder, truth = with_mistakes(scene / "run", tmp_path / "run"), write_truth(tmp_path)
    before = idf1(folder, truth)
    with reviewed(folder) as address, Browser(1280, 1000) as browser:
        opened(browser, address)
        # The least sure link is first: the small figure with the id of the red one.
        assert browser.text("#list button").startswith("left:3 in Person 1\n40 %")
        press(browser, "s")
        told(browser, "Split left:3 off as 10")
        press(browser, "l")
        browser.until(lambda: browser.all(f'[data-key="person {LOST_ID}"]'), "the people")
        while browser.find('#list [aria-current="true"]').get_attribute("data-key") != f"person {LOST_ID}":
            press(browser, "j")
        press(browser, "m")
        browser.find("#ask-input").send_keys("1", Keys.ENTER)
        told(browser, f"Merged {LOST_ID} into 1")
        press(browser, "u")
        told(browser, "Undone")
        press(browser, "y")
        told(browser, "Again")
        while browser.find('#list [aria-current="true"]').get_attribute("data-key") != "person 1":
            press(browser, "k")
        press(browser, "r")
        browser.find("#ask-input").send_keys("<b>Ana", Keys.ENTER)
        told(browser, "Named 1")
        press(browser, "c")
        told(browser, "Confirmed 1")
        assert "<b>Ana (1)" in browser.text("#list")
        press(browser, "?")
        browser.until(lambda: browser.find("#help-dialog").is_displayed(), "the help")
        press(browser, Keys.ESCAPE)
        browser.until(lambda: "saved" in browser.text("#state"), "that it is saved")
        assert browser.text("#state") == "4 steps, saved"
        after = idf1(folder, truth)
        assert browser.complaints() == []
    # 390 boxes. Before, 30 of the red figure had another id, and 10 of the small one had its id.
    assert before == pytest.approx((390 - 40) / 390)
    assert after == 1


def test_a_track_is_split_at_the_moment_that_is_shown_and_deleted_by_mouse(scene: Path, tmp_path: Path) -> None:
    needs_browser()
    folder = with_mistakes(scene / "run", tmp_path / "run")
    with reviewed(folder) as address, Browser(1280, 1000) as browser:
        opened(browser, address)
        press(browser, "l")
        browser.until(lambda: browser.all('[data-key="person 2"]'), "the people")
        browser.find('[data-key="person 2"]').click()
        browser.until(lambda: browser.text("#now").startswith("left:2,"), "the moment")
        # In view from 2.0 to 4.9 s: the middle is 3.45 s, and three frames later is 3.75 s.
        press(browser, Keys.ARROW_RIGHT * 3)
        browser.until(lambda: browser.text("#now") == "left:2, 0:03.8", "three frames later")
        browser.until(lambda: int(browser.find("#frame").get_property("naturalWidth")) > 0, "the frame")
        browser.find('[data-do="cut"]').click()
        told(browser, "Split left:2 from frame 38 off as 10")
        browser.find('[data-key="person 10"]').click()
        browser.find('[data-do="delete"]').click()
        told(browser, "Deleted left:")
        browser.until(lambda: "1 track with 12 rows deleted" in browser.text("#list-hint"), "what is deleted")
        assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_too_wide_and_text_can_be_read(scene: Path, tmp_path: Path, width: int, dark: bool) -> None:
    needs_browser()
    folder = with_mistakes(scene / "run", tmp_path / "run")
    with reviewed(folder) as address, Browser(width, 900, dark=dark) as browser:
        opened(browser, address)
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width
        texts = [
            ".hint",
            ".badge",
            ".list small",
            ".list .who",
            ".actions kbd",
            ".tabs button",
            "output",
            ".side h3",
        ]
        worst = browser.contrasts(texts)
        assert worst.keys() == set(texts)
        assert min(worst.values()) >= 4.5, worst
        assert browser.complaints() == []
