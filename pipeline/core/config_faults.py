"""Turns validation errors of a configuration into messages that are safe to show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError

from pipeline.core.redaction import Redactor
from pipeline.core.shown_values import shortened, shown, without_secrets

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
        path = ".".join(part for part in parts if not _UNION_MEMBER.fullmatch(part))
        key = shortened(_one_line(without_secrets(path))) or "the file"
        text = _one_line(Redactor()(fault["msg"].removeprefix("Value error, ")))
        secret = any(part in _SECRET_KEYS for part in parts)
        if fault["type"] == "extra_forbidden":
            text = f"unknown key{_guess(model, parts)}; configs/default.yaml lists all keys"
        elif fault["type"] != "value_error" and fault["type"] != "missing":
            if secret and isinstance(fault["input"], int | float | date):
                # The value is not shown, and YAML has changed it already: 0123 is the number 83.
                kind = type(fault["input"]).__name__
                text = f'must be text, but is read as a {kind}: put it into quotes, as in password: "0123"'
            text += "" if secret else f", but it is {shown(fault['input'])}"
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


def _one_line(text: str) -> str:
    return " ".join(text.split())
