"""Hooks of `make docs`: pages that lie outside `docs/` become part of the site, and links between all of them work.

README.md becomes the first page; CONTRIBUTING.md, CHANGELOG.md, SECURITY.md and the cards in `weights/` become pages of
their own. A link to another file of the repository becomes its plain name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
#: File of the repository -> page of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    **{f"weights/{card.name}": f"models/{card.name}" for card in sorted((ROOT / "weights").glob("*.md"))},
}
_LINK = re.compile(r"(!?\[[^\]]*\])\(((?!https?:|#)[^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages that lie elsewhere."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relinked(text, source, page)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point the links of the pages in `docs/` to the pages of the site."""
    if page.file.src_uri in PAGES.values():
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def relinked(text: str, source: str, page: str) -> str:
    """Return the text of the file `source` with its links rewritten for the page `page`."""

    def link(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        path = (ROOT / source).parent.joinpath(target).resolve().relative_to(ROOT).as_posix()
        if path.startswith("docs/"):
            found = path.removeprefix("docs/")
        elif path in PAGES:
            found = PAGES[path]
        else:
            return f"`{path}`"
        up = "../" * page.count("/")
        return f"{label}({up}{found}{anchor})"

    return _LINK.sub(link, text)
