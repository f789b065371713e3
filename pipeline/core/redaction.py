"""Keeps passwords out of everything that is written or shown.

FFmpeg's errors, and even the repr of its containers, contain the whole URL with user and password. Texts are therefore
cleaned where they leave the program, not where they are created.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from pipeline.core.stream_address import HIDDEN, hide_login

_URL_USER = re.compile(r"(?<=://)[^\s'\"<>]*@(?=[^\s'\"<>@/]+)")
# Hiding shorter secrets would damage ordinary text; logins in URLs are hidden anyway.
_SHORTEST_SECRET = 3


class Redactor:
    """Hides the given secrets (plain and percent-encoded), the logins in all URLs, and the values of parameters such
    as password=."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Add secrets; empty and very short ones are ignored."""
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                self._secrets |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
        if self._secrets:
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(secret) for secret in longest_first))

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        text = hide_login(_URL_USER.sub(f"{HIDDEN}@", text))
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def values(self, content: Any) -> Any:
        """Return mappings, lists and texts with every text in them cleaned, for writing as JSON."""
        match content:
            case str():
                return self(content)
            case Mapping():
                return {key: self.values(value) for key, value in content.items()}
            case list() | tuple():
                return [self.values(value) for value in content]
        return content


class RedactingFilter(logging.Filter):
    """Cleans whole log records: message, arguments and traceback."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redact(record.getMessage()), None
        if record.exc_info is not None and record.exc_info[1] is not None:
            text = "".join(traceback.format_exception(record.exc_info[1]))
            record.exc_text, record.exc_info = self._redact(text.rstrip()), None
        return True


def install(redact: Redactor) -> RedactingFilter:
    """Add the filter to all handlers of the program's log; it stays until `uninstall`."""
    installed = RedactingFilter(redact)
    for handler in logging.getLogger().handlers:
        handler.addFilter(installed)
    return installed


def uninstall(installed: RedactingFilter) -> None:
    """Remove the filter."""
    for handler in logging.getLogger().handlers:
        handler.removeFilter(installed)
