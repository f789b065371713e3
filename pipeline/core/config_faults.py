"""Turns validation errors of a configuration into messages that are safe to show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError

from pipeline.core.stream_address import StreamAddress, hide_login, is_stream

# The values of these keys are not shown.
_SECRET_KEYS = frozenset({"username", "password", "token", "source_secrets"})
# Tags that pydantic puts into an error's path to name the member of a union.
_UNION_MEMBER = re.compile(r"bool|int|str|datetime|none|literal\[.*")


def describe(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Return the first five faults of a validation on one line, each with its key path and value.

    Args:
        model: the model that was validated. If given, an unknown key gets a proposal from the model's similar keys.
    """
    faults = []
    for fault in error.errors()[:5]:
        parts = [str(part) for part in fault["loc"]]
        key = ".".join(part for part in parts if not _UNION_MEMBER.fullmatch(part)) or "the file"
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            text = f"unknown key{_guess(model, parts)}; configs/default.yaml lists all keys"
        elif fault["type"] != "value_error" and fault["type"] != "missing":
            secret = any(part in _SECRET_KEYS for part in parts)
            if secret and fault["type"] == "string_type":
                # Its value is not shown, and YAML has changed it already: 0123 is the number 83.
                text = 'must be text: put it into quotes, as in password: "0123"'
            text += "" if secret else f", but it is {_without_secrets(fault['input'])!r}"
        faults.append(f"{key}: {text}")
    return "; ".join(faults)


def _guess(model: type[BaseModel] | None, parts: Sequence[str]) -> str:
    """Return a proposal for the last of the keys `parts`, "" if none is similar."""
    sections = [] if model is None else [model]
    for part in parts[:-1]:
        fields = [field for section in sections if (field := section.model_fields.get(part)) is not None]
        # An index of a list, or the tag of a union's member, names no key: the sections stay.
        if fields:
            sections = [found for field in fields for found in _models_in(field.annotation)]
    keys = [field.alias or name for section in sections for name, field in section.model_fields.items()]
    similar = get_close_matches(parts[-1], keys, n=1)
    return f", did you mean {similar[0]}?" if similar else ""


def _models_in(annotation: object) -> list[type[BaseModel]]:
    """Return the models that a type names, as in list[Model] | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _without_secrets(value: object) -> object:
    """Return a faulty value with its secrets hidden."""
    if isinstance(value, Mapping):
        return {key: "***" if key in _SECRET_KEYS else _without_secrets(item) for key, item in value.items()}
    if isinstance(value, str) and is_stream(value):
        return hide_login(StreamAddress.parse(value).url)
    return value
