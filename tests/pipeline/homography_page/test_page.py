"""The page to click points: in a real browser, and who may open it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from starlette.testclient import TestClient

from pipeline.cli import main
from pipeline.config.config import load_config
from pipeline.core.errors import InputError
from pipeline.floor.fit_homography import Array, fit_homography, read_pairs
from pipeline.homography_page.app import COOKIE, build_app
from pipeline.homography_page.pictures import PagePicture, read_picture
from pipeline.homography_page.server import PointServer
from pipeline.homography_page.session import Session
from pipeline.live.web.auth import TokenGate
from tests.helpers.live.browser import Browser, needs_browser
from tests.helpers.media import write_video

TOKEN = "a-token-of-some-length"
# A square of 4 m on the floor, in a picture of 400x300 px and on a plan of 200x200 px with 0.05 m per pixel.
IMAGE_PX = [(100, 100), (300, 100), (380, 280), (20, 280)]
FLOOR_M = [(2.0, 2.0), (6.0, 2.0), (6.0, 6.0), (2.0, 6.0)]


def write_image(path: Path, width: int, height: int) -> Path:
    image = np.full((height, width, 3), 90, np.uint8)
    cv2.rectangle(image, (20, 20), (width - 20, height - 20), (160, 160, 160), 2)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def still(tmp_path: Path) -> Path:
    return write_image(tmp_path / "still.png", 400, 300)


def session_of(still: Path, *, plan: bool = False, scale: float | None = None, **options: Any) -> Session:
    drawn = read_picture(write_image(still.with_name("plan.png"), 200, 200)) if plan else None
    file = options.pop("file", still.with_name("points.csv"))
    return Session(read_picture(still), drawn, scale, file, options.pop("max_error_m", None))


@pytest.fixture
def browser() -> Iterator[Browser]:
    needs_browser()
    with Browser(1280, 1000) as opened:
        yield opened


def click(browser: Browser, stage: str, size: tuple[int, int], at: tuple[float, float]) -> None:
    """Click a point of a picture, given in its own pixels."""
    element = browser.find(f"#{stage}")
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'nearest'})", element)
    width, height = element.size["width"], element.size["height"]
    x, y = at[0] / size[0] * width - width / 2, at[1] / size[1] * height - height / 2
    ActionChains(browser.driver).move_to_element_with_offset(element, round(x), round(y)).click().perform()


def loaded(browser: Browser, stage: str) -> None:
    image = browser.find(f"#{stage} img")
    browser.until(lambda: image.get_property("naturalWidth") != 0, "the picture")


def inputs(browser: Browser, kind: str) -> list[WebElement]:
    return browser.all(f"#points input.{kind}")


def replace_text(element: WebElement, text: str) -> None:
    element.send_keys(Keys.CONTROL, "a")
    element.send_keys(text)


def test_four_points_are_clicked_and_saved(still: Path, browser: Browser) -> None:
    session = session_of(still)
    with PointServer(session) as server:
        browser.driver.get(server.url)
        loaded(browser, "picture")
        browser.until(lambda: "needs at least 4" in browser.text("#summary"), "what is missing")
        for number, (image, floor) in enumerate(zip(IMAGE_PX, FLOOR_M, strict=True)):
            click(browser, "picture", (400, 300), image)
            browser.until(lambda count=number + 1: len(browser.all("#points tr")) == count, "the row")
            x, y = inputs(browser, "floor")[2 * number :]
            x.send_keys(str(floor[0]))
            y.send_keys(str(floor[1]).replace(".", ","))  # a decimal comma
        browser.until(lambda: browser.text("#summary").startswith("4 of 4 pairs used"), "the fit")
        assert browser.text("#summary") == (
            "4 of 4 pairs used; reprojection error 0.000 m on the floor (worst 0.000), "
            "0.0 px in the picture (worst 0.0)"
        )
        assert browser.text("#warnings") == "Four pairs always fit exactly: give more to measure the error."
        assert [cell.text for cell in browser.all(".error-m")] == ["0.000"] * 4
        assert len(browser.all("#picture polyline")) == 10  # lines of 1 m over 4 m by 4 m
        assert browser.text("#saved") == "not saved"
        browser.find("#save").click()
        browser.until(lambda: browser.text("#saved").startswith("saved"), "the file")
        image_px, floor_m = read_pairs(session.file)
        assert image_px == pytest.approx(np.array(IMAGE_PX), abs=0.5)  # half a pixel of the screen
        assert floor_m.tolist() == [list(one) for one in FLOOR_M]
        assert not session.finished.is_set()
        assert browser.complaints() == []


def test_the_error_of_a_wrong_point_is_shown(still: Path, browser: Browser) -> None:
    """A fifth point in the middle, typed half a metre too far."""
    session = session_of(still)
    exact = fit_homography(*map(array, (IMAGE_PX, FLOOR_M)))
    centre = np.linalg.inv(exact.matrix) @ np.array([4, 4, 1])
    rows = [[*image, *floor] for image, floor in zip(IMAGE_PX, FLOOR_M, strict=True)]
    rows.append([*(centre[:2] / centre[2]).round(1).tolist(), 4.5, 4.0])
    session.save(rows, None)
    with PointServer(session) as server:
        browser.driver.get(server.url)
        browser.until(lambda: browser.text("#summary").startswith("5 of 5"), "the fit")
        table = np.array(rows)
        fit = fit_homography(table[:, :2], table[:, 2:])
        assert [cell.text for cell in browser.all(".error-m")] == [f"{error:.3f}" for error in fit.error_m]
        assert [cell.text for cell in browser.all(".error-px")] == [f"{error:.1f}" for error in fit.error_px]
        assert max(fit.error_m) > 0.1
        replace_text(inputs(browser, "floor")[8], "4")
        browser.until(lambda: "reprojection error 0.00" in browser.text("#summary"), "the correction")
        replace_text(inputs(browser, "floor")[8], "four")
        browser.until(lambda: browser.text("#summary").startswith("4 of 4"), "the point is left out")
        assert "wrong" in (inputs(browser, "floor")[8].get_attribute("class") or "")
        browser.all("#points button")[4].click()
        browser.until(lambda: len(browser.all("#points tr")) == 4, "the point is removed")
        assert browser.complaints() == []


def test_points_are_clicked_on_a_plan_whose_scale_is_measured(still: Path, browser: Browser) -> None:
    session = session_of(still, plan=True)
    with PointServer(session) as server:
        browser.driver.get(server.url)
        loaded(browser, "picture")
        loaded(browser, "plan")
        click(browser, "picture", (400, 300), IMAGE_PX[0])
        click(browser, "plan", (200, 200), (40, 40))
        browser.until(lambda: "Set the scale of the plan first" in browser.text("#alert"), "what is missing")
        browser.find("#measure").click()
        click(browser, "plan", (200, 200), (20, 100))
        click(browser, "plan", (200, 200), (180, 100))
        browser.find("#distance").send_keys("8", Keys.ENTER)
        browser.until(lambda: browser.find("#plan-scale").get_property("value"), "the scale")
        assert float(str(browser.find("#plan-scale").get_property("value"))) == pytest.approx(0.05, rel=0.02)
        replace_text(browser.find("#plan-scale"), "0.05")
        click(browser, "plan", (200, 200), (40, 40))
        for image, plan in zip(IMAGE_PX[1:], [(120, 40), (120, 120), (40, 120)], strict=True):
            click(browser, "picture", (400, 300), image)
            click(browser, "plan", (200, 200), plan)
        browser.until(lambda: browser.text("#summary").startswith("4 of 4"), "the fit")
        browser.find("#finish").click()
        browser.until(lambda: "Saved. The command has ended" in browser.text("main"), "the end")
        assert session.finished.wait(5)
    image_px, floor_m = read_pairs(session.file)
    assert image_px == pytest.approx(np.array(IMAGE_PX), abs=0.5)
    assert floor_m == pytest.approx(np.array(FLOOR_M), abs=0.03)  # half a pixel of the plan on the screen
    assert session.plan_scale == 0.05


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_wider_than_a_phone(still: Path, dark: bool) -> None:
    needs_browser()
    session = session_of(still, plan=True, scale=0.05)
    session.save([[*image, *floor] for image, floor in zip(IMAGE_PX, FLOOR_M, strict=True)], 0.05)
    with PointServer(session) as server, Browser(390, 844, dark=dark) as phone:
        phone.driver.get(server.url)
        phone.until(lambda: phone.text("#summary").startswith("4 of 4"), "the fit")
        assert phone.driver.execute_script("return document.documentElement.scrollWidth") <= 390


def test_names_of_files_are_no_markup(tmp_path: Path, browser: Browser) -> None:
    still = write_image(tmp_path / "a<img src=x onerror=alert(1)>.png", 40, 30)
    with PointServer(session_of(still)) as server:
        browser.driver.get(server.url)
        browser.until(lambda: browser.text("#picture-heading") == still.name, "the name")
        assert browser.complaints() == []


# -- without a browser -----------------------------------------------------------------------------------------


def client_of(session: Session, **options: Any) -> TestClient:
    return TestClient(build_app(session, TokenGate(TOKEN), ["testserver"], own_user_only=False), **options)


def test_nothing_is_shown_without_the_token(still: Path) -> None:
    client = client_of(session_of(still, plan=True), follow_redirects=False)
    for path in ("/picture.png", "/plan.png", "/api/state", "/static/page.js"):
        assert client.get(path).status_code == 401, path
    for path in ("/api/fit", "/api/save", "/api/finish"):
        assert client.post(path, json={"pairs": []}).status_code == 401, path
    assert client.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"
    assert client.get("/login").status_code == client.get("/login?token=wrong").status_code == 401
    assert client.get("/static/style.css").status_code == 200
    assert client.get("/static/..%2fapp.py").status_code in (401, 404)


def test_the_address_of_the_command_opens_a_session(still: Path) -> None:
    client = client_of(session_of(still), follow_redirects=False)
    opened = client.get(f"/login?token={TOKEN}")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict"} <= set(opened.headers["set-cookie"].split("; "))
    assert opened.headers["set-cookie"].startswith(COOKIE)
    page = client.get("/")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert not re.findall(r"https?://", page.text)
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/plan.png").status_code == 404


@pytest.fixture
def client(still: Path) -> Iterator[Callable[..., Any]]:
    session = session_of(still)
    with client_of(session, headers={"authorization": f"Bearer {TOKEN}"}) as opened:
        yield opened.post


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            {"content": "pairs=1", "headers": {"content-type": "application/x-www-form-urlencoded"}},
            415,
            "send JSON",
        ),
        ({"content": "{", "headers": {"content-type": "application/json"}}, 400, "this is no JSON"),
        ({"json": []}, 400, "send a JSON object"),
        ({"json": {"pairs": "x"}}, 400, "expected up to 1000 pairs of four finite numbers"),
        ({"json": {"pairs": [[1, 2, 3]]}}, 400, "expected up to 1000 pairs"),
        ({"json": {"pairs": [[1, 2, 3, True]]}}, 400, "expected up to 1000 pairs"),
        ({"json": {"pairs": [[1, 2, 3, "4"]]}}, 400, "expected up to 1000 pairs"),
        ({"json": {"pairs": [[1, 2, 3, 4]] * 1001}}, 400, "expected up to 1000 pairs"),
        (
            {"content": '{"pairs": [[1, 2, 3, NaN]]}', "headers": {"content-type": "application/json"}},
            400,
            "expected up to 1000 pairs",
        ),
        ({"content": " " * (1 << 21), "headers": {"content-type": "application/json"}}, 413, "too long"),
    ],
)
@pytest.mark.parametrize("path", ["/api/fit", "/api/save"])
def test_requests_that_are_no_pairs(
    client: Callable[..., Any], path: str, options: dict[str, Any], code: int, message: str, still: Path
) -> None:
    answer = client(path, **options)
    assert (answer.status_code, message in answer.json()["error"]) == (code, True)
    assert not still.with_name("points.csv").exists()


def test_a_fit_is_that_of_the_command(client: Callable[..., Any]) -> None:
    rows = [[*image, *floor] for image, floor in zip(IMAGE_PX, FLOOR_M, strict=True)]
    answer = client("/api/fit", json={"pairs": rows}).json()
    fit = fit_homography(*map(array, (IMAGE_PX, FLOOR_M)))
    assert (answer["error_m"], answer["yaml"]) == (fit.error_m.tolist(), fit.yaml)
    assert client("/api/fit", json={"pairs": rows[:3]}).json() == {
        "problem": "there are 3 pairs of points; a homography needs at least 4"
    }


def test_a_file_that_cannot_be_written_is_said(still: Path) -> None:
    session = session_of(still, file=still.with_name("none") / "points.csv")
    with client_of(session, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        answer = client.post("/api/save", json={"pairs": [[1, 2, 3, 4]]})
    assert answer.status_code == 500
    assert "points.csv cannot be written" in answer.json()["error"]
    assert not session.saved


def test_only_this_machine_can_reach_it(still: Path) -> None:
    with PointServer(session_of(still)) as server:
        assert server.url.startswith("http://127.0.0.1:")
        answer = httpx2.get(server.url, follow_redirects=False, trust_env=False)
        assert answer.status_code == 303


def test_the_first_frame_of_a_video_is_a_still(tmp_path: Path) -> None:
    images = [np.full((48, 64, 3), value, np.uint8) for value in (200, 20)]
    picture = read_picture(write_video(tmp_path / "clip.mp4", images, frame_rate=10))
    shown = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    assert picture.size_wh == (64, 48)
    assert shown is not None
    assert shown.mean() > 150


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(InputError, match="is not a picture, or is cut off"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_picture(tmp_path / "none.png")


def array(points: list[tuple[float, float]] | list[tuple[int, int]]) -> Array:
    return np.array(points, np.float64)


# -- the command -----------------------------------------------------------------------------------------------


class Clicker(threading.Thread):
    """Does what the page does, as soon as the command has printed its address."""

    def __init__(self, printed: Callable[[], str], rows: list[list[float]] | None) -> None:
        super().__init__(daemon=True)
        self._printed = printed
        self._rows = rows

    def run(self) -> None:
        text = ""
        while (address := re.search(r"Open (http://\S+)", text)) is None:
            text += self._printed()
        with httpx2.Client(follow_redirects=True, trust_env=False) as client:
            client.get(address[1])
            base = address[1].partition("/login")[0]
            if self._rows is not None:
                client.post(f"{base}/api/save", json={"pairs": self._rows, "plan_scale": 0.05})
            client.post(f"{base}/api/finish", json={})


@pytest.mark.parametrize("saved", [True, False])
def test_the_command_prints_what_was_saved(still: Path, monkeypatch: pytest.MonkeyPatch, saved: bool) -> None:
    from rich.console import Console

    printed: list[str] = []
    monkeypatch.setattr(Console, "print", lambda self, text="", **options: printed.append(f"{text}\n"))
    plan = write_image(still.with_name("plan.png"), 200, 200)
    rows = [[*image, *floor] for image, floor in zip(IMAGE_PX, FLOOR_M, strict=True)] if saved else None
    clicker = Clicker(lambda: "".join(printed), rows)
    clicker.start()
    with pytest.raises(SystemExit) as stop:
        main(["homography", "--image", str(still), "--plan", str(plan), "--no-open"])
    assert stop.value.code in (None, 0)
    clicker.join(10)
    text = "".join(printed)
    if not saved:
        assert f"Nothing was saved to {still.with_name('still_points.csv')}." in text
        return
    assert f"Wrote 4 pairs to {still.with_name('still_points.csv')}" in text
    assert "The other cameras need the same plan with --plan-scale 0.05" in text
    camera = yaml.safe_load(text[text.index("homography:") :])
    config = load_config(None, {"cameras": [{"name": "hall", "source": "hall.mp4", **camera}]})
    assert config.cameras[0].calibrated_size_wh == [400, 300]
    assert json.dumps(camera)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan", "plan.png"], "give either --pairs"),
        (["--pairs", "a.csv", "--plan", "plan.png"], "--plan and --plan-scale are for the page"),
        (["--image", "a.png", "--camera", "b.xml"], "give it without --camera"),
        (["--image", "a.png", "--plan-scale", "0.1"], "give the plan with --plan"),
        (["--image", "a.png", "--plan", "b.png", "--plan-scale", "-1"], "expected metres per pixel, above 0"),
        (["--image", "none.png"], "none.png: cannot be read"),
    ],
)
def test_wrong_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["homography", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*(st.integers(-2, 3) for _ in range(4))).map(list),
        min_size=4,
        max_size=7,
    ),
    limit=st.sampled_from([None, 0.5]),
)
def test_any_points_have_a_fit_or_a_reason(rows: list[list[int]], limit: float | None) -> None:
    """On a line, twice at one place, crossed: the page gets numbers, or a sentence."""
    picture = PagePicture("still.png", (4, 4), b"")
    answer = Session(picture, None, None, Path("none.csv"), limit).fit(rows)
    json.dumps(answer, allow_nan=False)
    assert ("problem" in answer) != ("summary" in answer)
