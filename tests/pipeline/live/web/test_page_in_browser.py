"""The page in a real browser, with the people of the demo scene."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from pipeline.live.web.server import WebServer
from tests.helpers.live.browser import Browser, needs_browser
from tests.helpers.live.demo_page import CAMERAS, ground_truth_rows, serve

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def page() -> Iterator[WebServer]:
    needs_browser()
    server = serve(ground_truth_rows())
    yield server
    server.close(10)


def test_cameras_people_and_a_persons_path_are_shown(page: WebServer) -> None:
    with Browser(1200, 1000) as browser:
        browser.driver.get(page.url)
        browser.until(lambda: len(browser.all(".lane")) == 12, "twelve people in the timeline")
        assert [item.text for item in browser.all(".camera h3")] == list(CAMERAS)
        assert browser.text("#ready") == "● watching 3 of 3"
        browser.until(lambda: all(image.is_displayed() for image in browser.all(".camera img")), "pictures")
        widths = [image.get_property("naturalWidth") for image in browser.all(".camera img")]
        assert widths == [480, 480, 480]
        browser.find('[data-id="1"] button').click()
        browser.until(lambda: browser.text("#path-heading") == "Person 1", "the path")
        browser.until(lambda: browser.all("#stops li"), "the stops")
        assert set(CAMERAS) & {name for stop in browser.all("#stops strong") for name in [stop.text]}
        assert browser.driver.current_url.endswith("#id=1")
        assert browser.find('[data-id="1"] button').get_attribute("aria-pressed") == "true"
        assert browser.complaints() == []


def test_a_car_is_not_called_a_person() -> None:
    needs_browser()
    rows = [one for one in ground_truth_rows() if one.link.global_id <= 2]
    cars = [
        one._replace(row=one.row._replace(class_name="car")) if one.link.global_id == 2 else one for one in rows
    ]
    server = serve(cars, preview="off")
    with Browser(1200, 900) as browser:
        browser.driver.get(f"{server.url}#id=2")
        browser.until(lambda: browser.text("#path-heading") == "Car 2", "the path")
        browser.until(lambda: browser.text("#timeline-heading") == "Objects by camera and time", "the status")
        assert browser.text(".figures dt") == "objects in view"
        labels = [browser.find(f'[data-id="{one}"] button').get_attribute("aria-label") for one in (1, 2)]
        assert [label.partition(":")[0] for label in labels] == ["Person 1", "Car 2"]
    server.close(0.0)


def test_it_works_by_keyboard_alone(page: WebServer) -> None:
    with Browser(1200, 1000) as browser:
        browser.driver.get(page.url)
        browser.until(lambda: len(browser.all(".lane")) == 12, "people")
        browser.find('[data-id="2"] button').send_keys(Keys.ENTER)
        browser.until(
            lambda: browser.driver.switch_to.active_element.get_attribute("id") == "path-heading", "focus"
        )
        browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        browser.until(lambda: not browser.find("#path").is_displayed(), "the path is closed")
        label = browser.driver.switch_to.active_element.get_attribute("aria-label")
        assert label.startswith("Person 2: ")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_wider_than_a_phone_and_text_can_be_read(page: WebServer, dark: bool) -> None:
    with Browser(360, 740, dark=dark) as browser:
        browser.driver.get(page.url)
        browser.until(lambda: len(browser.all(".lane")) == 12, "people")
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 360
        texts = ["body", ".hint", ".figures dt", ".badge", ".camera dt", ".visit"]
        worst = browser.contrasts(texts)
        assert min(worst.values()) >= 4.5, worst


def test_a_tracker_that_is_gone_is_told_and_old_data_does_not_pass_for_new() -> None:
    needs_browser()
    server = serve(ground_truth_rows(), preview="off")
    with Browser(1200, 900) as browser:
        browser.driver.get(server.url)
        browser.until(lambda: browser.text("#ready").startswith("● watching"), "the status")
        assert not browser.find("#pictures-label").is_displayed()
        server.close(10)
        browser.until(lambda: "No answer from the tracker" in browser.text("#alert"), "the warning")
        assert browser.text("#ready") == "✕ no connection"


def test_people_who_were_forgotten_because_there_were_too_many_are_told() -> None:
    needs_browser()
    forgotten = {"unseen": 9, "surplus": 1234}
    server = serve(ground_truth_rows(), preview="off", identities_most=5000, identities_forgotten=forgotten)
    with Browser(1200, 900) as browser:
        browser.driver.get(server.url)
        browser.until(lambda: "1,234 people were forgotten" in browser.text("#alert"), "the problem")
        assert "more than 5,000 are known" in browser.text("#alert")
    server.close(10)


def test_the_login_form_lets_in_whoever_has_the_token() -> None:
    needs_browser()
    server = serve(ground_truth_rows(), token=TOKEN)
    with Browser(500, 700) as browser:
        browser.driver.get(server.url)
        browser.find("#token").send_keys("wrong", Keys.ENTER)
        browser.until(lambda: "Wrong token" in browser.text(".alert"), "the refusal")
        browser.find("#token").send_keys(TOKEN, Keys.ENTER)
        browser.until(lambda: browser.text("#ready").startswith("● watching"), "the page")
        browser.find("#logout button").click()
        browser.until(lambda: browser.all("#token"), "the form again")
    server.close(10)
