from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.config.config import load_config
from pipeline.core import yaml_file
from pipeline.core.errors import InputError
from pipeline.core.yaml_file import merge, parse_yaml, read_yaml

_ALIASES = "\n".join(
    f"{name}: &{name} [{', '.join(['*' + below if below else 'x'] * 10)}]"
    for below, name in zip(["", *"abcdefgh"], "abcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("a: 2026-13-45", "not a valid date or time", id="impossible date"),
        pytest.param("a: !!timestamp x", "not a valid date or time", id="no date"),
        pytest.param("a: !!bool x", "not a valid value", id="no bool"),
        pytest.param("a: !!int ''", "not a valid number", id="empty number"),
        pytest.param("a: !!float x", "not a valid number", id="no number"),
        pytest.param(f"a: {'9' * 5000}", "not a valid number", id="number of 5,000 digits"),
        pytest.param(f"a: 0x{'f' * 5000}", "not a valid number", id="hexadecimal number of 5,000 digits"),
        pytest.param(f"a: 1{':00' * 3000}", "not a valid number", id="number to base 60"),
        pytest.param("a: -9223372036854775809", "not a valid number", id="number beyond 64 bits"),
        pytest.param("a: {[0.01, 0], [1, 2]}", "a key must be a word", id="list as key"),
        pytest.param("a: {{ x }}", "a key must be a word", id="template"),
        pytest.param("a: {? {b: 1} : 2}", "a key must be a word", id="mapping as key"),
        pytest.param("a: " + "[" * 5000, "more than 50 levels", id="5,000 open brackets"),
        pytest.param("a: " + "[" * 60 + "]" * 60, "more than 50 levels", id="60 brackets"),
        pytest.param("\n".join(" " * level + "a:" for level in range(60)), "more than 50 levels", id="60 keys"),
        pytest.param("a: &a [*a]", "an alias contains itself", id="alias of itself"),
        pytest.param("a: &a {b: {c: *a}}", "an alias contains itself", id="alias of itself further down"),
        pytest.param(_ALIASES, "more than 200000 values", id="aliases of aliases"),
        pytest.param(f"{_ALIASES}\nj: {{<<: [*i, *i]}}", "more than 200000 values", id="in a merge key"),
        pytest.param("a: 1\nb: 2\na: 3", "key 'a' is given twice in line 3", id="key twice"),
        pytest.param("on: 1\ntrue: 2", "key True is given twice in line 2", id="key twice, written differently"),
        pytest.param("a: *nothing", "found undefined alias", id="no such alias"),
        pytest.param("<<: 3", "expected a mapping", id="merge of a number"),
        pytest.param("a: [1\n", "expected ',' or ']', but got '<stream end>' in line 2", id="open bracket"),
        pytest.param("a: \0", "is not allowed, in line 1", id="null character"),
        pytest.param("a: 1\n---\nb: 2", "another document", id="two documents"),
    ],
)
def test_unusable_yaml_is_one_line_with_its_place(text: str, problem: str) -> None:
    began_s = time.process_time()
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "site.yaml")
    assert str(caught.value).startswith("site.yaml: is not valid YAML: ")
    assert problem in str(caught.value)
    assert "line " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert time.process_time() - began_s < 1


@pytest.mark.parametrize(
    "text",
    [
        'password: "Secret',
        "password: *Secret",
        "password: !Secret",
        "password: !Secret x",
        "password: @Secret",
        "password: Secret: x",
        "password: [Secret",
        "{password: Secret, password:Secret, password:Secret}",
        "password: !!int Secret",
        "password: Secret\n  x: 3",
        "password: '\\Secret' x",
        'password: "\\Secret"',
    ],
)
def test_unusable_yaml_is_not_quoted(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "site.yaml")
    shown, error = "", caught.value
    while error is not None:
        shown += str(error)
        error = error.__cause__ if error.__cause__ or error.__suppress_context__ else error.__context__  # type: ignore[assignment]
    assert "Secret" not in shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 1e-05),
        ("-1E3", -1000.0),
        ("1.5e+2", 150.0),
        (".5e1", 5.0),
        ("+2.e0", 2.0),
        ("1e", "1e"),
        ("e5", "e5"),
        ("12", 12),
        ("1.5", 1.5),
        ("2026-05-01e3", "2026-05-01e3"),
    ],
)
def test_numbers_with_an_exponent(text: str, value: object) -> None:
    found = parse_yaml(f"[{text}, {{k: {text}}}]", "test")
    assert found == [value, {"k": value}]
    assert type(found[0]) is type(value)


def test_merge_keys_take_the_settings_of_another_camera(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "cameras:\n"
        "  - &first {name: a, source: a.mp4, start_s: 2, clock_rate: 1e0}\n"
        "  - {<<: *first, name: b, source: b.mp4}\n"
        "  - {<<: [*first, {transport: udp}], name: c}\n"
    )
    cameras = load_config(path).cameras
    assert [(one.name, one.start_s, one.transport) for one in cameras] == [
        ("a", 2.0, "tcp"),
        ("b", 2.0, "tcp"),
        ("c", 2.0, "udp"),
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_text("a: 1\n", encoding="utf-8-sig")
    assert read_yaml(tmp_path / "bom.yaml") == {"a": 1}


def test_a_file_name_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("a\0b", "x" * 300):
        with pytest.raises(InputError):
            read_yaml(tmp_path / name)


def test_entries_of_a_list_are_changed_by_their_number() -> None:
    base = {"cameras": [{"name": "a", "x": 1}, {"name": "b"}], "points": [[0, 1]]}
    assert merge(base, {"cameras": {"1": {"y": 2}}}) == {
        "cameras": [{"name": "a", "x": 1}, {"name": "b", "y": 2}],
        "points": [[0, 1]],
    }
    assert merge(base, {"points": {"0": [5]}})["points"] == [[5]]
    assert merge(base, {"points": {"0": {"1": 7}}})["points"] == [[0, 7]]
    assert base["points"] == [[0, 1]]
    with pytest.raises(InputError, match=r"cameras\.2: cameras has 2 entries, and they are numbered from 0"):
        merge(base, {"cameras": {"2": {"y": 2}}})


def test_a_large_file_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video that is named by mistake, or a device that never ends."""
    monkeypatch.setattr(yaml_file, "_LARGEST_FILE_BYTES", 1000)
    path = tmp_path / "site.yaml"
    path.write_text("#" * 1000)
    assert read_yaml(path) == {}
    path.write_text("#" * 1001)
    with pytest.raises(InputError, match="has more than 1000 bytes, so it is no file of settings"):
        read_yaml(path)
    with pytest.raises(InputError, match="has more than 1000 bytes"):
        read_yaml(Path("/dev/zero"))
