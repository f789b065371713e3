"""Makes the picture of a report for the documentation.

mtmc demo --output runs/demo
python -m tests.helpers.report_page runs/demo/report.html docs/images/report.png
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from tests.helpers.live.browser import Browser

_SIZE = (1280, 1845)


def make_picture(page: Path, target: Path) -> None:
    """The page without some of its parts, down to the first cards."""
    with Browser(*_SIZE) as browser:
        browser.driver.get(page.resolve().as_uri())
        browser.driver.execute_script(
            "for (const one of document.querySelectorAll('#ways, #truth, #timeline .scroll')) one.remove();"
            "document.querySelector('#floor .floor-plan').style.maxHeight = '15rem';"
            "document.documentElement.style.scrollbarWidth = 'none'; scrollTo(0, 0)"
        )
        picture = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())).convert("RGB")
    # Few colours suffice for a page and make a file of half the size.
    picture.quantize(256).save(target, optimize=True)


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]), Path(sys.argv[2]))
