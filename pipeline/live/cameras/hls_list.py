"""Checks a list of HLS before FFmpeg follows it: one that leads in a circle keeps FFmpeg busy until the timeout."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import urljoin

#: Lists of some hours are smaller.
LARGEST_LIST_BYTES = 2_000_000
_MOST_VARIANTS = 10
_VARIANT = "#EXT-X-STREAM-INF"
_DURATION = re.compile(r"^#EXT(?:INF|-X-TARGETDURATION):\s*([\d.]+)", re.MULTILINE)


def list_problem(url: str, text: str, fetch: Callable[[str], str]) -> str | None:
    """Return why a list cannot be followed; None if it can.

    Args:
        url: where the list came from.
        fetch: returns the text behind the address of another list.
    """
    if _VARIANT not in text:
        return _durations_problem(text)
    for variant in _variants(url, text)[:_MOST_VARIANTS]:
        below = fetch(variant)
        if _VARIANT in below:
            return "the HLS list leads to another list of variants, perhaps in a circle: use the address of one variant"
        problem = _durations_problem(below)
        if problem is not None:
            return problem
    return None


def _variants(url: str, text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    after = [following for line, following in pairwise(lines) if line.startswith(_VARIANT)]
    return [urljoin(url, line) for line in after if line and not line.startswith("#")]


def _durations_problem(text: str) -> str | None:
    """FFmpeg asks for a list whose parts last no time again without a pause."""
    durations = [float(value) for value in _DURATION.findall(text) if value.count(".") < 2 and value != "."]
    if durations and max(durations) == 0:
        return "all parts of the HLS list last 0 s"
    return None
