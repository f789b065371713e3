"""Debian's Chromium, headless, for tests of the page; absent programs skip the test with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.helpers.live.servers import program, wait_until

_TIMEOUT_S = 30.0
# Of letters and what is behind them, as WCAG defines it: the smallest of each selector.
_CONTRAST = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
  .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const found = {};
for (const selector of arguments[0]) {
  for (const node of document.querySelectorAll(selector)) {
    if (node.classList.contains("provisional")) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found[selector] = Math.min(found[selector] ?? 21, ratio);
  }
}
return found;
"""


class Browser:
    """A window of this size in pixels; a context manager.

    Args:
        dark: the user prefers dark colours.
    """

    def __init__(self, width: int, height: int, *, dark: bool = False) -> None:
        options = Options()
        options.binary_location = program("chromium", "chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.add_argument("--no-proxy-server")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(
            options=options, service=Service(program("chromedriver", "chromium-driver"))
        )
        self.driver.set_page_load_timeout(_TIMEOUT_S)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def find(self, selector: str) -> WebElement:
        """The first element, as soon as it is there."""
        self.until(lambda: self.all(selector), selector)
        return self.all(selector)[0]

    def all(self, selector: str) -> list[WebElement]:
        """All elements."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The text that an element shows; '' while the page is replacing it."""
        try:
            found = self.all(selector)
            return found[0].text if found else ""
        except StaleElementReferenceException:
            return ""

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something, and fail the test if it does not come."""

        def holds() -> object:
            try:
                return condition()
            except StaleElementReferenceException:
                return False

        wait_until(holds, _TIMEOUT_S, what)

    def contrasts(self, selectors: Sequence[str]) -> dict[str, float]:
        """The smallest contrast of the text in each kind of element with its background, from 1 to 21."""
        found: dict[str, float] = self.driver.execute_script(_CONTRAST, list(selectors))
        return found

    def complaints(self) -> list[str]:
        """What scripts and the security policy wrote to the console."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()


def needs_browser() -> None:
    """Skip the test where there is no browser."""
    program("chromium", "chromium")
    program("chromedriver", "chromium-driver")
