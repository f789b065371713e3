"""Turns validation errors of a configuration into messages that are safe to show."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError

from pipeline.core.stream_address import StreamAddress, hide_login, is_stream

# The values of these keys are not shown.
_SECRET_KEYS = frozenset({"username", "password", "token", "source_secrets"})
# Tags that pydantic puts into an error's path to name the member of a union.
_UNION_MEMBER = re.compile(r"bool|int|str|datetime|none|literal\[.*")


def describe(error: ValidationError) -> str:
    """Return the first five faults of a validation on one line, each with its key path and value."""
    faults = []
    for fault in error.errors()[:5]:
        parts = [str(part) for part in fault["loc"]]
        key = ".".join(part for part in parts if not _UNION_MEMBER.fullmatch(part)) or "the file"
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            text = "unknown key; configs/default.yaml lists all keys"
        elif fault["type"] != "value_error" and fault["type"] != "missing":
            secret = any(part in _SECRET_KEYS for part in parts)
            text += "" if secret else f", but it is {_without_secrets(fault['input'])!r}"
        faults.append(f"{key}: {text}")
    return "; ".join(faults)


def _without_secrets(value: object) -> object:
    """Return a faulty value with its secrets hidden."""
    if isinstance(value, Mapping):
        return {key: "***" if key in _SECRET_KEYS else _without_secrets(item) for key, item in value.items()}
    if isinstance(value, str) and is_stream(value):
        return hide_login(StreamAddress.parse(value).url)
    return value
