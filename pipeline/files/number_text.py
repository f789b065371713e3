"""Parses and writes numbers in files that people edit."""

from __future__ import annotations

import math
from pathlib import Path

from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown


def parse_number(path: Path, line: int | None, name: str, text: str | None) -> float:
    """Return `text` as a finite number.

    Args:
        line: line number for the message; None leaves it out.
        name: name of the value, for the message.

    Raises:
        InputError: `text` is not a finite number.
    """
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        place = str(path) if line is None else f"{path}, line {line}"
        raise InputError(f"{place}: {name} is {shown(text)}, but must be a number")
    return number


def yaml_number(value: float) -> str:
    """Return a finite number with up to 12 digits, as YAML reads it: 1e-05 without a point would be a text."""
    mantissa, exponent, power = f"{value:.12g}".partition("e")
    return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else mantissa + exponent + power
