"""Rows of CSV text as programs for tables save it: with commas, semicolons or tabs."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain

# Where the decimal sign is a comma, Excel separates columns by semicolons.
_DECIMAL_COMMA = re.compile(r"(\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\s*)")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?")


class CsvRows:
    """Yields the fields of each row; csv.Error for text that is no CSV.

    The separator is the one of comma, semicolon and tab that the first line holds most often, or that a line such as
    `sep=;` before it names. With semicolons, numbers such as 0,5 become 0.5.

    Attributes:
        line_num: number of the line that was read last, from 1.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        iterator = iter(lines)
        first = next(iterator, "")
        self._skipped = 0
        if named := _SEPARATOR_LINE.fullmatch(first):
            self._skipped, first = 1, next(iterator, "")
        separator = named[1] if named else max(",;\t", key=first.count)
        self._decimal_commas = separator == ";"
        self._reader = csv.reader(chain([first] if first else [], iterator), delimiter=separator)

    @property
    def line_num(self) -> int:
        return self._reader.line_num + self._skipped

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        fields = next(self._reader)
        return list(map(_with_point, fields)) if self._decimal_commas else fields


def _with_point(field: str) -> str:
    number = _DECIMAL_COMMA.fullmatch(field)
    return field if number is None else f"{number[1]}.{number[2]}"
