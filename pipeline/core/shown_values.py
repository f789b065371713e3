"""Shows values of a configuration in messages, without passwords and in a few words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.core.redaction import Redactor
from pipeline.core.stream_address import HIDDEN

_LONGEST = 80
# A login before a host, also without "scheme://"; and what follows the name of a secret. The first begins only where a
# word does, so that a long text takes no longer than its length.
_LOGIN = re.compile(r"(?<![^\s/@'\"])[^\s/@'\"][^\s/@'\":]*:[^\s'\"]*@")
_NAMED = re.compile(
    r"((?:user(?:name)?|usr|login|pass(?:word|wd|phrase)?|pwd|psw|token|secret|api_?key)\s*[:=]\s*)\S.*",
    re.IGNORECASE | re.DOTALL,
)
# Also those that change the direction of writing, and halves of characters, which stand for bytes that are not UTF-8.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, *, keep_lines: bool = False) -> str:
    r"""Return a text with control characters written as escapes, such as \x1b.

    File names and answers of cameras may hold any character; they must not clear a terminal, or look like other lines.

    Args:
        keep_lines: whether ends of lines and tabs stay as they are.
    """

    def escaped(match: re.Match[str]) -> str:
        if keep_lines and match[0] in "\n\t":
            return match[0]
        return match[0].encode("unicode_escape").decode()

    return _CONTROL.sub(escaped, text)


def shown(value: Any) -> str:
    """Return a value for a message: short, on one line, and without the secrets that can be recognised.

    Of lists and mappings only the size is told, because any of their values may be a secret.
    """
    match value:
        case Mapping():
            return f"a mapping with {_count(len(value), 'key')}"
        case list() | tuple() | set() | frozenset():
            return f"a list with {_count(len(value), 'value')}"
        case str():
            return repr(shortened(without_secrets(value)))
    return shortened(repr(value))


def shortened(text: str) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def without_secrets(text: str) -> str:
    """Return a text with logins of addresses hidden, and what follows words such as `password:`."""
    text = Redactor()(text)
    return _NAMED.sub(rf"\1{HIDDEN}", _LOGIN.sub(f"{HIDDEN}@", text))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
