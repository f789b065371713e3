"""Reads YAML of settings strictly, and merges it.

Every text gives settings or an InputError of one line. Messages name the place, but never quote the text, because it
may hold passwords.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.errors import InputError
from pipeline.core.shown_values import shown
from pipeline.core.small_file import read_small_file

# Far above every real configuration. Deeper nesting exhausts Python's stack, and aliases of aliases grow exponentially.
_DEEPEST = 50
_MOST_VALUES = 200_000
# A video that is named by mistake is not read into memory.
_LARGEST_FILE_BYTES = 10_000_000
# Larger ones cannot be computed with, and Python does not write those of thousands of digits.
_LARGEST_NUMBER = 2**63 - 1
# Texts in quotes inside the parser's messages; they can come from the file, but not punctuation and names of tokens.
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `over`: mappings are merged key by key, all other values are replaced.

    A mapping whose keys are numbers changes these entries of a list: {"0": {"start_s": 5}} those of the first one.

    Raises:
        InputError: a list has no entry of that number.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
        elif isinstance(value, Mapping) and isinstance(below, list) and value and all(map(_is_index, value)):
            entries = {str(number): entry for number, entry in enumerate(below)}
            if unknown := [number for number in value if number not in entries]:
                raise InputError(
                    f"{key}.{unknown[0]}: {key} has {len(below)} entries, and they are numbered from 0"
                )
            merged[key] = list(merge(entries, value).values())
        else:
            merged[key] = value
    return merged


def _is_index(key: object) -> bool:
    return isinstance(key, str) and key.isdecimal()


class _Unusable(yaml.MarkedYAMLError):
    """YAML that is not used although it may be valid; the message holds no secrets."""

    def __init__(self, problem: str, node: yaml.Node) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that rejects what YAML accepts silently, such as a key given twice, and that fails only with
    YAMLError.

    Numbers such as 1e-05 are numbers, as in YAML 1.2; YAML 1.1 takes them for text.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        try:
            if self._depth > _DEEPEST:
                event = self.peek_event()  # type: ignore[no-untyped-call]
                raise yaml.MarkedYAMLError(
                    problem=f"values are nested more than {_DEEPEST} levels deep", problem_mark=event.start_mark
                )
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _check_size(node, {}, set())
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Unusable("a key must be a word, but it is a list or a mapping; quote {{ ... }}", key_node)
            if key_node.tag != "tag:yaml.org,2002:merge":
                key = self.construct_object(key_node)
                if not isinstance(key, str | int | float | None):
                    raise _Unusable(f"a key must be a word, but it is read as a {type(key).__name__}", key_node)
                if key in seen:
                    raise _Unusable(f"key {shown(key)} is given twice", key_node)
                seen.add(key)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
                raise ValueError("beyond 64 bits")
            return value
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            what = {"timestamp": "date or time", "int": "number", "float": "number"}.get(kind, "value of its type")
            raise _Unusable(f"a value is not a valid {what}; quote it if it is text", node) from error


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _check_size(
    node: yaml.Node, sizes: dict[yaml.Node, tuple[int, int]], above: set[yaml.Node]
) -> tuple[int, int]:
    """Return the number of values in a node, and the levels of nesting, with every alias written out.

    Args:
        sizes: receives the result of each node. An anchor stands before its aliases, so results of aliases are there.
        above: the nodes that contain this one.
    """
    if node in above:
        raise _Unusable("an alias contains itself", node)
    if node not in sizes:
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        elif isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        inside = [_check_size(part, sizes, above | {node}) for part in parts]
        values, levels = (
            1 + sum(count for count, _ in inside),
            1 + max((depth for _, depth in inside), default=0),
        )
        if values > _MOST_VALUES or levels > _DEEPEST + 1:
            raise _Unusable(
                f"with its aliases written out, it has more than {_MOST_VALUES} values or {_DEEPEST} levels", node
            )
        sizes[node] = values, levels
    return sizes[node]


def parse_yaml(text: str, label: str) -> Any:
    """Return the content of a YAML text.

    Args:
        label: names the text in messages.

    Raises:
        InputError: the text is not valid YAML, or it is nested too deeply, too large, or has a key twice. The message
            gives the line, and nothing of the text.
    """
    try:
        return yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        problem = " ".join((error.problem or error.context or "the syntax is wrong").split())
        if not isinstance(error, _Unusable):
            problem = _QUOTED.sub(_without_text, problem)
        # Without the cause, which quotes the line.
        raise InputError(f"{label}: is not valid YAML: {problem}{place}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(
            f"{label}: is not valid YAML: character {error.character!r} is not allowed, in line {line}"
        ) from None


def _without_text(quoted: re.Match[str]) -> str:
    text = quoted[1] or quoted[2] or ""
    return quoted[0] if len(text) < 2 or text.startswith("<") else "..."


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping; InputError otherwise, with file and line."""
    try:
        data = read_small_file(path, _LARGEST_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot read the configuration ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a text file in UTF-8") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r}: is not the name of a file ({error})") from error
    if len(data) > _LARGEST_FILE_BYTES:
        raise InputError(f"{path}: has more than {_LARGEST_FILE_BYTES} bytes, so it is no file of settings")
    content = parse_yaml(text, str(path))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values at the top, found {type(content).__name__}")
    return content
